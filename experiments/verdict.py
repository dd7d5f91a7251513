"""Who is ahead at equal success, in words. Read from ledger C (static power x time, encoder and host included), with the
unit-free counts beside it."""

from __future__ import annotations

from experiments.equal_success import MARGIN, Comparison, Row, compare, family_of

DENSE_DEVICES, CHIP = ("orin_nano", "h100"), "loihi2"


def verdict(front: list[Row], full_success: float | None) -> str:
    """`front`: rows of kind front of one task."""
    if full_success is None:
        return "not run"

    def operations(row: Row) -> float | None:
        return row["synop_equivalents"]

    sentences = []
    joules = compare(
        front, full_success, what=f"Ledger C, {CHIP} against {' or '.join(DENSE_DEVICES)}", unit="mJ", against="dense",
        dense_cost=lambda row: _best(row)[0], spiking_cost=lambda row: _joules(row, CHIP).get("nominal"),
    )  # fmt: skip
    sentences.append(_sentence(joules))
    for against, title in (
        ("dense", "Synop-equivalents, against hardware that computes every MAC"),
        ("skipping", "Synop-equivalents, against hardware that skips zeros at no cost"),
    ):
        found = compare(front, full_success, what=title, unit="M", against=against, dense_cost=operations,
                        spiking_cost=operations)  # fmt: skip
        sentences.append(_sentence(found))
    return f"Within {MARGIN * 100:.0f} points of full dense CEM ({full_success:.2f}). " + " ".join(sentences)


def _joules(row: Row, device: str) -> dict[str, float]:
    return (row["joules"] or {}).get(device, {})


def _best(row: Row) -> tuple[float | None, str]:
    """The dense device that is cheapest for this point."""
    known = [(band["nominal"], name) for name in DENSE_DEVICES if (band := _joules(row, name))]
    return min(known) if known else (None, "")


def _sentence(c: Comparison) -> str:
    if c.dense is None or c.spiking is None:
        ahead = "nobody" if c.dense is c.spiking else "dense" if c.spiking is None else "spiking"
        return f"{c.what}: {ahead} is ahead (the other family has no point)."
    assert c.ratio is not None and c.dense_cost is not None and c.spiking_cost is not None
    lead = "a tie" if c.ratio == 1 else f"{'spiking' if c.ratio < 1 else family_of(c.dense)} is ahead"
    return (
        f"{c.what}: {lead}, spiking / other = {c.ratio:.2f} ({_name(c.spiking, c.spiking_cost, c.unit, CHIP)}; "
        f"{_name(c.dense, c.dense_cost, c.unit, _best(c.dense)[1])})."
    )


def _name(row: Row, cost: float, unit: str, device: str) -> str:
    scale = {"mJ": 1e3, "M": 1e-6}[unit]
    low, high = row.get("paired_vs_dense") or (None, None)
    paired = "" if low is None else f" ({low:+.3f} .. {high:+.3f})"
    band = _joules(row, device) if unit == "mJ" else {}
    bounds = f" [{band['low'] * scale:.3g} .. {band['high'] * scale:.3g}]" if {"low", "high"} <= band.keys() else ""
    where = f" on {device}" if unit == "mJ" else ""
    return (
        f"{row['arm']} {row['budget']}{where}, success {row['success']:.2f}{paired}, {cost * scale:.3g}{bounds} {unit}"
    )
