"""How bench sparse_front compares ours with opponents: the cheapest that is as good, by paired lower bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spikeplan.evaluation.intervals import paired
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.sparse.measured import Measured, row_of

POINTS_LOST = -0.03
SIDES = (  # row, what is asked of the ratio, opponents
    ("equivalents_vs_dense", 0.33, ("dense", "own dense")),
    ("equivalents_vs_narrow_dense", None, ("dense",)),
    ("equivalents_vs_2to4", 0.7, ("2:4",)),
    ("equivalents_vs_zero_skipping", 1.2, ("skipping",)),
)


def as_good(one: Measured, best: Measured) -> bool:
    """On the choosing episodes, by the paired lower bound."""
    low, _ = paired(np.array([one.chosen_N], float), np.array([best.chosen_N], float))
    return low >= POINTS_LOST


def first_of(found: Sequence[Measured]) -> list[Measured]:
    """Those of the first seed, which choose: another seed's luck moves no opponent."""
    return [one for one in found if not one.seed]


def best_dense(found: Sequence[Measured]) -> Measured:
    """The dense network that succeeds most often on the choosing episodes; of equal ones the cheapest."""
    return max((one for one in found if one.side == "dense"), key=_successful)


def _successful(one: Measured) -> tuple[int, float]:
    return sum(one.chosen_N), -one.full


def level_of(found: Sequence[Measured]) -> tuple[Measured, bool]:
    """What success is asked for: the best dense network's, and whether one of ours has it; else the best of ours."""
    best, spikes = best_dense(found), [one for one in found if one.side == "spiking"]
    if any(as_good(one, best) for one in spikes):
        return best, True
    return max(spikes, key=_successful), False


def cheapest(found: Sequence[Measured], level: Measured, *sides: str) -> Measured | None:
    """Of these sides, among those that are as good."""
    good = [one for one in found if one.side in sides and as_good(one, level)]
    return min(good, key=lambda one: one.full, default=None)


def chosen_of(found: Sequence[Measured]) -> Measured:
    """The cheapest of ours that is as good as the best dense network; where none is, the best of ours."""
    level, reached = level_of(found)
    return (cheapest(found, level, "spiking") or level) if reached else level


def fronts(found: Sequence[Measured]) -> list[BenchRow]:
    """A row a network; a detail where another of its side costs no more and succeeds no less often on the choosing episodes."""

    def beaten(one: Measured) -> bool:
        mine = (one.full, -sum(one.chosen_N))
        others = [(o.full, -sum(o.chosen_N)) for o in found if o.side == one.side]
        return any(full <= mine[0] and lost <= mine[1] and (full, lost) != mine for full, lost in others)

    return [replace(row_of(one), detail=beaten(one)) for one in found]


def beside(
    name: str, goal: float | None, mine: Measured, other: Measured | None, found: Sequence[Measured]
) -> BenchRow:
    """Ours beside an opponent, held on the reported episodes. `goal`: of the ratio; None: nothing is asked."""
    if other is None:
        said = "not judged: no such opponent on this reference, and none on another is as good"
        return BenchRow(name=name, ours=None, unit=said)
    best, reached = best_dense(found), level_of(found)[1]
    low, high = paired(np.array([mine.reported_N], float), np.array([other.reported_N], float))
    ratio, kept = mine.full / other.full, reached and low >= POINTS_LOST
    short = f"; none of ours is shown within 3 points of the best dense one on the choosing episodes, {best.label}"
    return BenchRow(
        name=name,
        ours=mine.full,
        other=other.full,
        ratio=ratio,
        unit=f"synop-equivalents an action; {mine.label}, success {mine.success:.3f}, beside {other.side} {other.label}, "
        f"{other.success:.3f}: points {low:+.3f} to {high:+.3f}; waiting charged {mine.placed / other.placed:.2f}; "
        f"one candidate at a time {mine.alone / other.alone:.2f}" + ("" if reached else short),
        goal=None if goal is None else f"<= {goal:g}, points >= {POINTS_LOST:g}",
        holds=None if goal is None else ratio <= goal and kept,
    )


def compared(found: Sequence[Measured]) -> list[BenchRow]:
    """The cheapest of ours beside the cheapest of each kind of opponent, chosen on one set of episodes, held on the other.

    Where none of ours is as good as the best dense network, the best of ours is compared with what is as good as it: a loss, with
    its ratio shown.
    """
    found = first_of(found)
    level, mine = level_of(found)[0], chosen_of(found)
    return [beside(name, goal, mine, cheapest(found, level, *sides), found) for name, goal, sides in SIDES]


def of_seeds(found: Sequence[Measured]) -> list[BenchRow]:
    """The chosen point over the seeds of its training, all with the budget that the first chose."""
    first = first_of(found)
    chosen, level = chosen_of(first), level_of(first)[0]
    mine = [one for one in found if (one.side, one.point, one.budget) == (chosen.side, chosen.point, chosen.budget)]
    other = cheapest(first, level, "dense", "own dense")
    of_source = ("dense", chosen.origin, chosen.budget)
    source = next((one for one in first if (one.side, one.point, one.budget) == of_source), None)
    rows = []
    if other is not None:
        waiting = float(np.mean([one.placed for one in mine]))
        full = float(np.mean([one.full for one in mine]))
        low, high = _paired(mine, other)
        rows.append(
            BenchRow(
                name="equivalents_vs_dense_seeds",
                ours=full,
                other=other.full,
                ratio=full / other.full,
                unit=f"synop-equivalents an action, mean of {len(mine)} seeds of this training ({_each(mine)}), beside "
                f"{other.side} {other.label}, {other.success:.3f}: points {low:+.3f} to {high:+.3f}",
                goal=f"<= 0.33, points >= {POINTS_LOST:g}",
                holds=full / other.full <= 0.33 and low >= POINTS_LOST,
            )
        )
        rows.append(
            BenchRow(
                name="equivalents_vs_dense_waiting",
                ours=waiting,
                other=other.placed,
                ratio=waiting / other.placed,
                unit="the same, placed on one Loihi 2: neurons update while they wait, too",
                goal=f"<= 0.33, points >= {POINTS_LOST:g}",
                holds=waiting / other.placed <= 0.33 and low >= POINTS_LOST,
            )
        )
    if source is not None:
        points = [one.success - source.success for one in mine]
        rows.append(
            BenchRow(
                name="conversion_points_worst_seed",
                ours=min(points),
                unit=f"points beside {source.label}, {source.success:.3f}, which it was made from; {len(mine)} seeds of this "
                f"training: {_each(mine)}",
                goal=f">= {POINTS_LOST:g}",
                holds=min(points) >= POINTS_LOST,
            )
        )
    return rows


def _paired(mine: Sequence[Measured], other: Measured) -> tuple[float, float]:
    """Over episodes, of the mean of the seeds."""
    return paired(np.array([one.reported_N for one in mine], float), np.array([other.reported_N] * len(mine), float))


def _each(mine: Sequence[Measured]) -> str:
    return ", ".join(f"{one.success:.3f} for {one.full:,.0f}" for one in mine)
