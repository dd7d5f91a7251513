"""`spikeplan demo | results | planners`: the studies of the shipped tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from rich.console import Console

from spikeplan.experiments.cli.words.common import SHARDS_KEPT, Command, Overwrite, text


def demo(
    out: Annotated[str, text("folder of the results and the report", "DIR")] = "results/demo",
    overwrite: Overwrite = False,
) -> None:
    """Compare every method in small, on two tasks, one of which needs its planner: 50 paired episodes.

    LIF plans the first 20 of them. Takes minutes on all cores. Writes metrics.jsonl, summary.json and report.html. An
    interrupted run resumes.
    """
    from spikeplan.experiments.main_study.grid import DEMO
    from spikeplan.experiments.main_study.run import run_main

    run_main("demo", DEMO, Path(out), Console(), overwrite=overwrite)


def results(
    out: Annotated[str, text("folder of the results and the report", "DIR")] = "results/full",
    task: Annotated[str | None, text("one of the study's tasks alone", "TASK", "all of them")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Run the full comparison: 300 paired episodes a task and method, 3 planner seeds, the front, random doors.

    Takes hours on all cores. An interrupted run resumes.
    """
    from spikeplan.experiments.main_study.grid import RESULTS, only
    from spikeplan.experiments.main_study.run import run_main

    run_main("results", RESULTS if task is None else only(RESULTS, task), Path(out), Console(), overwrite=overwrite)


def planners(
    out: Annotated[str, text("folder of the results", "DIR")] = "results/planners",
    episodes: Annotated[int, text("paired episodes a task, 1 to 10000", "N")] = 300,
    seeds: Annotated[int, text("planner seeds, 1 to 20", "N")] = 3,
    overwrite: Overwrite = False,
) -> None:
    """Compare three planners of one spiking network: floating-point CEM, its integer spread, CEM in integers.

    Paired episodes of both tasks. An interrupted run resumes.
    """
    from spikeplan.experiments.main_study.planners import planners_command

    planners_command(out, episodes=episodes, seeds=seeds, overwrite=overwrite, console=Console())


COMMANDS = {
    "demo": Command(demo, kept=SHARDS_KEPT),
    "results": Command(results, kept=SHARDS_KEPT),
    "planners": Command(planners, kept=SHARDS_KEPT),
}
