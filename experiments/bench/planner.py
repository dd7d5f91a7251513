"""`spikeplan bench planner`: what planning costs where a policy guides it, and where a task needs it at all.

    guided_*    TwoRoom: copies of a policy in the model, dense and with the sigma-delta predictor
    keepout_*   discs that are known only at plan time: the policy alone, 5 % of the dense budget, and refined planning

Every method plans the same episodes with the same planner seeds; success is over episodes and seeds. MACs are those of policy
and predictor an action, without the encoder, which every method pays alike. One training seed: the shipped files.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console

from spikeplan.core.counts.operations import per_action
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, PlannerConfig
from spikeplan.evaluation.admission import reduced_budgets
from spikeplan.evaluation.aggregate import Run, group
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.intervals import paired
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.shard import Job, one_thread, shards
from spikeplan.experiments.runner.pool import run_jobs
from spikeplan.worldmodel.planning import PLANNERS

EPISODES, SEEDS, SHARD = 300, 3, 50
GUIDED = GuidedConfig(samples=2, horizon=8)
POINTS = -0.03  # what a spiking method may lose


def bench_planner(console: Console, *, episodes: int = EPISODES, seeds: int = SEEDS) -> list[dict[str, Any]]:
    """Plan both tasks with every method; rows name, ours, other, ratio, unit, goal, holds."""
    one_thread()
    jobs = [*_jobs("two-room", _two_room(), episodes, seeds), *_jobs("keep-out", _keep_out(), episodes, seeds)]
    with tempfile.TemporaryDirectory() as parts:
        runs = group(run_jobs(jobs, Path(parts), console=console), jobs)
    return [*two_room_rows(_named(runs, "two-room")), *keep_out_rows(_named(runs, "keep-out"))]


def _two_room() -> dict[str, tuple[str, PlannerConfig]]:
    return {"dense": ("guided", GUIDED), "spiking": ("guided-sigma_delta", GUIDED)}


def _keep_out() -> dict[str, tuple[str, PlannerConfig]]:
    full = load_bundle("keep-out").model.planner
    refined = PLANNERS["refined"].settings(full)
    small = {f"budget5-{i}": ("dense", budget) for i, budget in enumerate(reduced_budgets(full))}
    large = refined.at(
        samples=full.samples, iterations=full.iterations, horizon=full.horizon + 2, copies=16, spread=0.5, decay=0.9
    )
    planned = {"cem": ("dense", full), "refined": ("refined", refined), "refined-large": ("refined", large)}
    spiking: dict[str, tuple[str, PlannerConfig]] = {"spiking": ("refined-sigma_delta", refined)}
    return {"policy": ("policy", DirectConfig()), **small, **planned, **spiking}


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
) -> dict[str, Any]:
    """A row of a bench. `other`: what it is held against."""
    return {"name": name, "ours": ours, "other": other, "ratio": ratio, "unit": unit, "goal": goal, "holds": holds}


def two_room_rows(runs: dict[str, Run]) -> list[dict[str, Any]]:
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


def keep_out_rows(runs: dict[str, Run]) -> list[dict[str, Any]]:
    """Does the task need its planner, how well is it solved, and what do spikes change?"""
    dense = {name: runs[name] for name in ("cem", "refined", "refined-large")}
    best = max(dense, key=lambda name: _success(dense[name]))
    top = _success(dense[best])
    policy = _success(runs["policy"])
    small = max(_success(run) for name, run in runs.items() if name.startswith("budget5"))
    spiking = runs["spiking"]
    low, _ = paired(spiking.success_KN, dense[best].success_KN)
    equal = [run for run in dense.values() if _success(run) >= top + POINTS]
    cheapest = min(equal, key=lambda run: _operations(run, "synop_equivalents"))
    ours, other = (_operations(run, "synop_equivalents") for run in (spiking, cheapest))
    return [
        row("keepout_policy_gap", top - policy, policy, ">= 0.20", round(top - policy, 9) >= 0.2),
        row("keepout_budget5_gap", top - small, small, ">= 0.20", round(top - small, 9) >= 0.2),
        row("keepout_dense", top, _success(runs["cem"]), ">= 0.90", top >= 0.9),
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
