"""The main job: the same tasks planned by every arm, what each costs, and the Lava replay. `demo` is its small form.

Reads the shipped checkpoints, writes one result directory: config.json, metrics.jsonl, summary.json, events.npz, and the
report. Finished shards stay in `parts/` until the run is complete, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

import energy
from experiments.agreement import agreement
from experiments.bundle import load_bundle
from experiments.collect import Run, arm_row, energy_rows, front_rows, group
from experiments.events_slice import write_events
from experiments.jobs import EPISODE_SEED, Job, make_ledger, make_predictor, one_thread, scale_thresholds
from experiments.lava_arm import run_lava_arm
from experiments.model_checks import gates_row
from experiments.output import open_output, versions, write_json
from experiments.plan_of import TASKS, Size, chosen_of, jobs_of
from experiments.pool import progress_bar, run_jobs
from experiments.record import record_plans
from experiments.report import print_table, write_report
from experiments.summary import summarise
from spec.ledger import AXES
from worldmodel.tasks import make_world


def run_main(name: str, size: Size, out: Path, console: Console) -> dict[str, Any]:
    began = time.monotonic()
    out = open_output(out)
    one_thread()
    tasks = (*TASKS, *size.extra_tasks)
    config = {"command": name, "size": asdict(size), "tasks": tasks, "versions": versions(), "episode_seed": EPISODE_SEED,
              "cores": os.cpu_count()}  # fmt: skip
    write_json(out / "config.json", config, indent=1)
    jobs = [job for task in tasks for job in jobs_of(task, size)]
    results = run_jobs(jobs, out / "parts", console=console)
    cpu = energy.measure_peak()
    rows: list[dict[str, Any]] = []
    runs = group(results, jobs)
    with progress_bar(console) as bar:
        step = bar.add_task("agreement, Lava, energy", total=len(tasks) * 4)
        for task in tasks:
            mine = [run for run in runs if run.job.task == task]
            rows += arm_rows(mine, cpu)
            bar.advance(step)
            rows += agreement_rows(task)
            bar.advance(step)
            rows += lava_rows(task, out)
            bar.advance(step)
            rows += [thresholds_row(task), layers_row(task), gates_row(task, checked=task in TASKS)]
            bar.advance(step)
    write_events(out / "events.npz")
    temporary = out / "metrics.jsonl.part"
    temporary.write_text("".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))
    os.replace(temporary, out / "metrics.jsonl")
    summary = summarise(rows, size, seconds=time.monotonic() - began)
    summary["core_seconds"] = round(sum(run.seconds for run in runs), 1)  # of all episodes, resumed ones included
    write_json(out / "summary.json", summary, indent=1)
    write_report(out)
    print_table(summary, console)
    console.print(f"{out / 'report.html'}  ({summary['seconds']:.0f} s)")
    return summary


def arm_rows(runs: list[Run], cpu: energy.CpuPeak) -> list[dict[str, Any]]:
    headline = [run for run in runs if run.job.role == "headline"]
    dense = next(run for run in headline if run.job.arm == "dense")
    rows: list[dict[str, Any]] = []
    for run in headline:
        rows.append(arm_row(run, dense))
        rows += energy_rows(run, cpu)
        if run.job.arm in ("int8", "dense", "delta", "lif"):
            rows += front_rows(run, cpu)
        if run.poses:
            rows.append(episode_row(run))
    for run in runs:
        if run.job.role in ("front", "admission"):
            rows += front_rows(run, cpu)
    rows.append(admission_row(runs, dense))
    rows += break_even_rows(dense.job.task)
    return rows


def admission_row(runs: list[Run], dense: Run) -> dict[str, Any]:
    """Full dense CEM against greedy and the best spending of 5 %, on the front's episodes."""
    rows: list[dict[str, Any]] = [
        {"name": "full", "budget": dense.job.planner.label, "success": float(dense.success_KN.mean())}
    ]
    for run in runs:
        if run.job.role == "admission":
            name = "greedy" if run.job.planner.horizon == 1 else "budget5"
            rows.append({"name": name, "budget": run.job.planner.label, "success": float(run.success_KN.mean())})
    best = {name: max(r["success"] for r in rows if r["name"] == name) for name in ("full", "budget5", "greedy")}
    holds = all(best["full"] - best[name] >= 0.2 for name in ("budget5", "greedy"))
    return {"kind": "admission", "task": dense.job.task, "rows": rows, **best, "holds": holds}


