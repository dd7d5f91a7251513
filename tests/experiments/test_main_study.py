"""The main job, whole: every stage for real at a size that settles nothing, and a report made from what it wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from spikeplan.experiments.main_study.grid import Size
from spikeplan.experiments.main_study.run import run_main

TASK, NEEDS_PLANNER = "two-room", "keep-out"
SMALL = Size(
    tasks=(NEEDS_PLANNER, TASK),
    episodes=3,
    seeds=2,
    front_episodes=3,
    front=False,
    shard=3,
    control_episodes=2,
    control_steps=6,
    samples=16,
    lava_episodes=1,
    lava_plans=1,
)
METHOD_FIELDS = {
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
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main")
    run_main("test", SMALL, folder, Console(quiet=True))
    return folder


@pytest.fixture(scope="module")
def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_the_summary_has_what_was_agreed(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["episodes"], summary["seeds"]) == (3, 2) and list(summary["tasks"]) == [NEEDS_PLANNER, TASK]
    for task in summary["tasks"].values():
        assert set(task["admission"]) == {"full", "budget5", "greedy", "policy", "holds"}
        assert set(task["methods"][task.get("spiking", "sigma_delta")]) >= METHOD_FIELDS - {
            "latent_nmse",
            "density",
            "spearman",
            "topk_overlap",
        }
        assert "paired_vs_dense" not in task["methods"][task.get("dense", "dense")], "what the others are paired with"
        assert all(isinstance(target["holds"], bool) for target in task["targets"])
    task = summary["tasks"][TASK]
    assert set(task["methods"]) == {"random", "oracle", "dense", "int8", "sigma_delta", "lif", "lava"}
    assert set(task["methods"]["sigma_delta"]) >= METHOD_FIELDS
    assert task["methods"]["lava"]["values_different"] == 0 and "success" not in task["methods"]["lava"]
    assert task["methods"]["lava"]["values_compared"] >= 1_000_000
    assert set(task["methods"]["sigma_delta"]["density"]) == {
        "zero",
        "previous_step",
        "previous_candidate",
        "mean_candidate",
        "previous_iteration",
    }
    loihi, orin = task["energy"]["loihi2"]["sigma_delta"], task["energy"]["orin_nano"]["int8"]
    assert loihi["low"] < loihi["nominal"] < loihi["high"] and loihi["scope"] == orin["scope"] == "system"
    assert "fp32 dense" not in task["energy"]["orin_nano"]
    assert task["verdict"].count("Synop-equivalents, against") == 3 and "The order turns" in task["verdict"]


@pytest.mark.slow
def test_a_task_that_needs_its_planner_is_compared_with_the_planner_that_solves_it(
    out: Path, rows: list[dict[str, Any]]
) -> None:
    task = json.loads((out / "summary.json").read_text())["tasks"][NEEDS_PLANNER]
    assert (task["dense"], task["spiking"]) == ("guided", "guided-sigma_delta")
    assert set(task["methods"]) == {"random", "oracle", "guided", "guided-int8", "guided-sigma_delta", "guided-lava"}
    assert task["methods"]["guided-lava"]["values_different"] == 0 < task["methods"]["guided-lava"]["values_compared"]
    of = [row for row in rows if row.get("task") == NEEDS_PLANNER]
    fronts = {row["method"]: row for row in of if row["kind"] == "front"}
    assert next(row for row in of if row["kind"] == "admission")["full"] == fronts["guided"]["success"]
    narrow = {f"guided-{kind}-{width}" for kind in ("narrow", "sigma_delta") for width in (64, 96, 128)}
    assert set(fronts) >= {"policy-int8", "guided-int8", "guided-sigma_delta", "guided-integer", *narrow}
    assert "loihi2" in fronts["guided-sigma_delta"]["joules"], "copies of policy and predictor are placed"
    (film,) = (row for row in of if row["kind"] == "episode" and row.get("imagined"))
    assert len(film["imagined"]) == len(film["winners"]) == len(film["poses"]) - 1


@pytest.mark.slow
def test_rows_agree_with_each_other(rows: list[dict[str, Any]]) -> None:
    """A front is of one planner seed, the methods of both; admission is the dense method's; the bill of `skip` is the least."""
    of = [row for row in rows if row.get("task") == TASK]
    dense = next(row for row in of if row["kind"] == "method" and row["method"] == "dense")
    assert dense["episodes"] == 3 and dense["seeds"] == 2
    methods = {r["method"] for r in of if r["kind"] == "front"}
    assert methods >= {"sigma_delta/dense", "sigma_delta/skip", "sigma_delta-96/skip"}
    front = {(r["method"], r["budget"], r["schedule"]): r for r in of if r["kind"] == "front"}
    admission = next(row for row in of if row["kind"] == "admission")
    assert admission["full"] == next(r["success"] for r in front.values() if r["method"] == "dense")
    assert {r["episodes"] for r in front.values()} == {3}
    for method in ("sigma_delta", "sigma_delta-96"):
        own, full, skip = (
            next(
                r
                for r in front.values()
                if r["method"] == name and r["schedule"] != "sequential" and "x4" in r["budget"]
            )
            for name in (method, f"{method}/dense", f"{method}/skip")
        )
        assert own["success"] == full["success"] == skip["success"]
        assert skip["synop_equivalents"] < min(own["synop_equivalents"], full["synop_equivalents"])
    terms = [row for row in of if row["kind"] == "break_even"]
    assert terms and all(row["static_term"] > 0 for row in terms)
    refused = {(r["device"], r["method"]) for r in of if r["kind"] == "energy_refused"}
    assert ("h100", "dense") in refused, "what has no sourced figure is said, not left out"


@pytest.mark.slow
def test_the_report_is_drawn_from_it(out: Path) -> None:
    page = (out / "report.html").read_text()
    for word in (
        "copies imagined",
        "skips zeros at no cost",
        "passes on the previous_step reference",
        "thresholds ×",
        "Wilson 95 %",
    ):
        assert word in page, word
    assert not (out / "parts").exists() and {p.name for p in out.iterdir()} >= {"config.json", "events.npz", "figures"}
