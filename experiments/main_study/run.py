"""The main job: the same tasks planned by every method, what each costs, and the Lava replay. `demo` is its small form.

Reads the shipped checkpoints, writes one result directory: config.json, metrics.jsonl, summary.json, events.npz, and the
report. Finished shards stay in `parts/` until the run is complete, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
from rich.console import Console

from spikeplan import energy
from spikeplan.evaluation.admission import admission_row
from spikeplan.evaluation.aggregate import Run, group, method_row
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.results import load
from spikeplan.evaluation.rows import (
    BreakEvenRow,
    EnergyRow,
    EpisodeRow,
    Row,
    lines_of,
    to_json,
)
from spikeplan.evaluation.run_energy import energy_rows, front_rows, op_counts_rows, placed_rows, placements_of_run
from spikeplan.evaluation.shard import EPISODE_SEED, one_thread
from spikeplan.evaluation.summary import Summary
from spikeplan.experiments.main_study.checks import checks_of, run_check
from spikeplan.experiments.main_study.contenders import contenders
from spikeplan.experiments.main_study.event_picture import write_events
from spikeplan.experiments.main_study.grid import Size, jobs_of
from spikeplan.experiments.main_study.summary import summarise
from spikeplan.experiments.report import print_table, write_report
from spikeplan.experiments.runner.output import open_output, versions, write_json, write_text
from spikeplan.experiments.runner.pool import remove_parts, run_each, run_jobs
from spikeplan.worldmodel.tasks import make_world, task_of


def run_main(name: str, size: Size, out: Path, console: Console, *, overwrite: bool = False) -> Summary:
    """Plan, count, price and check every method of every task; writes the results directory and its report."""
    began = time.monotonic()
    tasks = (*size.tasks, *size.extra_tasks)
    out = open_output(out, command=name, asked={"size": asdict(size), "tasks": tasks}, overwrite=overwrite)
    one_thread()
    config = {
        "command": name,
        "size": asdict(size),
        "tasks": tasks,
        "versions": versions(),
        "episode_seed": EPISODE_SEED,
        "cores": os.cpu_count(),
    }
    write_json(out / "config.json", config, indent=1)
    jobs = [job for task in tasks for job in jobs_of(task, size)]
    results = run_jobs(jobs, out / "parts", console=console)
    cpu = energy.measure_peak()
    rows: list[Row] = []
    runs = group(results, jobs)
    for task in tasks:
        rows += method_rows([run for run in runs if run.job.task == task], cpu)
    arguments = [(kind, task, str(out), size) for task in tasks for kind in checks_of(task, size)]
    for checked in run_each(run_check, arguments, console=console, label="agreement, Lava, gates"):
        rows += checked
    write_events(out / "events.npz")
    write_text(out / "metrics.jsonl", lines_of(rows))
    core_seconds = round(sum(run.seconds for run in runs), 1)
    summary = summarise(rows, size, seconds=time.monotonic() - began, core_seconds=core_seconds)
    write_json(out / "summary.json", to_json(summary), indent=1)
    write_report(out)
    remove_parts(out / "parts")  # the run is whole: the next one measures again
    print_table(load(out), console)
    console.print(f"{out / 'report.html'}  ({summary.seconds:.0f} s)")
    return summary


def method_rows(runs: list[Run], cpu: energy.CpuPeak) -> list[Row]:
    """All rows that come of the episodes of one task."""
    named = contenders(runs[0].job.task)
    headline = [run for run in runs if run.job.role == "headline"]
    dense, spiking = (next(run for run in headline if run.job.method == name) for name in (named.dense, named.spiking))
    rows: list[Row] = []
    front = [run for run in headline if run.op_counts is not None]
    front += [run for run in runs if run.job.role in ("front", "sweep", "admission")]
    for run in headline:
        rows.append(method_row(run, dense))
        rows += energy_rows(run, cpu)
        rows += placed_rows(run)
        if run.poses:
            rows.append(episode_row(run))
    for run in front:
        for read in (run, *run.method.readings(run)):
            placements = placements_of_run(run) if read is run else []
            rows += front_rows(read, dense, cpu, placements)
            rows += op_counts_rows(read, dense, placements)
    rows.append(admission_row(runs, dense))
    if task_of(spiking.job.task).trained_on is None:  # else the predictor is the other task's
        rows += break_even_rows(spiking, cpu)
    return rows


def episode_row(run: Run) -> EpisodeRow:
    """The first episode, so that it can be drawn."""
    world = make_world(run.job.task)
    episode = world.sample(run.job.episodes, np.random.default_rng(EPISODE_SEED)).take(slice(0, 1))
    return EpisodeRow(
        task=run.job.task,
        method=run.job.method,
        poses=run.poses[0] if run.poses else [],
        start=episode.start_NP[0].tolist(),
        goal=episode.goal_NP[0].tolist(),
        layout=episode.layout_NL[0].tolist(),
        success=bool(run.success_KN[0, 0]),
    )


def break_even_rows(delta: Run, cpu: energy.CpuPeak) -> list[BreakEvenRow]:
    """s* of the predictor, with the static power of the time that the chip takes for one prediction of this run."""
    task = delta.job.task
    predictor = load_bundle(task).model.predictor
    chip = next(
        row
        for row in energy_rows(delta, cpu, schedules=("interleaved",), scopes=("system",), extents=("predictor",))
        if isinstance(row, EnergyRow) and row.device == "loihi2"
    )
    assert chip.latency_s is not None
    seconds = chip.latency_s / delta.job.planner.evaluations
    widths = (predictor.latent_dim + predictor.action_dim, *predictor.hidden, predictor.latent_dim)
    rows = []
    for device, precision in (("orin_nano", "int8"), ("h100", "int8"), ("jepa_r", "int8")):
        b = energy.network_break_even(widths, dense_device=device, precision=precision, time_s=seconds)
        rows.append(
            BreakEvenRow(
                task=task,
                device=device,
                first_term=b.first_term,
                update_term=b.update_term,
                static_term=b.static_term,
                s_star=b.s_star,
            )
        )
    return rows
