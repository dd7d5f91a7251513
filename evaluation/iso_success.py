"""Who is ahead at equal success: the cheapest point of each family within `MARGIN` of the full dense planner.

Families are those of evaluation.methods (FAMILIES): every row carries its own.

Points come from the front alone: threshold sweeps, which would pick thresholds on reported episodes, do not decide, and
neither does the sequential schedule. Point estimates decide; `strict` asks the paired interval instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.rows import FrontRow, Interval

MARGIN = 0.03  # how far below the full dense planner a point may lie and still count as equal
READINGS = {"dense": "dense_replay", "skip": "zero_skipping"}  # `METHOD/how`, see evaluation.dense_readings


class Point(Protocol):
    """What a comparison reads of a point: a row of the front, or a run that is priced again."""

    @property
    def family(self) -> str: ...
    @property
    def success(self) -> float: ...
    @property
    def paired_vs_dense(self) -> Interval | None: ...


P = TypeVar("P", bound=Point)
Cost = Callable[[P], float | None]


def family_of(method: str) -> str:
    """The family of a method or of one of its readings; "" for an unknown name."""
    base, _, how = method.partition("/")
    if how:
        return READINGS.get(how, "")
    return METHODS[base].family if base in METHODS else ""


def decides(row: FrontRow) -> bool:
    """Sweeps and the sequential schedule are shown but decide nothing."""
    return row.role == "front" and row.schedule != "sequential"


@dataclass(frozen=True, kw_only=True)
class Comparison(Generic[P]):
    """Cheapest point of an opponent's family and cheapest spiking point that reach `level`, in one unit of cost.

    `unpriced`: sides, dense or spiking, that have points at the level, none of which has a cost.
    """

    what: str
    unit: str
    level: float
    dense: P | None
    spiking: P | None
    dense_cost: float | None
    spiking_cost: float | None
    unpriced: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Spiking over dense: above 1, dense is ahead."""
        if self.dense_cost is None or self.spiking_cost is None:
            return None
        return self.spiking_cost / self.dense_cost

    @property
    def ahead(self) -> str:
        if self.dense is None and self.spiking is None:
            return "not compared" if self.unpriced else "neither reaches it"
        if self.dense is None or self.spiking is None:
            won, lost = ("dense", "spiking") if self.spiking is None else ("spiking", "dense")
            return "not compared" if lost in self.unpriced else won
        ratio = self.ratio or 1.0
        return "dense" if ratio > 1 else "spiking" if ratio < 1 else "tie"


def compare(
    points: Sequence[P],
    full_success: float,
    *,
    what: str,
    unit: str,
    against: Sequence[str],
    dense_cost: Cost[P],
    spiking_cost: Cost[P],
    strict: bool = False,
) -> Comparison[P]:
    """`points`: those that may decide. `against`: the opponents' families. `strict`: the lower bound of a point's paired interval
    must lie within the margin, not only its success."""
    level = full_success - MARGIN
    equal = [point for point in points if _reaches(point, level, strict)]
    opponents, ours = [p for p in equal if p.family in against], [p for p in equal if p.family == "spiking"]
    (dense, price), (spiking, spiking_price) = _cheapest(opponents, dense_cost), _cheapest(ours, spiking_cost)
    sides = {"dense": (dense, opponents), "spiking": (spiking, ours)}
    return Comparison(
        what=what,
        unit=unit,
        level=level,
        dense=dense,
        spiking=spiking,
        dense_cost=price,
        spiking_cost=spiking_price,
        unpriced=tuple(side for side, (best, reached) in sides.items() if best is None and reached),
    )


def _reaches(point: Point, level: float, strict: bool) -> bool:
    if not strict:
        return point.success >= level
    return point.paired_vs_dense is not None and point.paired_vs_dense[0] >= -MARGIN


def _cheapest(points: Sequence[P], cost: Cost[P]) -> tuple[P | None, float | None]:
    priced = [(price, number) for number, point in enumerate(points) if (price := cost(point)) is not None]
    if not priced:
        return None, None
    price, number = min(priced)
    return points[number], price
