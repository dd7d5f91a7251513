"""What the README shows is what runs: its Python blocks, one after the other, in an empty directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spikeplan.experiments.report.readme import bench_table, between, marks, planners_table, rewrite, tables

ROOT = Path(__file__).resolve().parents[1]
CLIP = Path(os.environ.get("SPIKEPLAN_AEDAT4", "clip.aedat4"))


def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.mark.slow
def test_the_python_blocks_run_in_order(tmp_path: Path) -> None:
    shown = blocks()
    assert [block.splitlines()[0].split(":")[0] for block in shown] == [
        "# worldmodel",
        "# conversion and snn",
        "# lava_procs",
        "# lava_procs",
        "# energy",
        "# eventdata",
    ]
    if not CLIP.exists():
        shown = shown[:-1]
    script = "\n".join(shown).replace('"clip.aedat4"', repr(str(CLIP)))
    for large, small in (("world.sample(20,", "world.sample(6,"), ("episodes=8, seed=1", "episodes=2, seed=1")):
        assert large in script
        script = script.replace(large, small)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=1200
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.splitlines()
    assert float(lines[0]) > 0.5, "dense planning"
    assert "0" in lines, "values that differ in the Lava replay"
    if not CLIP.exists():
        pytest.skip("the block on recordings needs shared/recordings/davis.aedat4")


def test_the_tables_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    summary = {"episodes": 3, "seeds": 1, "tasks": {}}
    assert tables(summary).startswith("3 paired episodes a task and method, 1 planner seed(s)")
    minus = {"sigma_delta": {"mean": -0.01, "ci95": [-0.02, 0.0], "holds": True}}
    rows = [
        {"method": "sigma_delta", "success": 0.9, "ci95": [0.8, 1.0], "minus": {}},
        {"method": "integer", "success": 0.89, "ci95": [0.79, 0.99], "minus": minus},
    ]
    planners = {"episodes": 3, "seeds": 1, "tasks": {"method": rows}}
    expected = "| method | sigma_delta | 0.900 | 0.800 .. 1.000 | -0.010 | -0.020 .. +0.000 | yes |"
    assert expected in planners_table(planners)
    row = {"name": "plan_values_different", "ours": 1, "other": None, "ratio": None, "unit": "s", "goal": "<= 1"}
    bench = [{**row, "holds": None}]
    assert bench_table(bench).endswith("| plan_values_different | 1 | - | - | s | <= 1 | - |")
    names = ("results", "planners", "bench lava", "spread")
    text = "".join(f"before {name}\n{marks(name)[0]}\nold\n{marks(name)[1]}\nafter\n" for name in names)
    (tmp_path / "README.md").write_text(text)
    for name, found in (("results", summary), ("planners", planners)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(found))
        (tmp_path / name / "config.json").write_text(json.dumps({"command": name}))
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    rewrite(tmp_path / "README.md", [tmp_path / "results", tmp_path / "planners", tmp_path / "bench.json"])
    expected = text
    for name, new in (
        ("results", tables(summary)),
        ("planners", planners_table(planners)),
        ("bench lava", bench_table(bench)),
    ):
        assert new in between(text, name, new)
        expected = between(expected, name, new)
    assert (tmp_path / "README.md").read_text() == expected
    assert expected.count("\nold\n") == 1, "no spread was given"
