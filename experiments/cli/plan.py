"""`spikeplan plan`: one method alone, with the main job's fields."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import MAX_FACTOR
from spikeplan.core.planning import LARGEST
from spikeplan.evaluation.aggregate import group, method_row
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.rows import Row, lines_of, to_json
from spikeplan.evaluation.run_energy import op_counts_rows
from spikeplan.evaluation.shard import EPISODE_SEED, Job, one_thread, shards, try_planner
from spikeplan.evaluation.summary import Summary, TaskSummary
from spikeplan.experiments.main_study.summary import method_summary
from spikeplan.experiments.runner.output import (
    check_seed,
    no_empty_folder,
    open_output,
    versions,
    write_json,
    write_text,
)
from spikeplan.experiments.runner.pool import remove_parts, run_jobs
from spikeplan.experiments.runner.progress import progress_bar, working
from spikeplan.lava_procs.fused import check_reference
from spikeplan.worldmodel.planning import PLANNERS
from spikeplan.worldmodel.tasks import make_world, task_of

SHARD = 25


def plan_command(
    *,
    task: str,
    method: str,
    out: str,
    episodes: int,
    seed: int,
    reference: str | None,
    threshold: float | None,
    with_planner: str | None,
    cost: str | None,
    budget: dict[str, Any],
    checkpoint: str | None,
    artifact: str | None,
    overwrite: bool,
    console: Console,
) -> None:
    _check(
        task=task,
        method=method,
        episodes=episodes,
        reference=reference,
        threshold=threshold,
        with_planner=with_planner,
        cost=cost,
        artifact=artifact,
    )
    bundle = load_bundle(task, checkpoint=checkpoint, artifact=artifact)
    kind = PLANNERS[with_planner or METHODS[method].planner]
    planner, best = kind.settings(bundle.model.planner), task_of(task).planner
    if best is not None and type(best) is type(planner):  # the task's own settings of this planner
        weighs = getattr(best, "to_go", 0.0) > 0 and cost is not None  # what a policy would pay is none of its business
        planner = best.at(to_go=0.0) if weighs else best
    planner = planner.at(**budget)
    check_seed(seed)
    # Reads the files: a foreign one is refused before anything is written.
    one = METHODS[method]
    factor = 1.0 if threshold is None else threshold
    own = "zero" if one.artifact is None else one.artifact(bundle).reference
    files = one.files(bundle)
    digest = bundle.digest(files)
    for file in bundle.borrowed([file for file in files if artifact is None or file != Path(artifact)]):
        console.print(
            f"{task} has no {file.name} of its own (folder {task} beside it); {file} stands in", soft_wrap=True
        )
    jobs = [
        Job(
            task=task,
            method=method,
            role="headline",
            planner=planner,
            episodes=episodes,
            first=first,
            count=count,
            seed=seed,
            reference=reference or own,
            threshold=None if one.artifact is None else factor,
            checkpoint=checkpoint,
            artifact=artifact,
            with_planner=with_planner,
            cost=cost,
        )
        for first, count in shards(episodes, SHARD)
    ]
    if one.make is not None and (with_planner is not None or one.artifact is not None or cost is not None):
        with working(f"trying {jobs[0].planner_name} with {method}"):
            try_planner(jobs[0])
    if one.closed_loop is not None:
        check_reference(reference or own)
    asked = {
        "task": task,
        "method": method,
        "seed": seed,
        "episodes": episodes,
        "reference": reference or own,
        "threshold": factor,
        "checkpoint": str(bundle.model_path),
        "artifact": artifact,
        "planner": asdict(planner),
        "planner_name": jobs[0].planner_name,
        "cost": cost,
    }
    folder = open_output(Path(out), command="plan", asked=asked, overwrite=overwrite)
    one_thread()
    began = time.monotonic()
    if reference not in (None, own) and threshold is None:
        console.print(
            f"thresholds were chosen for reference {own}; reference {reference} needs finer ones (--threshold)"
        )
    with no_empty_folder(folder):
        rows = (
            _lava_rows(jobs, bundle, folder, console) if one.closed_loop is not None else _rows(jobs, folder, console)
        )
    figures = replace(method_summary(rows, task, method), planner_name=jobs[0].planner_name)
    summary = Summary(
        episodes=episodes,
        seeds=1,
        seconds=round(time.monotonic() - began, 1),
        tasks={task: TaskSummary(methods={method: figures})},
    )
    more = {"files_sha256": digest, "episode_seed": EPISODE_SEED, "versions": versions()}
    write_text(folder / "metrics.jsonl", lines_of(rows))
    write_json(folder / "config.json", {"command": "plan", **asked, **more}, indent=1)
    write_json(folder / "summary.json", to_json(summary), indent=1)
    remove_parts(folder / "parts")
    table = Table("figure", "value", title=f"{method} on {task}, {planner.label}")
    for key, value in vars(figures).items():
        if value is not None and (key != "reference" or one.artifact is not None):
            table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    console.print(table)


def _rows(jobs: Sequence[Job], folder: Path, console: Console) -> list[Row]:
    """Of a method that runs in shards."""
    runs = group(run_jobs(jobs, folder / "parts", console=console), jobs)
    return [row for run in runs for row in (method_row(run, None), *op_counts_rows(run, None))]


def _lava_rows(jobs: Sequence[Job], bundle: Bundle, folder: Path, console: Console) -> list[Row]:
    """Of a method that plans by itself."""
    job, closed_loop = jobs[0], METHODS[jobs[0].method].closed_loop
    assert closed_loop is not None
    with progress_bar(console) as bar:
        ticks = bar.add_task("starting Lava", total=job.episodes * make_world(job.task).max_steps)
        return [
            closed_loop(
                bundle=bundle,
                planner=job.planner,
                reference=job.reference,
                threshold=1.0 if job.threshold is None else job.threshold,
                episodes=job.episodes,
                seed=job.seed,
                folder=folder / "lava",
                **({} if job.cost is None else {"cost": job.cost}),
                progress=lambda n: bar.update(ticks, advance=n, description="planning in Lava"),
            )
        ]


def _check(
    *,
    task: str,
    method: str,
    episodes: int,
    reference: str | None,
    threshold: float | None,
    with_planner: str | None,
    cost: str | None,
    artifact: str | None,
) -> None:
    """Refuses what does not go together, before anything is read or written."""
    make_world(task)
    converted = METHODS[method].artifact is not None
    known = ", ".join(name for name, one in METHODS.items() if one.artifact is not None)
    if reference is not None and reference not in REFERENCES:
        raise UserError(f"reference {reference!r} is unknown; use one of {', '.join(REFERENCES)}")
    if reference is not None and not converted:
        raise UserError(f"method {method!r} has no references; --reference goes with one of {known}")
    if threshold is not None and not converted:
        raise UserError(f"method {method!r} has no thresholds; --threshold goes with one of {known}")
    if threshold is not None and not 0 < threshold <= MAX_FACTOR:
        raise UserError(f"--threshold {threshold:g} must be above 0 and at most {MAX_FACTOR:g}")
    if artifact is not None and not converted:
        raise UserError(f"--artifact {artifact} with --method {method}: an artifact is planned with by one of {known}")
    if with_planner is not None and METHODS[method].family == "floor":
        raise UserError(f"method {method!r} plans nothing; leave out --planner {with_planner}")
    if with_planner not in (None, METHODS[method].planner) and METHODS[method].closed_loop is not None:
        raise UserError(
            f"method {method!r} plans by itself with {METHODS[method].planner}; --planner {with_planner} goes with "
            "another method"
        )
    if cost is not None and not METHODS[method].takes_cost:
        raise UserError(f"method {method!r} takes no cost but its own; leave out --cost {cost}")
    if not 1 <= episodes <= LARGEST:
        raise UserError(f"--episodes {episodes} must be at least 1 and at most {LARGEST}")
