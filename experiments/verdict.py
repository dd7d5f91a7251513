"""Who is ahead at equal success, in words. Read from ledger C (static power x time, encoder and host included), with the
unit-free count beside it. Point estimates on the front's episodes: the intervals stand in the front's figure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from experiments.bundle import DELTA_ARMS, NARROW_ARMS

MARGIN = 0.03  # how far below the full dense planner a point may lie and still count as equal
DENSE, SPIKING = ("int8", "zero-skip", *NARROW_ARMS), (*DELTA_ARMS, "lif")
DENSE_DEVICES = ("orin_nano", "h100")

Row = dict[str, Any]
Price = tuple[float, Row, str]  # cost, point, where


def verdict(front: list[Row], full_success: float | None) -> str:
    """`front`: rows of kind front of one task."""
    if full_success is None:
        return "not run"
    level = full_success - MARGIN
    equal = [row for row in front if row["success"] >= level and row["schedule"] != "sequential"]
    sentences = [
        _compare(equal, _joules, f"Ledger C, loihi2 against {' or '.join(DENSE_DEVICES)}", 1e3, "mJ"),
        _compare(equal, lambda row: [(row["synop_equivalents"], row, "")], "Synop-equivalents", 1e-6, "M"),
    ]
    return f"Within 3 points of full dense CEM ({full_success:.2f}). " + " ".join(sentences)


def _joules(row: Row) -> list[Price]:
    devices = ("loihi2",) if row["arm"] in SPIKING else DENSE_DEVICES
    joules = row["joules"] or {}
    return [(joules[name]["nominal"], row, f" on {name}") for name in devices if name in joules]


def _compare(rows: list[Row], prices: Callable[[Row], list[Price]], title: str, scale: float, unit: str) -> str:
    best: dict[str, Price | None] = {}
    for family, arms in (("dense", DENSE), ("spiking", SPIKING)):
        found = [price for row in rows if row["arm"] in arms for price in prices(row)]
        best[family] = min(found, key=lambda price: price[0], default=None)
    dense, spiking = best["dense"], best["spiking"]
    if dense is None or spiking is None:
        ahead = "nobody" if dense is spiking else "dense" if spiking is None else "spiking"
        return f"{title}: {ahead} is ahead (the other family has no point)."
    ratio = spiking[0] / dense[0]
    lead = "spiking is ahead" if ratio < 1 else "dense is ahead"

    def name(price: Price) -> str:
        cost, row, where = price
        return f"{row['arm']} {row['budget']}{where}, success {row['success']:.2f}, {cost * scale:.3g} {unit}"

    return f"{title}: {lead}, spiking / dense = {ratio:.2f} ({name(spiking)}; {name(dense)})."
