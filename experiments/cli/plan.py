"""`spikeplan plan`: one arm alone, with the main job's fields."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from spikeplan.core.counts.ledger import AXES
from spikeplan.core.errors import UserError
from spikeplan.evaluation.aggregate import arm_row, group, ledger_row
from spikeplan.evaluation.bundle import DELTA_ARMS, LARGEST_FACTOR, OWN_DENSE_ARMS, PLANNER_ARMS, chosen_of, load_bundle
from spikeplan.evaluation.lava_episodes import lava_episodes
from spikeplan.evaluation.shard import ARMS, EPISODE_SEED, Job, one_thread, shards
from spikeplan.experiments.main_study.summary import arm_summary
from spikeplan.experiments.runner.output import check_seed, open_output, versions, write_json, write_text
from spikeplan.experiments.runner.pool import progress_bar, remove_parts, run_jobs
from spikeplan.lava_procs.fused import check_axis
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning.cem import LARGEST
from spikeplan.worldmodel.planning.integer_cem import IntegerCEM
from spikeplan.worldmodel.tasks import make_world

SIGMA_DELTA = (*DELTA_ARMS, "lava")
PLANNED = (*ARMS, "zero-skip", *OWN_DENSE_ARMS, *DELTA_ARMS[1:])


def plan_command(
    *, task: str, arm: str, out: str, episodes: int, seed: int, axis: str | None, threshold: float | None,
    budget: dict[str, Any], checkpoint: str | None, artifact: str | None, console: Console,
) -> None:  # fmt: skip
    _check(task=task, arm=arm, episodes=episodes, axis=axis, threshold=threshold, budget=budget, artifact=artifact)
    bundle = load_bundle(task, checkpoint=checkpoint, artifact=artifact)
    planner = bundle.model.planner.at(**budget)
    check_seed(seed)
    # Reads the files: a foreign one is refused before anything is written.
    chosen = chosen_of(task, arm, checkpoint=checkpoint, artifact=artifact) if arm in SIGMA_DELTA else ("none", 1.0)
    if arm not in ("random", "oracle"):
        bundle.digest(arm)
    if arm in ("integer", "lava"):
        world = make_world(task)
        IntegerCEM(
            DeltaPredictor(bundle.artifact), planner, action_dim=world.action_dim, action_limit=world.action_limit
        )
    if arm == "lava":
        check_axis(axis or chosen[0])
    folder = open_output(Path(out), command="plan")
    one_thread()
    began = time.monotonic()
    if axis not in (None, chosen[0]) and threshold is None:
        console.print(
            f"thresholds x {chosen[1]:g} were chosen for axis {chosen[0]}; axis {axis} needs finer ones (--threshold)"
        )
    axis, threshold = axis or chosen[0], chosen[1] if threshold is None else threshold
    if arm == "lava":
        with progress_bar(console) as bar:
            ticks = bar.add_task("planning in Lava", total=episodes * make_world(task).max_steps)
            rows = [lava_episodes(bundle, planner, axis=axis, threshold=threshold, episodes=episodes, seed=seed,
                                  folder=folder / "lava", progress=lambda n: bar.advance(ticks, n))]  # fmt: skip
    else:
        jobs = [
            Job(
                task=task, arm=arm, role="headline", planner=planner, episodes=episodes, first=first, count=count, seed=seed,
                axis=axis, threshold=threshold if arm in SIGMA_DELTA else None,
                checkpoint=checkpoint, artifact=artifact,
            )
            for first, count in shards(episodes, 25)
        ]  # fmt: skip
        results = run_jobs(jobs, folder / "parts", console=console)
        runs = group(results, jobs)
        rows = [row for run in runs for row in (arm_row(run, None), *ledger_row(run, None))]
        write_text(folder / "metrics.jsonl", "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
    found = arm_summary(rows, task, arm)
    summary = {"episodes": episodes, "seeds": 1, "seconds": round(time.monotonic() - began, 1),
               "tasks": {task: {"arms": {arm: found}}}}  # fmt: skip
    asked = {"task": task, "arm": arm, "seed": seed, "episodes": episodes, "axis": axis, "threshold": threshold,
             "checkpoint": str(bundle.model_path), "files_sha256": bundle.digest(arm),
             "artifact": artifact, "planner": asdict(planner)}  # fmt: skip
    write_json(folder / "config.json", {"command": "plan", **asked, "episode_seed": EPISODE_SEED, "versions": versions()},
               indent=1)  # fmt: skip
    write_json(folder / "summary.json", summary, indent=1)
    remove_parts(folder / "parts")
    table = Table("figure", "value", title=f"{arm} on {task}, {planner.label}")
    for key, value in found.items():
        if value is not None:
            table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    console.print(table)


def _check(
    *, task: str, arm: str, episodes: int, axis: str | None, threshold: float | None, budget: dict[str, Any],
    artifact: str | None,
) -> None:  # fmt: skip
    """Refuses what does not go together, before anything is read or written."""
    make_world(task)
    if arm not in PLANNED:
        raise UserError(f"arm {arm!r} is unknown; use one of {', '.join(PLANNED)}")
    if axis is not None and axis not in AXES:
        raise UserError(f"axis {axis!r} is unknown; use one of {', '.join(AXES)}")
    if axis is not None and arm not in SIGMA_DELTA:
        raise UserError(f"arm {arm!r} has no axes of change; --axis goes with --arm delta")
    if threshold is not None and (arm not in SIGMA_DELTA or not 0 < threshold <= LARGEST_FACTOR):
        raise UserError(
            f"--threshold {threshold:g} with --arm {arm}: a factor from 0 to {LARGEST_FACTOR:g}, for sigma-delta arms only"
        )
    if artifact is not None and arm not in ("delta", "lava", *PLANNER_ARMS):
        raise UserError(f"--artifact {artifact} with --arm {arm}: an artifact is planned with by --arm delta or lava")
    if not 1 <= episodes <= LARGEST:
        raise UserError(f"--episodes {episodes} must be at least 1 and at most {LARGEST}")
