"""How far training seeds lie apart: every seed's own networks plan the reported episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spikeplan.evaluation.aggregate import Run, arm_row, group
from spikeplan.evaluation.bundle import chosen_of, load_bundle
from spikeplan.evaluation.shard import Job, shards
from spikeplan.experiments.runner.pool import run_jobs

ARMS = ("dense", "int8", "delta", "lif")
METRICS = ("validation_success", "probe_r2", "rollout_nmse_5")


def seed_jobs(task: str, folder: Path, episodes: int) -> list[Job]:
    checkpoint = str(folder / f"{task}.safetensors")
    planner = load_bundle(task, checkpoint=checkpoint).model.planner
    axis, factor = chosen_of(task, checkpoint=checkpoint)
    return [
        Job(
            task=task, arm=arm, role="headline", planner=planner, episodes=episodes, first=first, count=count,
            axis=axis if arm == "delta" else "none", threshold=factor if arm == "delta" else None, checkpoint=checkpoint,
        )
        for arm in ARMS
        for first, count in shards(episodes, 25)
    ]  # fmt: skip


def measure_spread(
    task: str, trained: list[dict[str, Any]], folders: list[Path], parts: Path, *, episodes: int, console: Console
) -> dict[str, Any]:
    """`trained`: what `train_task` returned, one a seed, made in `folders`."""
    per_seed = [seed_jobs(task, folder, episodes) for folder in folders]
    results = iter(run_jobs([job for jobs in per_seed for job in jobs], parts, console=console))
    rows = []
    for found, jobs in zip(trained, per_seed, strict=True):
        runs = {run.job.arm: run for run in group([next(results) for _ in jobs], jobs)}
        rows.append({"seed": found["seed"], **{name: found[name] for name in METRICS}, "arms": arm_figures(runs)})
    success = {arm: [row["arms"][arm]["success"] for row in rows] for arm in ARMS}
    return {
        "task": task, "episodes": episodes, "seeds": rows,
        "success": {
            arm: {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))} for arm, values in success.items()
        },
    }  # fmt: skip


def arm_figures(runs: dict[str, Run]) -> dict[str, dict[str, Any]]:
    kept = ("success", "ci95", "paired_vs_dense", "synop_share", "axis", "threshold")
    rows = {arm: arm_row(run, runs["dense"]) for arm, run in runs.items()}
    return {arm: {name: row[name] for name in kept} for arm, row in rows.items()}
