"""`spikeplan bench planner`: what planning costs where a policy guides it, and where a task needs it at all.

    guided_*    TwoRoom: copies of a policy in the model, dense and with the sigma-delta predictor
    keepout_*   discs that are known only at plan time: the policy alone, 5 % of the dense budget, and refined planning with whole
                and narrow networks; the ratio is to the cheapest of the dense ones
    guided_values_different, guided_plan_seconds   both tasks in Lava, every value against the integer reference
    guided_chip_ms   both tasks placed on one Loihi 2, by the time model

Every method plans the same episodes with the same planner seeds; success is over episodes and seeds. MACs are those of policy
and predictor an action, without the encoder, which every method pays alike. One training seed: the shipped files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from spikeplan.core.chips import LOIHI2
from spikeplan.core.counts.operations import per_action
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, PlannerConfig
from spikeplan.evaluation.admission import reduced_budgets
from spikeplan.evaluation.aggregate import Run, group
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.intervals import paired
from spikeplan.evaluation.lava.guided import guided_episodes
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.run_energy import traffic_of_planned
from spikeplan.evaluation.shard import Job, one_thread, shards
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.runner.pool import run_jobs
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.worldmodel.planning import PLANNERS
from spikeplan.worldmodel.tasks import make_world, task_of
from spikeplan.worldmodel.tasks.keep_out import COPIES

EPISODES, SEEDS, SHARD = 300, 3, 50
LAVA_EPISODES = 20
GUIDED = GuidedConfig(samples=2, horizon=8)
ON_CHIP = {"two-room": GUIDED, "keep-out": COPIES}
SPREADS = (1, 2, 4, 8)  # times the fewest cores a layer
POINTS = -0.03  # what a spiking method may lose
SMALL, DENSE, SPIKING = "budget5-", "dense-", "spiking-"  # how a point's name begins
REFINED = {
    DENSE: ("refined", "refined-narrow-128", "refined-narrow-96"),
    SPIKING: ("refined-sigma_delta", "refined-sigma_delta-128", "refined-sigma_delta-96"),
}


def bench_planner(
    console: Console, parts: Path | None = None, *, episodes: int = EPISODES, seeds: int = SEEDS
) -> list[BenchRow]:
    """Plan both tasks with every method; rows name, ours, other, ratio, unit, goal, holds. `parts` keeps finished shards."""
    one_thread()
    jobs = [*_jobs("two-room", _two_room(), episodes, seeds), *_jobs("keep-out", _keep_out(), episodes, seeds)]
    for task, config in ON_CHIP.items():
        jobs += _jobs(task, {"on-chip": ("guided-integer", config)}, min(LAVA_EPISODES, episodes), 1)
    with tempfile.TemporaryDirectory() as folder:
        runs = group(run_jobs(jobs, parts or Path(folder), console=console), jobs)
    rows = [*two_room_rows(_named(runs, "two-room")), *keep_out_rows(_named(runs, "keep-out"))]
    placed_runs = [_named(runs, task)["on-chip"] for task in ON_CHIP]
    return [*rows, *lava_rows(console, min(LAVA_EPISODES, episodes)), chip_row(placed_runs)]


def _two_room() -> dict[str, tuple[str, PlannerConfig]]:
    return {"dense": ("guided", GUIDED), "spiking": ("guided-sigma_delta", GUIDED)}


def _keep_out() -> dict[str, tuple[str, PlannerConfig]]:
    full = load_bundle("keep-out").model.planner
    refined, large = PLANNERS["refined"].settings(full), task_of("keep-out").planner
    assert large is not None
    points: dict[str, tuple[str, PlannerConfig]] = {
        "policy": ("policy", DirectConfig()),
        f"{DENSE}cem": ("dense", full),
    }
    points |= {f"{SMALL}{i}": ("dense", budget) for i, budget in enumerate(reduced_budgets(full))}
    for role, methods in REFINED.items():
        points |= {f"{role}{method}": (method, refined) for method in methods}
        points |= {f"{role}{method}-large": (method, large) for method in methods}
    return points


def _jobs(task: str, points: dict[str, tuple[str, PlannerConfig]], episodes: int, seeds: int) -> Iterable[Job]:
    """The name of a point travels as the job's role."""
    for role, (method, planner) in points.items():
        for seed in range(seeds if method != "policy" else 1):
            for first, count in shards(episodes, SHARD):
                yield Job(
                    task=task,
                    method=method,
                    role=role,
                    planner=planner,
                    episodes=episodes,
                    first=first,
                    count=count,
                    seed=seed,
                    threshold=1.0 if METHODS[method].spiking else None,
                )


