"""summary.json from metric rows: per task and method what was asked for, the verdict, and the targets with their figures."""

from __future__ import annotations

from typing import Any

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.evaluation.verdict import verdict
from spikeplan.experiments.main_study.grid import Size
from spikeplan.worldmodel.tasks import task_of

Row = dict[str, Any]
REPORTED = ("random", "oracle", "dense", "int8", "sigma_delta", "lif", "lava")
FRONT = (
    "family",
    "method",
    "budget",
    "reference",
    "threshold",
    "schedule",
    "role",
    "success",
    "ci95",
    "paired_vs_dense",
    "synop_equivalents",
)


def _of(rows: list[Row], kind: str, task: str) -> list[Row]:
    return [row for row in rows if row["kind"] == kind and row["task"] == task]


def summarise(rows: list[Row], size: Size, *, seconds: float) -> dict[str, Any]:
    tasks = list(dict.fromkeys(row["task"] for row in rows if row["kind"] == "method"))
    return {
        "episodes": size.episodes,
        "left_out": size.left_out,
        "seeds": size.seeds,
        "seconds": round(seconds, 1),
        "tasks": {task: task_summary(rows, task) for task in tasks},
    }


def task_summary(rows: list[Row], task: str) -> dict[str, Any]:
    admission = _of(rows, "admission", task)[0]
    front = [{name: row[name] for name in FRONT} for row in _of(rows, "front", task)]
    devices: dict[str, dict[str, Row]] = {}
    for row in _of(rows, "energy", task):
        if row["scope"] == "system" and row["extent"] == "loop" and row["schedule"] in ("interleaved", "batched"):
            devices.setdefault(row["device"], {})[row["method"]] = {
                key: row[key] for key in ("scope", "low", "nominal", "high", "unit", "evidence", "latency_s")
            }
    methods = {method: method_summary(rows, task, method) for method in REPORTED}
    return {
        "admission": {name: admission[name] for name in ("full", "budget5", "greedy")} | {"holds": admission["holds"]},
        "methods": methods,
        "front": front,
        "energy": devices,
        "verdict": verdict(_of(rows, "front", task), admission["full"], _of(rows, "energy_placed", task)),
        "targets": targets(rows, task, methods, admission),
    }


def method_summary(rows: list[Row], task: str, method: str) -> Row:
    fields = (
        "episodes",
        "success",
        "ci95",
        "paired_vs_dense",
        "latent_nmse",
        "density",
        "spearman",
        "topk_overlap",
        "macs_per_action",
        "synops_per_action",
        "neuron_updates_per_action",
        "synop_equivalents_per_action",
        "synop_share",
        "values_compared",
        "values_different",
    )
    found: Row = dict.fromkeys(fields)
    closed = _of(rows, "lava_loop", task)
    if method == "lava" and closed:
        return found | {key: value for key, value in closed[0].items() if key not in ("kind", "task")}
    if method == "lava":
        replays = _of(rows, "lava", task)
        if replays:
            found |= {key: sum(r[key] for r in replays) for key in ("values_compared", "values_different")}
            found["nonzero_share"] = {f"{r['reference']} x{r['threshold']:g}": r["nonzero_share"] for r in replays}
        return found
    run = next((r for r in _of(rows, "method", task) if r["method"] == method), None)
    if run is None:
        return found
    found |= {key: run[key] for key in ("success", "ci95", "paired_vs_dense", "synop_share", "reference")}
    found["episodes"], found["seeds"] = run["episodes"], run["seeds"]
    if run["per_action"]:
        per = run["per_action"]
        schedule = "interleaved" if "interleaved" in run["equivalents"] else "batched"
        found |= {
            "macs_per_action": per["macs"],
            "synops_per_action": per["synops"],
            "neuron_updates_per_action": per["updates"],
            "synop_equivalents_per_action": run["equivalents"][schedule],
            "synop_equivalents_by_schedule": run["equivalents"],
            "update_floor_per_action": run["floor"],
        }
    agree = [r for r in _of(rows, "agreement", task) if r["method"] == method]
    if agree:
        own = next((r for r in agree if r["reference"] == run["reference"]), agree[0])
        found |= {key: own[key] for key in ("latent_nmse", "spearman", "topk_overlap")}
        if own["density"]:
            found["density"] = {r["reference"]: r["density"]["total"] for r in agree if r["reference"] in REFERENCES}
    return found


def targets(rows: list[Row], task: str, methods: dict[str, Row], admission: Row) -> list[Row]:
    """The figures asked for, with what this run found."""
    found = []

    def add(name: str, goal: str, value: Any, holds: bool | None) -> None:
        found.append({"name": name, "goal": goal, "value": value, "holds": holds})

    asked = task_of(task).target_success
    if asked is not None:
        success = methods["dense"]["success"]
        add("dense success", f">= {asked}", success, success is not None and success >= asked)
    if task == "two-room":
        add(
            "planning admission (greedy and 5 % budget >= 20 points below)",
            "holds",
            {n: admission[n] for n in ("full", "budget5", "greedy")},
            admission["holds"],
        )
        share = methods["sigma_delta"]["synop_share"]
        add(
            "synops of the whole loop / dense MACs of the predictor",
            "<= 0.30",
            share,
            share is not None and share <= 0.30,
        )
    for method in ("int8", "sigma_delta"):
        interval = methods[method]["paired_vs_dense"]
        low = None if interval is None else interval[0]
        add(
            f"{method} - dense, lower bound of the paired 95 % interval",
            ">= -0.03",
            low,
            low is not None and low >= -0.03,
        )
    replays = _of(rows, "lava", task)
    if replays:
        compared, different = (sum(r[key] for r in replays) for key in ("values_compared", "values_different"))
        add("Lava: values compared", ">= 1,000,000", compared, compared >= 1_000_000)
        add("Lava: values different", "0", different, different == 0)
        layers = replays[0]["positive_crossed"]
        least = min(max(r["nonzero_share"][layer] for r in replays) for layer in layers)
        add("Lava: least share of non-zero messages of a layer (its busier replay)", ">= 0.10", least, least >= 0.10)
        crossed = all(
            any(r[key][layer] > 0 for r in replays)
            for key in ("positive_crossed", "negative_crossed")
            for layer in layers
        )
        add("Lava: positive and negative thresholds crossed in every layer", "yes", crossed, crossed)
    return found
