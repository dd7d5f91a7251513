"""Commands that run to their end: what they leave, what they never touch, and how a signal ends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from spikeplan.experiments.cli.main import main
from spikeplan.lava_procs.child import group_members
from spikeplan.worldmodel.tasks import make_world

PLAN = ["plan", "--task", "two-room", "--method", "dense", "--episodes", "4"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["sigma_delta", "lif", "oracle"])
def test_plan_one_method(method: str, tmp_path: Path) -> None:
    """A real closed loop: better than chance, with the main job's fields and operation counts that adds up."""
    main(
        [
            "plan",
            "--task",
            "planar-reach",
            "--method",
            method,
            "--episodes",
            "8",
            "--seed",
            "1",
            "--out",
            str(tmp_path),
        ]
    )
    found = json.loads((tmp_path / "summary.json").read_text())["tasks"]["planar-reach"]["methods"][method]
    assert (found["episodes"], found["seeds"]) == (8, 1) and found["success"] >= 0.75
    assert found["ci95"][0] < found["success"] <= found["ci95"][1]
    if method == "oracle":
        assert "synops_per_action" not in found
    else:
        floor = 10 * found["neuron_updates_per_action"]
        assert found["synop_equivalents_per_action"] >= found["synops_per_action"] + floor
    assert not (tmp_path / "parts").exists()


@pytest.mark.slow
def test_a_task_is_planned_with_its_own_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Keep-out's guided planning has a cost-to-go, in integers and LIF, too; what is asked for replaces a setting, and another
    planner or cost has its own."""
    asked = ["plan", "--task", "keep-out", "--episodes", "1", "--samples", "2", "--horizon", "1"]
    kept = {}
    refined = ["--iterations", "1", "--copies", "1"]
    others = (("guided", []), ("guided-integer", []), ("guided-lif", []), ("guided-int8", ["--cost", "effort"]))
    for method, more in (("refined", refined), *others):
        main([*asked, "--method", method, *more, "--out", str(tmp_path / method)])
        kept[method] = json.loads((tmp_path / method / "config.json").read_text())["planner"]
    weights = {method: settings["to_go"] for method, settings in kept.items()}
    assert weights == {"refined": 0.0, "guided": 0.15, "guided-integer": 0.15, "guided-lif": 0.15, "guided-int8": 0.0}
    assert kept["guided"]["samples"] == 2 and kept["guided-integer"]["mirrored"]
    assert "stands in" not in capsys.readouterr().out
    asked[2] = "keep-out-two"
    main([*asked, "--method", "guided-narrow-64", "--out", str(tmp_path / "two")])
    assert "keep-out-two has no two-room.narrow-64.safetensors of its own" in capsys.readouterr().out


@pytest.mark.slow
def test_plan_through_lava(tmp_path: Path) -> None:
    """Real episodes through real Lava processes; every plan equals the reference, which does not plan worse than chance."""
    small = ["--samples", "16", "--iterations", "2", "--horizon", "6"]
    main(
        [
            "plan",
            "--task",
            "planar-reach",
            "--method",
            "lava",
            "--episodes",
            "2",
            *small,
            "--out",
            str(tmp_path / "lava"),
        ]
    )
    main(
        [
            "plan",
            "--task",
            "planar-reach",
            "--method",
            "integer",
            "--episodes",
            "2",
            *small,
            "--out",
            str(tmp_path / "int"),
        ]
    )
    lava, integer = (
        json.loads((tmp_path / out / "summary.json").read_text())["tasks"]["planar-reach"]["methods"][method]
        for out, method in (("lava", "lava"), ("int", "integer"))
    )
    plans = 2 * make_world("planar-reach").max_steps
    assert lava["plans"] == plans and lava["values_different"] == 0
    assert lava["values_compared"] > plans * 2 * 6 * 16 * 32, "latents of every candidate and step, costs, elites, fits"
    assert lava["success"] == integer["success"] >= 0.5
    for name in ("drift_from_floating", "drift_from_dense"):
        assert len(lava[name]) == 6 and min(lava[name]) > 0 and max(lava[name]) < 1.5
    assert set(lava["messages_per_pass"]) == {"code", "h1", "h2", "out"} and lava["plan_seconds"] > 0


@pytest.mark.slow
def test_planners(tmp_path: Path) -> None:
    """Three planners of one network on the same episodes: rows, pairs, and an interval that few episodes leave wide."""
    main(["planners", "--episodes", "2", "--seeds", "1", "--out", str(tmp_path)])
    summary = json.loads((tmp_path / "summary.json").read_text())
    for rows in summary["tasks"].values():
        by_method = {row["method"]: row for row in rows}
        assert set(by_method) == {"sigma_delta", "sigma_delta-mad", "integer"}
        assert all(row["episodes"] == 2 and row["success"] >= 0.5 for row in rows)
        minus = by_method["integer"]["minus"]
        assert set(minus) == {"sigma_delta", "sigma_delta-mad"} and not minus["sigma_delta"]["holds"]
        assert minus["sigma_delta"]["mean"] == by_method["integer"]["success"] - by_method["sigma_delta"]["success"]
        assert (
            by_method["integer"]["synop_equivalents"]["sequential"]
            > by_method["integer"]["synop_equivalents"]["interleaved"]
            > 0
        )


def test_results_of_another_command_and_foreign_files_stay(
    refused: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["--samples", "4", "--iterations", "1", "--elites", "2", "--horizon", "2", "--chunk", "1"]
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "thesis.txt").write_text("mine")
    main([*PLAN, *small, "--out", str(tmp_path)])
    assert (tmp_path / "parts" / "thesis.txt").read_text() == "mine"
    assert [p.name for p in (tmp_path / "parts").iterdir()] == ["thesis.txt"], "its own shards are gone"
    asked = json.loads((tmp_path / "config.json").read_text())
    assert (asked["episodes"], asked["planner"]["samples"], asked["reference"]) == (4, 4, "zero")
    (tmp_path / "config.json").write_text(json.dumps({"command": "results"}))
    assert "holds the results of `results`" in refused([*PLAN, *small, "--out", str(tmp_path)], capsys)
    assert json.loads((tmp_path / "config.json").read_text()) == {"command": "results"}


@pytest.mark.slow
def test_sigterm_ends_everything_in_one_line(tmp_path: Path) -> None:
    """In the middle of planning in Lava: no process, no temporary directory, exit code 128 + 15."""
    scratch = Path(tempfile.mkdtemp())  # a path short enough for the sockets in it
    words = ["plan", "--task", "planar-reach", "--method", "lava", "--episodes", "200", "--out", str(tmp_path / "o")]
    environment = {**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "src")}
    with subprocess.Popen(
        [sys.executable, "-m", "spikeplan.experiments.cli.main", *words],
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as tool:
        pid_file = tmp_path / "o" / "lava" / "worker.pid"
        until = time.monotonic() + 300
        while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < until:
            time.sleep(0.05)
        time.sleep(2.0)
        group = int(pid_file.read_text())
        assert group_members(group)
        tool.terminate()
        _, said = tool.communicate(timeout=300)
    assert tool.returncode == 143 and said.strip().splitlines()[-1].startswith("spikeplan: ended by SIGTERM")
    assert group_members(group) == []
    scratch.rmdir()  # nothing is left in it