def _named(runs: list[Run], task: str) -> dict[str, Run]:
    return {run.job.role: run for run in runs if run.job.task == task}


def _operations(run: Run, field: str) -> float:
    """Of policy, predictor, evaluation and selection, an action; the encoder aside."""
    assert run.op_counts is not None
    rows = [row for row in run.op_counts.rows(run.schedules[-1]) if row.phase != "encoder"]
    return per_action(rows, run.op_counts.actions, field)


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
    low, _ = paired(spiking.success_KN, dense.success_KN)
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
    best = max(dense, key=lambda name: _success(dense[name]))
    top = _success(dense[best])
    policy, small = _success(runs["policy"]), max(map(_success, few.values()))
    lows = {name: paired(run.success_KN, dense[best].success_KN)[0] for name, run in spikes.items()}
    low = max(lows.values())
    equal = [run for run in dense.values() if _success(run) >= top + POINTS]
    cheapest = min(equal, key=lambda run: _operations(run, "synop_equivalents"))
    enough = [name for name, bound in lows.items() if bound >= POINTS] or [max(lows, key=lambda name: lows[name])]
    ours = min(_operations(spikes[name], "synop_equivalents") for name in enough)
    other = _operations(cheapest, "synop_equivalents")
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
    ]


def lava_rows(console: Console, episodes: int) -> list[BenchRow]:
    """Closed-loop episodes of both tasks in Lava: values that differ from the integer reference, seconds of the median plan."""
    compared = different = 0
    seconds: dict[str, float] = {}
    with progress_bar(console) as bar:
        shown = bar.add_task("guided planning in Lava", total=sum(episodes * make_world(t).max_steps for t in ON_CHIP))
        for task, config in ON_CHIP.items():
            with tempfile.TemporaryDirectory() as folder:
                done = guided_episodes(
                    bundle=load_bundle(task),
                    planner=config,
                    episodes=episodes,
                    folder=Path(folder),
                    progress=lambda actions: bar.advance(shown, actions),
                )
            compared, different = compared + done.values_compared, different + done.values_different
            seconds[task] = done.plan_seconds
    slowest = max(seconds.values())
    return [
        row("guided_values_different", different, compared, "= 0", different == 0, "values"),
        row("guided_plan_seconds", slowest, None, "<= 0.1", slowest <= 0.1, "s of simulation a plan"),
    ]


def chip_row(runs: Sequence[Run]) -> BenchRow:
    """The slower task's milliseconds an action on one Loihi 2, at the placement that is fastest; every copy in a replica."""
    worst = max(_chip_seconds(run) for run in runs) * 1e3
    return row("guided_chip_ms", worst, None, "<= 1", worst <= 1.0, "ms an action")


def _chip_seconds(run: Run) -> float:
    traffic = traffic_of_planned(run)
    found = [
        placed(traffic, LOIHI2, replicas=run.job.planner.samples, spread=spread, extent="loop") for spread in SPREADS
    ]
    fitting = [one for one in found if one.found.chips == 1 and not one.found.broken]
    if not fitting:
        raise UserError(
            f"{run.job.task}: {run.job.planner.label} does not fit one {LOIHI2.name}; plan with fewer copies"
        )
    return min(one.times["sequential"]["nominal"].action_s for one in fitting)
