"""`spikeplan planners`: the same spiking network under three planners, on the same episodes and planner seeds.

    delta       floating-point CEM, standard deviation of the elites: what the other tables use
    delta-mad   floating-point CEM with the spread that the integer planner estimates (mean absolute deviation): the control
    integer     the whole plan in 24-bit words (worldmodel/planning/integer_cem.py): what the Lava loop computes, bit by bit

The noise of `integer` comes from its own generator: pairs share episodes, not noise.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.console import Console
from rich.table import Table

from spikeplan.core.errors import UserError
from spikeplan.evaluation.aggregate import Run, group, method_row
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.intervals import paired
from spikeplan.evaluation.rows import Interval, Row, lines_of
from spikeplan.evaluation.shard import EPISODE_SEED, Job, one_thread, shards
from spikeplan.experiments.runner.output import open_output, versions, write_json, write_text
from spikeplan.experiments.runner.pool import remove_parts, run_jobs

TASKS = ("two-room", "planar-reach")
METHODS = ("sigma_delta", "sigma_delta-mad", "integer")
LEAST = -0.03  # lower bound of integer - floating that is asked for
SHARD = 50


def planners_command(
    out: str, *, episodes: int, seeds: int, console: Console, overwrite: bool = False
) -> dict[str, Any]:
    for name, value, most in (("episodes", episodes, 10_000), ("seeds", seeds, 20)):
        if not 1 <= value <= most:
            raise UserError(f"--{name} {value} must be at least 1 and at most {most}")
    asked = {"episodes": episodes, "seeds": seeds}
    folder = open_output(Path(out), command="planners", asked=asked, overwrite=overwrite)
    one_thread()
    began = time.monotonic()
    jobs = [job for task in TASKS for job in jobs_of(task, episodes, seeds)]
    runs = group(run_jobs(jobs, folder / "parts", console=console), jobs)
    rows = [row for task in TASKS for row in rows_of([run for run in runs if run.job.task == task])]
    summary = {
        "episodes": episodes,
        "seeds": seeds,
        "seconds": round(time.monotonic() - began, 1),
        "tasks": {task: [row.to_json() for row in rows if row.task == task] for task in TASKS},
    }
    config = {
        "command": "planners",
        **asked,
        "episode_seed": EPISODE_SEED,
        "files_sha256": {task: files_digest(task) for task in TASKS},
        "versions": versions(),
    }
    write_json(folder / "config.json", config, indent=1)
    write_text(folder / "metrics.jsonl", lines_of(rows))
    write_json(folder / "summary.json", summary, indent=1)
    remove_parts(folder / "parts")
    console.print(table_of(rows))
    return summary


def files_digest(task: str) -> str:
    bundle = load_bundle(task)
    return bundle.digest([bundle.model_path, bundle.artifact_path])


def jobs_of(task: str, episodes: int, seeds: int) -> list[Job]:
    planner = load_bundle(task).model.planner
    reference, factor = load_bundle(task).artifact.reference, 1.0
    return [
        Job(
            task=task,
            method=method,
            role="headline",
            planner=planner,
            episodes=episodes,
            first=first,
            count=count,
            seed=seed,
            reference=reference,
            threshold=factor,
        )
        for method in METHODS
        for seed in range(seeds)
        for first, count in shards(episodes, SHARD)
    ]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Success of the integer planner minus that of another one, paired by episode."""

    mean: float
    ci95: Interval
    goal: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class PlannerRow(Row):
    """One planner of the same network. `saturated`: values clipped, per action; `minus`: of the integer planner only."""

    kind: ClassVar[str] = "planner"
    method: str
    reference: str
    threshold: float | None
    episodes: int
    seeds: int
    success: float
    ci95: Interval
    synop_share: float | None
    seconds: float
    synop_equivalents: dict[str, float] | None
    saturated: float
    minus: dict[str, Difference]


def rows_of(runs: list[Run]) -> list[PlannerRow]:
    """A row a planner: success, what it costs, and the paired difference of `integer` to both others."""
    by_method = {run.job.method: run for run in runs}
    rows = []
    for method, run in by_method.items():
        others = [other for other in METHODS if other != method] if method == "integer" else []
        row = method_row(run, None)
        rows.append(
            PlannerRow(
                task=row.task,
                method=method,
                reference=row.reference,
                threshold=row.threshold,
                episodes=row.episodes,
                seeds=row.seeds,
                success=row.success,
                ci95=row.ci95,
                synop_share=row.synop_share,
                seconds=row.seconds,
                synop_equivalents=row.equivalents,
                saturated=(row.per_action or {})["saturated"],
                minus={other: difference(run, by_method[other]) for other in others},
            )
        )
    return rows


def difference(ours: Run, other: Run) -> Difference:
    mean = float(np.mean(ours.success_KN - other.success_KN))
    interval = paired(ours.success_KN, other.success_KN)
    return Difference(mean=mean, ci95=interval, goal=f"lower bound >= {LEAST}", holds=interval[0] >= LEAST)


def table_of(rows: list[PlannerRow]) -> Table:
    table = Table(title="one spiking network under three planners")
    for name in ("task", "planner", "success", "95 %", "integer - it", "95 %", "holds"):
        table.add_column(name)
    for task in dict.fromkeys(row.task for row in rows):
        of_task = [row for row in rows if row.task == task]
        minus = next(row.minus for row in of_task if row.method == "integer")
        for row in of_task:
            against = minus.get(row.method)
            low, high = row.ci95
            cells = [task, row.method, f"{row.success:.3f}", f"{low:.3f} to {high:.3f}"]
            if against is not None:
                cells += [
                    f"{against.mean:+.3f}",
                    "{:+.3f} to {:+.3f}".format(*against.ci95),
                    "yes" if against.holds else "no",
                ]
            table.add_row(*cells)
    return table
