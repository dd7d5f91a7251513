"""The rows of `bench planner` that are made of planned runs: which point is held against which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from spikeplan.core.counts.operations import POLICY_PREFIX, VALUE_PREFIX, part_of, per_action
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.intervals import paired
from spikeplan.experiments.bench.rows import BenchRow

POINTS = -0.03  # what a spiking method may lose
SMALL, DENSE, SPIKING, BINARY = "budget5-", "dense-", "spiking-", "lif-"  # how a point's name begins
PARTS = {POLICY_PREFIX: "policy", "": "predictor", VALUE_PREFIX: "cost-to-go"}


def _operations(run: Run, field: str) -> float:
    """Of policy, predictor, evaluation and selection, an action; the encoder aside."""
    assert run.op_counts is not None
    rows = [row for row in run.op_counts.rows(run.schedules[-1]) if row.phase != "encoder"]
    return per_action(rows, run.op_counts.actions, field)


def shares(run: Run) -> str:
    """Which part of a plan takes which share of its synop-equivalents, the largest first; the encoder aside."""
    assert run.op_counts is not None
    taken: dict[str, float] = defaultdict(float)
    for row in run.op_counts.rows(run.schedules[-1]):
        if row.phase != "encoder":
            taken[PARTS[part_of(row.layer)] if row.phase == "predictor" else row.phase] += row.synop_equivalents
    whole = sum(taken.values())
    largest = sorted(taken.items(), key=lambda one: -one[1])
    return ", ".join(f"{name} {part / whole:.0%}" for name, part in largest if part >= 0.005 * whole)


def less(ours: Run, other: Run) -> float:
    """Lower bound of what `ours` has more than `other`; either may have more seeds, an episode's are averaged."""
    return paired(*(run.success_KN.mean(0, keepdims=True) for run in (ours, other)))[0]


def _success(run: Run) -> float:
    return float(run.success_KN.mean())


def row(
    name: str,
    ours: float,
    other: float | None,
    goal: str,
    holds: bool,
    unit: str = "success",
    ratio: float | None = None,
) -> BenchRow:
    """`other`: what it is held against; a ratio of two successes would say nothing, so it is given where it does."""
    return BenchRow(name=name, ours=ours, other=other, ratio=ratio, unit=unit, goal=goal, holds=holds)


def two_room_rows(runs: dict[str, Run]) -> list[BenchRow]:
    """Guided planning on TwoRoom, dense and spiking."""
    dense, spiking = runs["dense"], runs["spiking"]
    macs = _operations(dense, "macs") / 1e6
    low = less(spiking, dense)
    ours, other = (_operations(run, "synop_equivalents") for run in (spiking, dense))
    return [
        row("guided_success", _success(dense), None, ">= 0.97", _success(dense) >= 0.97),
        row("guided_mmacs", macs, None, "<= 2", macs <= 2, "M MACs an action"),
        row("guided_spiking_points", low, 0.0, f"lower bound >= {POINTS}", low >= POINTS, "success - dense"),
        row(
            "guided_equivalents_ratio",
            ours,
            other,
            "<= 0.5 at iso-success",
            low >= POINTS and ours <= 0.5 * other,
            "synop-equivalents",
            ours / other,
        ),
    ]


