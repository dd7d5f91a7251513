"""`spikeplan train`: progress, metrics file, spread over seeds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from experiments.output import open_output, versions, write_json
from experiments.pool import progress_bar
from experiments.train_task import DeriveConfig, train_task
from spec.errors import UserError
from worldmodel.train import recipe

SPREAD = ("validation_success", "probe_r2", "rollout_nmse_5", "lif_validation_success")


def train_command(task: str, *, seed: int, seeds: int, out: str, steps: int | None, console: Console) -> None:
    if seeds < 1:
        raise UserError(f"train: --seeds {seeds} must be at least 1")
    root = Path(out)
    runs = []
    for offset in range(seeds):
        config = recipe(task, seed + offset)
        if steps is not None:
            config = replace(config, steps=steps, validate_every=min(config.validate_every, max(1, steps)))
        folder = open_output(root / f"{task}-seed{seed + offset}" if seeds > 1 else root)
        write_json(folder / "config.json", {"task": task, "seed": config.seed, "versions": versions()}, indent=1)
        runs.append(_one(config, folder, console))
    if seeds > 1:
        spread = {
            name: {"values": [run[name] for run in runs], "mean": float(np.mean([run[name] for run in runs])),
                   "std": float(np.std([run[name] for run in runs], ddof=1))}
            for name in SPREAD
        }  # fmt: skip
        spread["delta_success"] = {"values": [run["delta"]["chosen"]["success"] for run in runs]}
        spread["delta_density"] = {"values": [run["delta"]["chosen"]["density"] for run in runs]}
        write_json(root / f"{task}-spread.json", spread, indent=1)
        console.print_json(data=spread)


def _one(config: Any, folder: Path, console: Console) -> dict[str, Any]:
    metrics = folder / "metrics.jsonl"
    with progress_bar(console) as bar, metrics.open("a") as log:
        tasks: dict[str, Any] = {}

        def report(stage: str, row: dict[str, Any]) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=row["total_steps"])
            success = row.get("validation_success")
            bar.update(tasks[stage], completed=row["step"])
            if success is not None:
                bar.update(tasks[stage], description=f"{stage}: validation {success:.2f}")
            if row["step"] % 50 == 0 or success is not None or stage.endswith("thresholds"):
                log.write(json.dumps({"stage": stage, **row}) + "\n")
                log.flush()

        found = train_task(config, DeriveConfig(), folder, report=report)
    console.print(
        f"{config.task} seed {config.seed}: validation success {found['validation_success']:.2f}, "
        f"delta {found['delta']['chosen']}, LIF {found['lif_validation_success']:.2f}"
    )
    return found
