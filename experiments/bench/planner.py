"""`spikeplan bench planner`: what planning costs where a policy guides it, and where a task needs it at all.

    guided_*    TwoRoom: copies of a policy in the model, with the policy's cost-to-go at the end; the same in graded spikes
    keepout_*   discs that are known only at plan time: the policy alone, told of them; 5 % of the dense budget; and guided
                planning with whole and narrow networks, dense ones by search and along their gradient, too, and in LIF spikes;
                the ratio is sigma-delta's to the cheapest of the dense ones
    guided_values_different, guided_plan_seconds   both tasks in Lava, every value against the integer reference
    guided_chip_ms   the same placed on one Loihi 2, by the time model

Every method plans the same episodes with the same planner seeds; success is over episodes and seeds. MACs are those of policy
and predictor an action, without the encoder, which every method pays alike.

Training seeds: the shipped files, and those in the folders of `--trained`. All plan the same episodes; rows are over all of them,
and a row `NAME_seedI` a seed holds spiking success against dense. Lava and chip rows are of the shipped files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console

from spikeplan.core.chips import LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, PlannerConfig
from spikeplan.evaluation.admission import reduced_budgets
from spikeplan.evaluation.aggregate import Run, group, pooled
from spikeplan.evaluation.bundle import derived, load_bundle
from spikeplan.evaluation.lava.guided import guided_episodes
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.policy import SPIKING_WIDTHS
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.run_energy import traffic_of_planned
from spikeplan.evaluation.shard import Job, one_thread, shards
from spikeplan.experiments.bench.planner_rows import (
    BINARY,
    DENSE,
    SMALL,
    SPIKING,
    best_of,
    keep_out_rows,
    keep_out_seed_rows,
    point_rows,
    row,
    seed_rows,
    two_room_rows,
)
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.runner.pool import run_jobs
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.worldmodel.checkpoint import load_model, shipped
from spikeplan.worldmodel.tasks import make_world, task_of
from spikeplan.worldmodel.tasks.keep_out import DESCENTS, PLANNER

EPISODES, SEEDS, SHARD = 300, 3, 50
LAVA_EPISODES = 20
GUIDED = GuidedConfig(samples=3, horizon=4, to_go=0.3)
ON_CHIP = {"two-room": GUIDED, "keep-out": PLANNER}
# With one planner seed: a policy has no noise, and CEM at its full budget takes most of the time.
ONCE = ("policy", f"{DENSE}cem")
NARROW = SPIKING_WIDTHS["guided"]
NEEDED = (  # of a further training seed, beside its world model
    *("policy", "cost-to-go", "cost-to-go-lif", "delta"),
    *(f"keep-out/{kind}" for kind in ("policy", "policy-lif", "delta", "lif")),
    *(f"keep-out/{kind}-{width}" for kind in ("narrow", "delta") for width in NARROW),
)
SPREADS = (1, 2, 4, 8)  # times the fewest cores a layer
GUIDED_BY = {
    DENSE: ("guided", *(f"guided-narrow-{width}" for width in NARROW)),
    SPIKING: ("guided-sigma_delta", *(f"guided-sigma_delta-{width}" for width in NARROW)),
}


def bench_planner(
    console: Console,
    parts: Path | None = None,
    *,
    trained: Sequence[str] = (),
    episodes: int = EPISODES,
    seeds: int = SEEDS,
) -> list[BenchRow]:
    """Plan both tasks with every method; rows name, ours, other, ratio, unit, goal, holds.

    Args:
        parts: keeps finished shards.
        trained: folders of `spikeplan train --task two-room`, one a further training seed.

    Raises UserError for a folder that lacks a file.
    """
    one_thread()
    networks = [None, *different([checkpoint_in(folder) for folder in trained])]
    jobs = [
        job
        for checkpoint in networks
        for task, points in (("two-room", _two_room()), ("keep-out", _keep_out()))
        for job in _jobs(task, points, episodes, seeds, checkpoint)
    ]
    for task, config in ON_CHIP.items():
        jobs += _jobs(task, {"on-chip": ("guided-integer", config)}, min(LAVA_EPISODES, episodes), 1)
    with tempfile.TemporaryDirectory() as folder:
        runs = group(run_jobs(jobs, parts or Path(folder), console=console), jobs)
    by_seed = {task: [_named(runs, task, checkpoint) for checkpoint in networks] for task in ("two-room", "keep-out")}
    guided, keep_out = (
        {name: pooled([one[name] for one in runs if name in one]) for name in runs[0]} for runs in by_seed.values()
    )
    rows = [*two_room_rows(guided), *keep_out_rows(keep_out)]
    rows += [*point_rows("guided", guided, "dense"), *point_rows("keepout", keep_out, best_of(keep_out, DENSE))]
    if trained:
        rows += seed_rows("guided", by_seed["two-room"], "dense", "spiking")
        rows += keep_out_seed_rows(by_seed["keep-out"], keep_out)
    placed_runs = [_named(runs, task)["on-chip"] for task in ON_CHIP]
    return [*rows, *lava_rows(console, min(LAVA_EPISODES, episodes)), chip_row(placed_runs)]


def _two_room() -> dict[str, tuple[str, PlannerConfig]]:
    return {"dense": ("guided", GUIDED), "spiking": ("guided-sigma_delta", GUIDED)}


def _keep_out() -> dict[str, tuple[str, PlannerConfig]]:
    full = load_bundle("keep-out").model.planner
    task = task_of("keep-out")
    assert task.planner is not None
    guided = {"": task.planner} | {f"-{i}": budget for i, budget in enumerate(task.budgets, 1)}
    points: dict[str, tuple[str, PlannerConfig]] = {
        "policy": ("policy", DirectConfig()),
        f"{DENSE}cem": ("dense", full),
    }
    points |= {f"{SMALL}{i}": ("dense", budget) for i, budget in enumerate(reduced_budgets(full))}
    points |= {f"{DENSE}gradient-narrow-96-{i}": ("gradient-narrow-96", budget) for i, budget in enumerate(DESCENTS)}
    assert task.teacher is not None
    points[f"{DENSE}refined-narrow-128"] = ("refined-narrow-128", task.teacher)
    for role, methods in GUIDED_BY.items():
        points |= {f"{role}{method}{size}": (method, budget) for method in methods for size, budget in guided.items()}
    points |= {f"{BINARY}guided-lif{size}": ("guided-lif", budget) for size, budget in guided.items()}
    return points


def checkpoint_in(folder: str) -> str:
    """The world model in a folder of `spikeplan train`. Raises UserError where it or a derived network is missing."""
    path = Path(folder) / f"{task_of('keep-out').trained_on}.safetensors"
    for file in (path, *(derived(path, name) for name in NEEDED)):
        if not file.is_file():
            where = file.relative_to(path.parent)
            raise UserError(f"--trained {folder}: no {where}; train it with `spikeplan train --task two-room`")
    for task in ("two-room", "keep-out"):  # a damaged one is refused before hours of work
        bundle = load_bundle(task, checkpoint=str(path))
        bundle.policy(), bundle.cost_to_go()
    return str(path)


def different(checkpoints: list[str]) -> list[str]:
    """The same world models. Raises UserError for a training seed that is there already: two such files hold one network."""
    seen = {load_model(shipped("two-room")).seed: "the shipped network"}
    for path in checkpoints:
        seed = load_model(path).seed
        if seed in seen:
            raise UserError(f"--trained {path}: training seed {seed} is that of {seen[seed]}; give another seed's")
        seen[seed] = path
    return checkpoints


def _jobs(
    task: str, points: dict[str, tuple[str, PlannerConfig]], episodes: int, seeds: int, checkpoint: str | None = None
) -> Iterable[Job]:
    """The name of a point travels as the job's role."""
    for role, (method, planner) in points.items():
        for seed in range(1 if role in ONCE else seeds):
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
                    checkpoint=checkpoint,
                )


def _named(runs: list[Run], task: str, checkpoint: str | None = None) -> dict[str, Run]:
    return {run.job.role: run for run in runs if run.job.task == task and run.job.checkpoint == checkpoint}


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
