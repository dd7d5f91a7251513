"""Who is ahead at equal success, in words. Read from scope system (static power x time, encoder and host included), with the
unit-free counts beside it, by point estimates and by the lower bounds of the paired intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spikeplan import energy
from spikeplan.evaluation.iso_success import MARGIN, Comparison, Cost, Row, compare
from spikeplan.evaluation.methods.smaller import NARROW

DENSE_DEVICES, CHIP = ("orin_nano", "h100"), "loihi2"
OPPONENTS = (  # families, how they are called
    (("dense",), "networks trained to run densely"),
    (("dense_replay",), "the sigma-delta networks run densely"),
    (("zero_skipping",), "hardware that skips zeros at no cost"),
)


def verdict(front: list[Row], full_success: float | None, placed: Sequence[Row] = ()) -> str:
    """`front`: rows of kind front of one task; `placed`: of kind energy_placed, told beside them."""
    if full_success is None:
        return "not run"
    if not any(row["method"] in NARROW for row in front):
        return "Not compared at equal cost: no front was run."
    sentences = [_joules_sentence(front, full_success)]
    for families, name in OPPONENTS:
        sentences.append(_counts_sentence(front, full_success, families, f"Synop-equivalents, against {name}"))
    return f"Within {MARGIN * 100:.0f} points of full dense CEM ({full_success:.2f}). " + " ".join(
        sentences + _placed_sentence(placed)
    )


def _placed_sentence(placed: Sequence[Row]) -> list[str]:
    rows = [row for row in placed if row["schedule"] == "interleaved"]
    if not rows:
        return []
    said = [
        f"{row['replicas']} {'copies' if row['replicas'] > 1 else 'copy'} on {row['cores']} cores, {row['chips']} chip(s): "
        f"{row['latency_s'] * 1e3:.3g} ms, {row['nominal'] * 1e3:.3g} [{row['low'] * 1e3:.3g} .. {row['high'] * 1e3:.3g}] mJ"
        for row in rows
    ]
    name = f"{rows[0]['method']} {rows[0]['budget']} on {rows[0]['device']}"
    return [f"Placed with its loop, neurons that wait charged ({name}, interleaved): {'; '.join(said)}."]


def operations(row: Row) -> float | None:
    found: float | None = row["synop_equivalents"]
    return found


def _joules(row: Row, device: str) -> dict[str, Any]:
    found: dict[str, Any] = (row["joules"] or {}).get(device, {})
    return found


def _best(row: Row) -> tuple[float | None, str]:
    """The dense device that is cheapest for this point."""
    known = [(band["nominal"], name) for name in DENSE_DEVICES if (band := _joules(row, name))]
    return min(known) if known else (None, "")


def _counts_sentence(front: list[Row], full_success: float, families: tuple[str, ...], what: str) -> str:
    def found(strict: bool) -> Comparison:
        return compare(
            front,
            full_success,
            what=what,
            unit="M",
            against=families,
            dense_cost=operations,
            spiking_cost=operations,
            strict=strict,
        )

    return _sentence(found(False), found(True), front)


def spiking_joules(row: Row, host: str) -> float | None:
    """On the chip, with the encoder on the opponent's device: both sides then pay the same encoder."""
    on_chip = _joules(row, CHIP)
    return (on_chip.get("by_host", {}).get(host) or on_chip).get("nominal")


def _joules_sentence(front: list[Row], full_success: float) -> str:
    def found(strict: bool) -> Comparison:
        """Priced once to learn whose device is cheapest, then with that device as the chip's host."""
        first = _compared(strict, DENSE_DEVICES[0])
        return first if first.dense is None else _compared(strict, _best(first.dense)[1])

    def _compared(strict: bool, host: str) -> Comparison:
        return compare(
            front,
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


def _sentence(c: Comparison, strict: Comparison, front: list[Row]) -> str:
    if c.dense is None or c.spiking is None:
        if c.dense is c.spiking:
            return f"{c.what}: neither side has a point."
        return f"{c.what}: {'dense' if c.spiking is None else 'spiking'} is ahead (the other side has no point)."
    assert c.ratio is not None and c.dense_cost is not None and c.spiking_cost is not None
    lead = "a tie" if c.ratio == 1 else f"{'spiking' if c.ratio < 1 else 'the other side'} is ahead"
    more = [] if strict.ratio is None else [f"{strict.ratio:.2f} by the lower bounds"]
    sequential = _sequential(c.spiking, front, operations) if c.unit == "M" else None
    more += [] if sequential is None else [f"{sequential / c.dense_cost:.2f} sequential"]
    aside = f"; {', '.join(more)}" if more else ""
    return (
        f"{c.what}: {lead}, spiking / other = {c.ratio:.2f}{aside} ({_name(c.spiking, c.spiking_cost, c.unit, CHIP)}; "
        f"{_name(c.dense, c.dense_cost, c.unit, _best(c.dense)[1])})."
    )


def _sequential(row: Row, front: list[Row], cost: Cost) -> float | None:
    """Cost of the same point when candidates run one after the other."""
    same = ("method", "budget", "reference", "threshold", "role")
    for other in front:
        if other["schedule"] == "sequential" and all(other.get(key) == row.get(key) for key in same):
            return cost(other)
    return None


def _name(row: Row, cost: float, unit: str, device: str) -> str:
    scale = {"mJ": 1e3, "M": 1e-6}[unit]
    low, high = row.get("paired_vs_dense") or (None, None)
    paired = "" if low is None else f" ({low:+.3f} .. {high:+.3f})"
    band = _joules(row, device) if unit == "mJ" else {}
    bounds = f" [{band['low'] * scale:.3g} .. {band['high'] * scale:.3g}]" if {"low", "high"} <= band.keys() else ""
    copies = f", {band['copies']:.0f} x its loop on {band['cores']:.0f} cores" if "copies" in band else ""
    where = f" on {device}{copies}" if unit == "mJ" else ""
    return f"{row['method']} {row['budget']}{where}, success {row['success']:.2f}{paired}, {cost * scale:.3g}{bounds} {unit}"
