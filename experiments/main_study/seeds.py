"""How far training seeds lie apart: every seed's own networks plan the reported episodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spikeplan.evaluation.aggregate import Run, group, method_row
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.shard import Job, shards
from spikeplan.experiments.runner.pool import run_jobs

METHODS = ("dense", "int8", "sigma_delta", "lif")
METRICS = ("validation_success", "probe_r2", "rollout_nmse_5")


def seed_jobs(task: str, folder: Path, episodes: int) -> list[Job]:
    checkpoint = str(folder / f"{task}.safetensors")
    planner = load_bundle(task, checkpoint=checkpoint).model.planner
    reference, factor = load_bundle(task, checkpoint=checkpoint).artifact.reference, 1.0
    return [
        Job(
            task=task,
            method=method,
            role="headline",
            planner=planner,
            episodes=episodes,
            first=first,
            count=count,
            reference=reference if method == "sigma_delta" else "zero",
            threshold=factor if method == "sigma_delta" else None,
            checkpoint=checkpoint,
        )
        for method in METHODS
        for first, count in shards(episodes, 25)
    ]


def measure_spread(
    task: str, trained: list[dict[str, Any]], folders: list[Path], parts: Path, *, episodes: int, console: Console
) -> dict[str, Any]:
    """`trained`: what `train_task` returned, one a seed, made in `folders`."""
    per_seed = [seed_jobs(task, folder, episodes) for folder in folders]
    results = iter(run_jobs([job for jobs in per_seed for job in jobs], parts, console=console))
    rows = []
    for found, jobs in zip(trained, per_seed, strict=True):
        runs = {run.job.method: run for run in group([next(results) for _ in jobs], jobs)}
        rows.append({"seed": found["seed"], **{name: found[name] for name in METRICS}, "methods": method_figures(runs)})
    success = {method: [row["methods"][method]["success"] for row in rows] for method in METHODS}
    return {
        "task": task,
        "episodes": episodes,
        "seeds": rows,
        "success": {
            method: {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1))}
            for method, values in success.items()
        },
    }


def method_figures(runs: dict[str, Run]) -> dict[str, dict[str, Any]]:
    kept = ("success", "ci95", "paired_vs_dense", "synop_share", "reference", "threshold")
    rows = {method: method_row(run, runs["dense"]) for method, run in runs.items()}
    return {method: {name: getattr(row, name) for name in kept} for method, row in rows.items()}
