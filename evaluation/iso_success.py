"""Who is ahead at equal success: the cheapest point of each family within `MARGIN` of the full dense planner.

Families are those of evaluation.methods (FAMILIES): every row carries its own.

Points come from the front alone: threshold sweeps, which would pick thresholds on reported episodes, do not decide, and
neither does the sequential schedule. Point estimates decide; `strict` asks the paired interval instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from spikeplan.evaluation.methods import METHODS

MARGIN = 0.03  # how far below the full dense planner a point may lie and still count as equal
READINGS = {"dense": "dense_replay", "skip": "zero_skipping"}  # `METHOD/how`, see evaluation.dense_readings
Row = dict[str, Any]
Cost = Callable[[Row], float | None]


def family_of(row: Row) -> str:
    """The family that the row carries, else its method's; one of evaluation.methods.FAMILIES, "" where neither is known."""
    if row.get("family"):
        return str(row["family"])
    base, _, how = str(row.get("method")).partition("/")
    if how:
        return READINGS.get(how, "")
    return METHODS[base].family if base in METHODS else ""


def decides(row: Row) -> bool:
    return row.get("role", "front") == "front" and row.get("schedule") != "sequential"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Cheapest point of an opponent's family and cheapest spiking point that reach `level`, in one unit of cost."""

    what: str
    unit: str
    level: float
    dense: Row | None
    spiking: Row | None
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


def compare(
    front: Sequence[Row],
    full_success: float,
    *,
    what: str,
    unit: str,
    against: Sequence[str],
    dense_cost: Cost,
    spiking_cost: Cost,
    strict: bool = False,
) -> Comparison:
    """`against`: the opponents' families. `strict`: the lower bound of a point's paired interval must lie within the margin,
    not only its success."""
    level = full_success - MARGIN
    equal = [row for row in front if decides(row) and _reaches(row, level, strict)]
    dense, price = _cheapest([row for row in equal if family_of(row) in against], dense_cost)
    spiking, spiking_price = _cheapest([row for row in equal if family_of(row) == "spiking"], spiking_cost)
    return Comparison(
        what=what, unit=unit, level=level, dense=dense, spiking=spiking, dense_cost=price, spiking_cost=spiking_price
    )


def _reaches(row: Row, level: float, strict: bool) -> bool:
    if not strict:
        return (row.get("success") or 0.0) >= level
    interval = row.get("paired_vs_dense")
    return interval is not None and interval[0] >= -MARGIN


def _cheapest(rows: Sequence[Row], cost: Cost) -> tuple[Row | None, float | None]:
    priced = [(price, number) for number, row in enumerate(rows) if (price := cost(row)) is not None]
    if not priced:
        return None, None
    price, number = min(priced)
    return rows[number], price