def keep_out_rows(runs: dict[str, Run]) -> list[BenchRow]:
    """Does the task need its planner, how well is it solved, and what do spikes change?"""
    dense, spikes, few = (
        {name: run for name, run in runs.items() if name.startswith(start)} for start in (DENSE, SPIKING, SMALL)
    )
    best = best_of(runs, DENSE)
    top = _success(dense[best])
    policy, small = _success(runs["policy"]), max(map(_success, few.values()))
    lows = {name: less(run, dense[best]) for name, run in spikes.items()}
    low = max(lows.values())
    ours, other, strict = (
        _operations(runs[name], "synop_equivalents")
        for name in (_cheapest_spiking(runs), _cheapest_dense(runs), _cheapest_dense(runs, by_bounds=True))
    )
    return [
        row("keepout_policy_gap", top - policy, policy, ">= 0.20", round(top - policy, 9) >= 0.2),
        row("keepout_budget5_gap", top - small, small, ">= 0.20", round(top - small, 9) >= 0.2),
        row("keepout_dense", top, _success(runs[f"{DENSE}cem"]), ">= 0.90", top >= 0.9),
        row("keepout_spiking_points", low, 0.0, f"lower bound >= {POINTS}", low >= POINTS, "success - dense"),
        row(
            "keepout_equivalents_ratio",
            ours,
            other,
            "<= 0.5 at iso-success",
            low >= POINTS and ours <= 0.5 * other,
            "synop-equivalents",
            ours / other,
        ),
        BenchRow(
            name="keepout_equivalents_ratio_by_bounds",
            ours=ours,
            other=strict,
            ratio=ours / strict,
            unit="synop-equivalents; both sides within 3 points by their lower bounds",
        ),
    ]


def best_of(runs: dict[str, Run], side: str) -> str:
    """The point of a side with the highest success."""
    return max((name for name in runs if name.startswith(side)), key=lambda name: _success(runs[name]))


def _bound(runs: dict[str, Run], name: str) -> float:
    """Lower bound of a point's success less that of the best dense planner."""
    return less(runs[name], runs[best_of(runs, DENSE)])


def _cheapest_dense(runs: dict[str, Run], *, by_bounds: bool = False) -> str:
    """Within 3 points of the best: by its mean, which is easier, or by its lower bound, as the spiking side is asked."""
    best = best_of(runs, DENSE)
    equal = [
        name
        for name in runs
        if name.startswith(DENSE)
        and (
            name == best
            or (_bound(runs, name) >= POINTS if by_bounds else _success(runs[name]) >= _success(runs[best]) + POINTS)
        )
    ]
    return min(equal, key=lambda name: _operations(runs[name], "synop_equivalents"))


def _cheapest_spiking(runs: dict[str, Run]) -> str:
    """Within 3 points of the best dense planner by its lower bound; the closest one where none is."""
    lows = {name: _bound(runs, name) for name in runs if name.startswith(SPIKING)}
    enough = [name for name, bound in lows.items() if bound >= POINTS] or [max(lows, key=lambda name: lows[name])]
    return min(enough, key=lambda name: _operations(runs[name], "synop_equivalents"))


def seed_rows(prefix: str, by_seed: Sequence[dict[str, Run]], dense: str, spiking: str) -> list[BenchRow]:
    """Success of two points, spiking beside dense, for each training seed."""
    return [
        BenchRow(
            name=f"{prefix}_seed{i}",
            ours=_success(runs[spiking]),
            other=_success(runs[dense]),
            unit=f"success, {f'networks {i} of --trained' if i else 'the shipped networks'}: "
            f"{runs[spiking].job.method} beside {runs[dense].job.method}",
        )
        for i, runs in enumerate(by_seed)
    ]


def point_rows(prefix: str, runs: dict[str, Run], best: str) -> list[BenchRow]:
    """Every point: its success beside the lower bound of what it loses to the best dense one; in the unit what it takes, and
    which part of it takes how much."""
    found = []
    for name, run in runs.items():
        if run.op_counts is None or name == "on-chip":
            continue
        low = less(run, runs[best])
        millions = _operations(run, "synop_equivalents") / 1e6
        found.append(
            BenchRow(
                name=f"{prefix}_point_{name}",
                ours=_success(run),
                other=low,
                unit=f"success, and the lower bound of what it has more than {best}: {run.job.planner.label}, "
                f"{millions:.3g} M synop-equivalents ({shares(run)})",
            )
        )
    return found


def keep_out_seed_rows(by_seed: Sequence[dict[str, Run]], over_all: dict[str, Run]) -> list[BenchRow]:
    """Of the best dense planner and of the spiking one that the ratio is of."""
    return seed_rows("keepout", by_seed, best_of(over_all, DENSE), _cheapest_spiking(over_all))
