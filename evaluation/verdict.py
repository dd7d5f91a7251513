"""Who is ahead at equal success, in words. Read from scope system (static power x time, encoder and host included), with the
unit-free counts beside it, by point estimates and by the lower bounds of the paired intervals."""

from __future__ import annotations

from collections.abc import Sequence

from spikeplan import energy
from spikeplan.core.format import several
from spikeplan.evaluation.iso_success import MARGIN, Comparison, compare, decides
from spikeplan.evaluation.methods.smaller import NARROW
from spikeplan.evaluation.rows import FrontRow, PlacedEnergyRow, PointEnergy

DENSE_DEVICES, CHIP = ("orin_nano", "h100"), "loihi2"
OPPONENTS = (  # families, how they are called
    (("dense",), "networks trained to run densely"),
    (("dense_replay",), "the sigma-delta networks run densely"),
    (("zero_skipping",), "hardware that skips zeros at no cost"),
)


def verdict(front: Sequence[FrontRow], full_success: float, placed: Sequence[PlacedEnergyRow] = ()) -> str:
    """`front`: rows of one task; `placed`: its placements, named beside the verdict."""
    if not any(row.method.endswith(NARROW) for row in front):
        return "Not compared at equal cost: no front was run."
    sentences = [_joules_sentence(front, full_success)]
    for families, name in OPPONENTS:
        sentences.append(_counts_sentence(front, full_success, families, f"Synop-equivalents, against {name}"))
    return f"Within {MARGIN * 100:.0f} points of the full dense planner ({full_success:.2f}). " + " ".join(
        sentences + _placed_sentence(placed)
    )


def _placed_sentence(placed: Sequence[PlacedEnergyRow]) -> list[str]:
    rows = [row for row in placed if row.schedule == "interleaved" and row.latency_s is not None]
    if not rows:
        return []
    said = [
        f"{several(row.replicas, 'replica')} on {several(row.cores, 'core')}, {several(row.chips, 'chip')}: "
        f"{(row.latency_s or 0.0) * 1e3:.3g} ms, {row.nominal * 1e3:.3g} [{row.low * 1e3:.3g} .. {row.high * 1e3:.3g}] mJ"
        for row in rows
    ]
    name = f"{rows[0].method} {rows[0].budget} on {rows[0].device}"
    return [f"Placed with its loop, neurons that wait charged ({name}, interleaved): {'; '.join(said)}."]


def operations(row: FrontRow) -> float | None:
    return row.synop_equivalents


def _best(row: FrontRow) -> tuple[float | None, str]:
    """The dense device that is cheapest for this point."""
    known = [(row.joules[name].nominal, name) for name in DENSE_DEVICES if name in row.joules]
    return min(known) if known else (None, "")


def _counts_sentence(front: Sequence[FrontRow], full_success: float, families: tuple[str, ...], what: str) -> str:
    def found(strict: bool) -> Comparison[FrontRow]:
        return compare(
            [row for row in front if decides(row)],
            full_success,
            what=what,
            unit="M",
            against=families,
            dense_cost=operations,
            spiking_cost=operations,
            strict=strict,
        )

    return _sentence(found(False), found(True), front)


def on_chip(row: FrontRow, host: str) -> PointEnergy | None:
    """On the chip, with the encoder on the opponent's device: both sides then pay the same encoder."""
    point = row.joules.get(CHIP)
    return None if point is None else (point.by_host or {}).get(host, point)


def spiking_joules(row: FrontRow, host: str) -> float | None:
    point = on_chip(row, host)
    return None if point is None else point.nominal


def _joules_sentence(front: Sequence[FrontRow], full_success: float) -> str:
    def found(strict: bool) -> Comparison[FrontRow]:
        """Priced once to learn whose device is cheapest, then with that device as the chip's host."""
        first = _compared(strict, DENSE_DEVICES[0])
        return first if first.dense is None else _compared(strict, _best(first.dense)[1])

    def _compared(strict: bool, host: str) -> Comparison[FrontRow]:
        return compare(
            [row for row in front if decides(row)],
            full_success,
            what=f"Scope system, nominal, {CHIP} against {' or '.join(DENSE_DEVICES)} at peak rates",
            unit="mJ",
            against=("dense", "dense_replay"),
            dense_cost=lambda row: _best(row)[0],
            spiking_cost=lambda row: spiking_joules(row, host),
            strict=strict,
        )

    loose = found(False)
    said = _sentence(loose, found(True), front)
    if loose.spiking_cost is None or loose.dense is None or loose.dense_cost is None:
        return said
    device = _best(loose.dense)[1]
    power = energy.default().device(device).figure("power").band.nominal
    return (
        f"{said} The order turns where an action takes {device} more than {loose.spiking_cost / power * 1e6:.3g} us; it is "
        f"charged {loose.dense_cost / power * 1e6:.3g} us, launches and idling left out."
    )


def _sentence(c: Comparison[FrontRow], strict: Comparison[FrontRow], front: Sequence[FrontRow]) -> str:
    if c.dense is None or c.spiking is None:
        if c.ahead == "not compared":
            return f"{c.what}: not compared; the {' and '.join(c.unpriced)} points that reach it have no cost."
        if c.dense is c.spiking:
            return f"{c.what}: neither side has a point."
        return f"{c.what}: {'dense' if c.spiking is None else 'spiking'} is ahead (the other side has no point)."
    assert c.ratio is not None and c.dense_cost is not None and c.spiking_cost is not None
    lead = "a tie" if c.ratio == 1 else f"{'spiking' if c.ratio < 1 else 'the other side'} is ahead"
    more = [] if strict.ratio is None else [f"{strict.ratio:.2f} by the lower bounds"]
    sequential = _sequential(c.spiking, front) if c.unit == "M" else None
    more += [] if sequential is None else [f"{sequential / c.dense_cost:.2f} sequential"]
    aside = f"; {', '.join(more)}" if more else ""
    return (
        f"{c.what}: {lead}, spiking / other = {c.ratio:.2f}{aside} ({_name(c.spiking, c.spiking_cost, c.unit, CHIP)}; "
        f"{_name(c.dense, c.dense_cost, c.unit, _best(c.dense)[1])})."
    )


def _sequential(row: FrontRow, front: Sequence[FrontRow]) -> float | None:
    """Operations of the same point when candidates run one after the other."""
    same = ("method", "budget", "reference", "threshold", "role")
    for other in front:
        if other.schedule == "sequential" and all(getattr(other, key) == getattr(row, key) for key in same):
            return operations(other)
    return None


def _name(row: FrontRow, cost: float, unit: str, device: str) -> str:
    scale = {"mJ": 1e3, "M": 1e-6}[unit]
    low, high = row.paired_vs_dense
    band = row.joules.get(device) if unit == "mJ" else None
    bounds = "" if band is None else f" [{band.low * scale:.3g} .. {band.high * scale:.3g}]"
    placed = "" if band is None or band.replicas is None else f", {band.replicas} x its loop on {band.cores} cores"
    where = f" on {device}{placed}" if unit == "mJ" else ""
    return (
        f"{row.method} {row.budget}{where}, success {row.success:.2f} ({low:+.3f} .. {high:+.3f}), "
        f"{cost * scale:.3g}{bounds} {unit}"
    )