def episode_row(run: Run) -> dict[str, Any]:
    world = make_world(run.job.task)
    episode = world.sample(run.job.episodes, np.random.default_rng(EPISODE_SEED)).take(slice(0, 1))
    return {
        "kind": "episode", "task": run.job.task, "arm": run.job.arm, "poses": run.poses[0] if run.poses else [],
        "start": episode.start_NP[0].tolist(), "goal": episode.goal_NP[0].tolist(),
        "layout": episode.layout_NL[0].tolist(), "success": bool(run.success_KN[0, 0]),
    }  # fmt: skip


def agreement_rows(task: str, *, episodes: int = 6, every: int = 5) -> list[dict[str, Any]]:
    """Every arm and axis on the same plans, recorded by the dense planner on reported episodes."""
    bundle = load_bundle(task)
    plans = record_plans(bundle.model, episodes=episodes, seed=EPISODE_SEED, every=every)
    axis, factor = chosen_of(task)
    rows = []
    arms = [("int8", "none"), ("lif", "none"), ("narrow", "none"), *[("delta", a) for a in AXES]]
    for arm, on in arms:
        job = Job(task=task, arm=arm, role="agreement", planner=bundle.model.planner, episodes=1, count=1, axis=on,
                  threshold=factor if arm == "delta" else None)  # fmt: skip
        predictor = make_predictor(job)
        found = agreement(predictor, plans, on, make_ledger(job, predictor), elites=bundle.model.planner.elites)
        rows.append({"kind": "agreement", "task": task, "arm": arm, "axis": on, "headline": on == axis, **found})
    return rows


def lava_rows(task: str, out: Path) -> list[dict[str, Any]]:
    """Recorded plans of the headline network, replayed in Lava: on the headline axis, and on the rollout axis, where
    activations fall as well as rise, so that hidden layers send negative messages too."""
    bundle = load_bundle(task)
    axis, factor = chosen_of(task)
    artifact = scale_thresholds(bundle.artifact, factor)
    plans = record_plans(bundle.model, episodes=1, seed=EPISODE_SEED, every=bundle.model.planner.horizon)
    rows = []
    for on in dict.fromkeys((axis, "rollout")):
        began = time.monotonic()
        found = run_lava_arm(artifact, plans, axis=on, workdir=out / "lava" / f"{task}-{on}")
        rows.append({"kind": "lava", "task": task, "seconds": time.monotonic() - began, **found})
    return rows


def thresholds_row(task: str) -> dict[str, Any]:
    return {"kind": "thresholds", "task": task, **load_bundle(task).artifact.provenance["thresholds"]}


def layers_row(task: str) -> dict[str, Any]:
    return {"kind": "layers", "task": task, "layers": load_bundle(task).artifact.provenance["layers"]["layers"]}


def break_even_rows(task: str) -> list[dict[str, Any]]:
    predictor = load_bundle(task).model.predictor
    widths = (predictor.latent_dim + predictor.action_dim, *predictor.hidden, predictor.latent_dim)
    rows = []
    for device, precision in (("orin_nano", "int8"), ("h100", "int8"), ("jepa_r", "int8")):
        b = energy.network_break_even(widths, dense_device=device, precision=precision)
        rows.append(
            {"kind": "break_even", "task": task, "device": device, "first_term": b.first_term, "update_term": b.update_term,
             "static_term": b.static_term, "s_star": b.s_star}
        )  # fmt: skip
    return rows
