"""`spikeplan train`: progress, metrics file, spread over seeds; predictors of other shapes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress, TaskID

from spikeplan.core.errors import UserError
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.shard import one_thread
from spikeplan.evaluation.training.predictors import (
    DISTILLATION,
    check_teacher,
    predictor_path,
    recorded_for,
    train_predictor,
)
from spikeplan.experiments.main_study.seeds import measure_spread
from spikeplan.experiments.runner.output import check_seed, open_output, versions, write_json
from spikeplan.experiments.runner.progress import progress_bar, working
from spikeplan.experiments.training.derive import DeriveConfig
from spikeplan.experiments.training.train_task import train_task
from spikeplan.worldmodel.train import TrainConfig, recipe

SPREAD_EPISODES = 100


def train_command(task: str, *, seed: int, seeds: int, out: str, steps: int | None, console: Console) -> None:
    _check(seed, seeds, steps)
    root = Path(out)
    # The spread is of the networks that the comparison rests on; the narrow and pruned opponents are made for one seed.
    derive = DeriveConfig() if seeds == 1 else DeriveConfig(narrow_widths=(), pruned_percent=(), guided_widths=())
    trained, folders = [], []
    for offset in range(seeds):
        config = recipe(task, seed + offset)
        if steps is not None:
            config = replace(config, steps=steps, validate_every=min(config.validate_every, max(1, steps)))
        folder = open_output(root / f"{task}-seed{seed + offset}" if seeds > 1 else root, command="train")
        write_json(
            folder / "config.json",
            {"command": "train", "task": task, "seed": config.seed, "versions": versions()},
            indent=1,
        )
        trained.append(_one(config, derive, folder, console))
        folders.append(folder)
    if seeds > 1:
        spread = measure_spread(task, trained, folders, root / "parts", episodes=SPREAD_EPISODES, console=console)
        write_json(root / f"{task}-spread.json", spread, indent=1)
        for method, found in spread["success"].items():
            each = ", ".join(f"{row['methods'][method]['success']:.2f}" for row in spread["seeds"])
            console.print(f"{task} {method}: {found['mean']:.3f} +- {found['std']:.3f} over training seeds ({each})")


def predictors_command(
    task: str, kinds: Sequence[str], *, seed: int, seeds: int, out: str, steps: int | None, console: Console
) -> None:
    """Predictors of other shapes for a task with shipped networks, each of `kinds` once a seed."""
    _check(seed, seeds, None)
    if steps is not None:
        raise UserError("train: --steps is of a world model, which --predictors does not train; leave it out")
    check_teacher(task)
    one_thread()
    bundle, root = load_bundle(task), Path(out)
    folders = {n: root / f"{task}-seed{n}" if seeds > 1 else root for n in range(seed, seed + seeds)}
    for n, folder in folders.items():
        open_output(folder, command="train")
        write_json(
            folder / "config.json", {"command": "train", "task": task, "seed": n, "versions": versions()}, indent=1
        )
    with working(f"train: records of {task}"):
        records = recorded_for(bundle)
    for n, folder in folders.items():
        for kind in kinds:
            file = folder / predictor_path(bundle, kind).name
            with progress_bar(console) as bar:
                shown = bar.add_task(f"{kind} seed {n}", total=DISTILLATION.short_steps + DISTILLATION.steps)
                train_predictor(bundle, kind, records, file, seed=n, report=partial(_advance, bar, shown))
            console.print(f"{kind} seed {n}: {file}")


def _advance(bar: Progress, shown: TaskID, name: str, row: dict[str, Any]) -> None:
    bar.advance(shown)


def _check(seed: int, seeds: int, steps: int | None) -> None:
    for name, value, most in (("seeds", seeds, 1000), ("steps", steps, 10**7)):
        if value is not None and not 1 <= value <= most:
            raise UserError(f"train: --{name} {value} must be from 1 to {most:,}")
    check_seed(seed)


def _one(config: TrainConfig, derive: DeriveConfig, folder: Path, console: Console) -> dict[str, Any]:
    began = time.monotonic()
    with progress_bar(console) as bar, (folder / "metrics.jsonl").open("a") as log:
        tasks: dict[str, Any] = {}

        def report(stage: str, row: dict[str, Any]) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=row["total_steps"])
            success = row.get("validation_success", row.get("success"))
            bar.update(tasks[stage], completed=row["step"])
            if success is not None:
                bar.update(tasks[stage], description=f"{stage}: validation {success:.2f}")
            if row["step"] % 50 == 0 or success is not None:
                seconds = round(time.monotonic() - began, 1)
                log.write(json.dumps({"stage": stage, **row, "seconds": seconds}) + "\n")
                log.flush()

        found = train_task(config, derive, folder, report=report)
    chosen = found["delta"]["chosen"]
    console.print(
        f"{config.task} seed {config.seed}: validation success {found['validation_success']:.2f}; sigma-delta on reference "
        f"{chosen['reference']}, thresholds x {chosen['factor']}: {chosen['success']:.2f} at density {chosen['density']:.2f}; "
        f"LIF {found['lif_validation_success']:.2f}; policy {found['policy_validation_success']:.2f}, in LIF spikes "
        f"{found['policy_lif_validation_success']:.2f}; {time.monotonic() - began:.0f} s"
    )
    return found
