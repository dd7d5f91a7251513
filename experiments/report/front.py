"""The front: success against cost, for the dense and for the spiking family, and which of them is ahead.

A point is on its family's front when no cheaper point of the family succeeds as often. *Ahead at equal success*
compares the cheapest point of each family whose success is within `MARGIN` of the full dense planner's. Point estimates
decide here; the intervals stand in the figure and in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from experiments.report.results import Record, Results, finite, mapping, positive, spiking
from experiments.verdict import MARGIN

COST = Callable[[Record], float | None]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Cheapest dense and cheapest spiking point that reach `level`, in one unit of cost."""

    what: str
    unit: str
    level: float
    dense: Record | None
    spiking: Record | None
    dense_cost: float | None
    spiking_cost: float | None

    @property
    def ratio(self) -> float | None:
        """Spiking over dense: above 1, dense is ahead."""
        if self.dense_cost is None or self.spiking_cost is None:
            return None
        return self.spiking_cost / self.dense_cost

    @property
    def ahead(self) -> str:
        if self.dense is None and self.spiking is None:
            return "neither reaches it"
        if self.dense is None or self.spiking is None:
            return "dense" if self.spiking is None else "spiking"
        ratio = self.ratio or 1.0
        return "dense" if ratio > 1 else "spiking" if ratio < 1 else "tie"


def equivalents(row: Record) -> float | None:
    return positive(row.get("synop_equivalents"))


def joules(device: str) -> COST:
    def cost(row: Record) -> float | None:
        return positive(mapping(mapping(row.get("joules")).get(device)).get("nominal"))

    return cost


def pareto(rows: Sequence[Record], cost: COST) -> list[Record]:
    """Rows that no cheaper row of the same list equals in success, from cheap to dear."""
    known = [(c, -s, i) for i, r in enumerate(rows) if (c := cost(r)) is not None and (s := success(r)) is not None]
    kept, best = [], float("-inf")
    for _, negative, index in sorted(known):
        if -negative > best:
            kept.append(rows[index])
            best = -negative
    return kept


def success(row: Record) -> float | None:
    return finite(row.get("success"))


def families(rows: Sequence[Record]) -> tuple[list[Record], list[Record]]:
    return [r for r in rows if not spiking(r)], [r for r in rows if spiking(r)]


def full_success(results: Results, task: str) -> float | None:
    """Success of the dense planner with its full budget."""
    for value in (
        results.arms(task).get("dense", {}).get("success"),
        mapping(results.task(task).get("admission")).get("full"),
        max((s for r in families(results.front(task))[0] if (s := success(r)) is not None), default=None),
    ):
        if (known := finite(value)) is not None:
            return known
    return None


def devices(rows: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(str(name) for row in rows for name in mapping(row.get("joules"))))


def _cheapest(rows: Sequence[Record], cost: COST, level: float) -> tuple[Record | None, float | None]:
    reach = [(c, i) for i, r in enumerate(rows) if (success(r) or 0) >= level and (c := cost(r)) is not None]
    if not reach:
        return None, None
    price, index = min(reach)
    return rows[index], price


def comparisons(results: Results, task: str) -> list[Comparison]:
    """At equal success: in synop-equivalents, then in Joules for each pair of a dense and a spiking device."""
    dense_rows, spiking_rows = families(results.front(task))
    full = full_success(results, task)
    if full is None or not dense_rows or not spiking_rows:
        return []
    level = full - MARGIN

    def compare(what: str, unit: str, dense_cost: COST, spiking_cost: COST) -> Comparison:
        dense, price = _cheapest(dense_rows, dense_cost, level)
        spikes, spiking_price = _cheapest(spiking_rows, spiking_cost, level)
        return Comparison(
            what=what, unit=unit, level=level, dense=dense, spiking=spikes, dense_cost=price,
            spiking_cost=spiking_price,
        )  # fmt: skip

    found = [compare("synop-equivalents", "", equivalents, equivalents)]
    for chip in devices(spiking_rows):
        for other in devices(dense_rows):
            found.append(compare(f"{chip} against {other}, ledger C nominal", "J", joules(other), joules(chip)))
    return found


def describe(row: Record | None) -> str:
    """One point in words: arm, axis, threshold, budget, schedule."""
    if row is None:
        return "no point reaches it"
    axis: Any = row.get("axis")
    threshold = finite(row.get("threshold"))
    parts = [
        str(row.get("arm")),
        str(axis) if axis and axis != "none" else "",
        f"θ × {threshold:g}" if threshold is not None else "",
        str(row.get("budget") or ""),
        str(row.get("schedule") or "") if spiking(row) else "",
    ]
    return ", ".join(part for part in parts if part)
