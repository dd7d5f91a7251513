"""How sure is a ratio of costs at iso-success: an interval over episodes and over constants.

Each draw resamples the episodes, the same for every method, so that paired methods stay paired; asks again which points
reach the full dense planner's success less MARGIN; takes the cheapest of each side; and draws each side's cost inside its
band. Counts have no band, so their interval is one of episodes alone. The bands of both sides are drawn apart, which is
wider than drawing shared constants once (`spikeplan energy report` does that).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spikeplan.evaluation.iso_success import MARGIN, decides
from spikeplan.evaluation.rows import FrontRow

DRAWS = 1000
CostBand = tuple[float, float, float]  # low, nominal, high
BandOf = Callable[[FrontRow], CostBand | None]


@dataclass(frozen=True, kw_only=True)
class RatioInterval:
    """Spiking over dense; `low`, `high`: 95 % of the draws in which both sides have a point. `undecided`: it holds 1."""

    low: float
    high: float
    draws: int
    one_sided: float  # share of the draws in which only one side reaches the level

    @property
    def undecided(self) -> bool:
        return self.low <= 1.0 <= self.high


def ratio_interval(
    front: Sequence[FrontRow],
    *,
    against: Sequence[str],
    dense: BandOf,
    spiking: BandOf,
    rng: np.random.Generator,
    full: str = "dense",
    draws: int = DRAWS,
) -> RatioInterval | None:
    """None where a side has no priced point.

    Args:
        front: rows of one task.
        full: the method whose first row is the full dense planner.
        against: families of the opponent.
        dense, spiking: the cost of a row as (low, nominal, high).

    >>> ratio_interval(rows, against=("dense",), dense=counted, spiking=counted, rng=np.random.default_rng(0))
    """
    rows = [row for row in front if decides(row)]
    whole = max((row for row in rows if row.method == full), key=lambda row: row.episodes, default=None)
    sides = {
        "dense": _points([row for row in rows if row.family in against], dense),
        "spiking": _points([row for row in rows if row.family == "spiking"], spiking),
    }
    if whole is None or not all(sides.values()):
        return None
    truth = _won(whole)
    ratios, single = [], 0
    for _ in range(draws):
        picked = rng.integers(0, len(truth), len(truth))
        level = truth[picked].mean() - MARGIN
        costs = {side: _cheapest(points, picked, level, rng) for side, points in sides.items()}
        if costs["dense"] is None or costs["spiking"] is None:
            single += costs["dense"] is not costs["spiking"]
            continue
        ratios.append(costs["spiking"] / costs["dense"])
    if not ratios:
        return None
    low, high = np.quantile(ratios, (0.025, 0.975))
    return RatioInterval(low=float(low), high=float(high), draws=draws, one_sided=single / draws)


@dataclass(frozen=True)
class _Point:
    won: NDArray[np.float64]
    band: CostBand


def _won(row: FrontRow) -> NDArray[np.float64]:
    return np.frombuffer(row.episodes_won.encode(), np.uint8).astype(np.float64) - ord("0")


def _points(rows: Sequence[FrontRow], band: BandOf) -> list[_Point]:
    return [_Point(_won(row), found) for row in rows if (found := band(row)) is not None]


def _cheapest(
    points: Sequence[_Point], picked: NDArray[np.int64], level: float, rng: np.random.Generator
) -> float | None:
    """A point that planned fewer episodes is judged on those of its own that were picked."""
    best: _Point | None = None
    for point in points:
        own = picked[picked < len(point.won)]
        if len(own) and point.won[own].mean() >= level and (best is None or point.band[1] < best.band[1]):
            best = point
    if best is None:
        return None
    low, nominal, high = best.band
    if not 0 < low < high:
        return nominal
    return float(
        np.exp(rng.triangular(np.log(low), min(max(np.log(nominal), np.log(low)), np.log(high)), np.log(high)))
    )


def counted(row: FrontRow) -> CostBand | None:
    """Synop-equivalents: exact, no band."""
    value = row.synop_equivalents
    return (value, value, value) if value > 0 else None
