"""What README and docs show is what runs: blocks with their output, commands, links, generated tables, the pages themselves."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spikeplan.conversion.recipes import RECIPES
from spikeplan.core import registry
from spikeplan.core.errors import UserError
from spikeplan.energy import default
from spikeplan.evaluation.rows import FrontRow
from spikeplan.evaluation.summary import Summary, TaskSummary
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.cli.parse import COMMANDS, GROUPS
from spikeplan.experiments.report import readme_cli
from spikeplan.experiments.report.readme import (
    bench_table,
    front_table,
    merged,
    planners_table,
    rewrite,
    tables,
)
from spikeplan.experiments.report.readme_headline import headline
from spikeplan.experiments.report.readme_marks import between, marks

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.slow
def test_the_python_block_prints_what_the_readme_shows(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    (shown,) = re.findall(r"```text\n(.*?)```", README, re.S)
    assert "import spikeplan as sp" in code and len(code.splitlines()) <= 16
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == shown


def test_the_make_targets_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"make ([a-z-]+)", README))
    assert {"demo", "test", "setup"} <= named <= targets


def test_every_package_has_a_page() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert {path.stem for path in (ROOT / "docs" / "packages").glob("*.md")} == packages
    for name in packages:
        page = (ROOT / "docs" / "packages" / f"{name}.md").read_text()
        assert f"::: spikeplan.{name}" in page and re.search(r"^## Add ", page, re.M), name


def test_the_commands_are_there() -> None:
    """A command in the table is one of the tool's; `events ...` stands for a group."""
    rows = README.split("| package | commands | page |")[1].split("\n\n")[0]
    named = [name for row in rows.splitlines()[2:] for name in re.findall(r"`([^`]+)`", row.split("|")[2])]
    known = {*COMMANDS, *(f"{group} ..." for group in GROUPS)}
    known |= {f"{name} {command}" for name, group in GROUPS.items() for command in group.commands}
    assert len(named) > 10 and set(named) <= known


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_the_links_lead_somewhere(page: Path) -> None:
    targets = [t for t in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()) if not t.startswith("http")]
    assert [target for target in targets if not (ROOT / target).exists()] == []


def run_blocks(page: Path) -> None:
    """Runs a page's python and sh blocks in order, in the current folder. A block that begins with `# NAME.py` is a file."""
    shared: dict[str, Any] = {}
    for kind, block in re.findall(r"```(python|sh)\n(.*?)```", page.read_text(), re.S):
        if name := re.match(r"# (\w+\.py)\n", block):
            Path(name[1]).write_text(block)
        elif kind == "python":
            exec(compile(block, str(page), "exec"), shared)
        else:
            for line in block.splitlines():
                command(shlex.split(line))


def command(words: list[str]) -> None:
    if words[0] == "spikeplan":
        try:
            main([str(ROOT / word) if "/" in word and (ROOT / word).is_file() else word for word in words[1:]])
        except SystemExit as stop:
            if stop.code:
                pytest.fail(f"{words} ended with exit code {stop.code}")
        return
    assert words[0] == "python"
    path, *arguments = (str(ROOT / word) if (ROOT / word).exists() else word for word in words[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [path, *arguments])
        runpy.run_path(path, run_name="__main__")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "prints", "leaves"),
    [
        ("energy", "MACs a call", ["counts.json", "run1/summary.json"]),
        ("lava", "; 0 of ", ["run.json", "run.svg", "lava-loop/summary.json"]),
        ("events", "torch.Size([", ["clean.npz", "voxels.npz", "arm.png"]),
    ],
)
def test_a_tutorial_runs(
    name: str,
    prints: str,
    leaves: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    run_blocks(ROOT / "docs" / "tutorials" / f"{name}.md")
    assert prints in capsys.readouterr().out
    assert [path for path in leaves if not (tmp_path / path).is_file()] == []


@pytest.mark.slow
def test_the_examples_of_how_to_extend_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(registry.VARIABLE, "")  # and what is loaded is forgotten afterwards
    run_blocks(ROOT / "docs" / "extend.md")
    said = capsys.readouterr().out
    assert "half" in said and "coarse.safetensors: fits small" in said and "two-room-random, corridor" in said
    assert (tmp_path / "arm.txt").is_file()
    config = json.loads((tmp_path / "shooting" / "config.json").read_text())
    assert config["planner_name"] == "shooting"
    assert "half" in json.loads((tmp_path / "half" / "summary.json").read_text())["tasks"]["two-room"]["methods"]
    registry.load_plugins([str(tmp_path / "coarse.py")])
    assert RECIPES["coarse"].make(thresholds=0.5).bits == 6


def test_the_list_of_commands_is_that_of_the_tool() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert readme_cli.rewrite(page) == page, "run python -m spikeplan.experiments.report.readme_cli"


@pytest.mark.slow
def test_the_pages_build_and_need_nothing_from_elsewhere(tmp_path: Path) -> None:
    """mkdocs in strict mode: a broken link or a page without a place is an error."""
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    pages = {path: path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    fetched = [
        re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=\"?https?:[^\" >]+", p) for p in pages.values()
    ]
    assert len(pages) > 20 and not any(fetched)
    energy = next(text for path, text in pages.items() if path.match("packages/energy.html"))
    assert 'id="spikeplan.energy.estimate"' in energy, "the API comes from the docstrings"


def test_the_headline_table_is_that_of_the_results_page() -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    table = headline(page)
    assert between(README, "headline", table) == README
    systems, methods = table.split("\n\n")[1:]
    assert systems.count("\n") == 1 + 8 and "| microcontroller + Loihi 2 | 0.933 | 0.232 W | 0.233 W |" in systems
    assert "policy" not in systems and "event camera" not in systems, "those that plan, and see a frame an action"
    assert methods.count("\n") == 1 + 5 and "| TwoRoom, tutorial | sigma_delta | 0.943 |" in methods
    assert methods.splitlines()[2].startswith("| KeepOut | guided | "), "the task that needs its planner comes first"
    assert headline(page.replace("| sigma_delta | 0.943 |", "| sigma_delta | 0.5 |")) != table


def test_the_summary_of_the_results_follows_from_the_table() -> None:
    """Lowest and highest ratio of each task and schedule, against GPUs, and the README's `1.1 to 2.4 times`."""
    page = (ROOT / "docs" / "results.md").read_text()
    found: dict[tuple[str, str], list[float]] = {}
    for line in page.split(marks("energy")[0])[1].split(marks("energy")[1])[0].splitlines():
        cells = line.strip("| ").split(" | ")
        if len(cells) == 9 and cells[1] == "loihi2" and default().devices[cells[3]].kind == "gpu":
            found.setdefault((cells[0], cells[2].split(",")[0]), []).append(float(cells[4]))
    short = page.split("## In short")[1].split("\n\n**These")[0]
    stated = re.findall(r"\| ([\w-]+) \| (\w+) \| ([\d.]+) \([\w ]+\) \| ([\d.]+) \([\w ]+\) \|", short)
    assert {(task, how): (float(low), float(high)) for task, how, low, high in stated} == {
        key: (round(min(ratios), 1), round(max(ratios), 1)) for key, ratios in found.items()
    }
    ratios = [ratio for each in found.values() for ratio in each]
    assert f"{min(ratios):.1f} to {max(ratios):.1f} times the" in " ".join(README.split())


def test_the_watts_that_the_readme_states_follow_from_the_table() -> None:
    """Of systems at 10 Hz: a twentieth of an Orin Nano's, some 400 times a microcontroller's; a failing policy is no plan."""
    page = (ROOT / "docs" / "results.md").read_text()
    watts: dict[str, float] = {}
    for line in page.split(marks("systems")[0])[1].split(marks("systems")[1])[0].splitlines():
        cells = line.strip("| ").split(" | ")
        if cells[0] == "keep-out" and "too few" not in cells[2]:
            value, unit = cells[5].split()[:2]
            watts[cells[1]] = float(value) / (1000 if unit == "mW" else 1)
    chip, npu = watts["microcontroller + Loihi 2"], watts["microcontroller with an NPU, alone"]
    said = " ".join(README.split())
    assert (
        "At ten actions a second a board with Loihi 2 draws a twentieth of an Orin Nano's watts, and some 400 times"
        in said
    )
    assert round(watts["Orin Nano alone"] / chip, -1) == 20 and round(chip / npu, -2) == 400
    assert round(1000 * npu, 1) == 0.5 and "draws half a milliwatt" in " ".join(page.split())


def test_every_generated_table_has_a_home() -> None:
    page = (ROOT / "docs" / "results.md").read_text()
    names = ("results", "energy", "spread", "planners", "bench lava", "lava episodes", "bench events")
    for name in names:
        begin, end = marks(name)
        assert page.count(begin) == page.count(end) == 1, name
    assert README.count("written by") == 1, "README holds the headline table alone"


def test_the_tables_are_replaced_and_nothing_else(tmp_path: Path) -> None:
    summary = {"episodes": 3, "seeds": 1, "tasks": {}}
    typed = Summary(episodes=3, seeds=1)
    assert tables(typed).startswith("3 paired episodes a task and method, 1 planner seed(s)")
    minus = {"sigma_delta": {"mean": -0.01, "ci95": [-0.02, 0.0], "holds": True}}
    rows = [
        {"method": "sigma_delta", "success": 0.9, "ci95": [0.8, 1.0], "minus": {}},
        {"method": "integer", "success": 0.89, "ci95": [0.79, 0.99], "minus": minus},
    ]
    planners = {"episodes": 3, "seeds": 1, "tasks": {"two-room": rows}}
    assert "| two-room | sigma_delta | 0.900 | 0.800 .. 1.000 | -0.010 | -0.020 .. +0.000 | yes |" in planners_table(
        planners
    )
    row = {"name": "plan_values_different", "ours": 1, "other": None, "ratio": None, "unit": "s", "goal": "<= 1"}
    bench = [{**row, "holds": None}]
    assert bench_table(bench).endswith("| plan_values_different | 1 | - | - | s | <= 1 | - |")
    names = ("results", "planners", "bench lava", "spread")
    text = "".join(f"before {name}\n{marks(name)[0]}\nold\n{marks(name)[1]}\nafter\n" for name in names)
    (tmp_path / "results.md").write_text(text)
    for name, found in (("results", summary), ("planners", planners)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "summary.json").write_text(json.dumps(found))
        (tmp_path / name / "config.json").write_text(json.dumps({"command": name}))
    (tmp_path / "bench.json").write_text(json.dumps(bench))
    rewrite(tmp_path / "results.md", [tmp_path / "results", tmp_path / "planners", tmp_path / "bench.json"])
    expected = text
    for name, new in (
        ("results", tables(typed)),
        ("planners", planners_table(planners)),
        ("bench lava", bench_table(bench)),
    ):
        assert new in between(text, name, new)
        expected = between(expected, name, new)
    assert (tmp_path / "results.md").read_text() == expected
    assert expected.count("\nold\n") == 1, "no spread was given"


def test_runs_of_single_tasks_make_one_table() -> None:
    one, other = (Summary(episodes=3, seeds=1, tasks={task: TaskSummary()}) for task in ("two-room", "planar-reach"))
    assert list(merged([one, other]).tasks) == ["two-room", "planar-reach"] and merged([one, other]).episodes == 3
    with pytest.raises(UserError, match="results of two-room are given twice"):
        merged([one, one])
    with pytest.raises(UserError, match="results differ in episodes or planner seeds"):
        merged([one, replace(other, episodes=4)])


def test_a_front_is_a_table_of_what_nothing_cheaper_equals() -> None:
    def row(family: str, success: float, cost: float, **more: Any) -> FrontRow:
        fields: dict[str, Any] = {
            "method": f"{family}-{cost:g}",
            "budget": "64x4",
            "schedule": "batched",
            "role": "front",
        }
        fields |= {"task": "t", "reference": "zero", "threshold": None, "episodes": 10, "episodes_won": "1" * 10}
        fields |= {"ci95": (0.1, 0.9), "paired_vs_dense": (-0.02, 0.01), "joules": {}}
        return FrontRow(family=family, success=success, synop_equivalents=cost * 1e6, **(fields | more))

    rows = [row("dense", 0.9, 30), row("dense", 0.8, 40), row("dense", 0.7, 5), row("spiking", 0.6, 2)]
    rows += [row("spiking", 1.0, 1, role="sweep"), row("spiking", 1.0, 1, schedule="sequential")]
    table = front_table(rows)
    assert [line.split(" | ")[1] for line in table[4:]] == ["dense-5", "dense-30", "spiking-2"]
    assert table[-1] == "| spiking | spiking-2 | 64x4 | 0.600 | 0.100 .. 0.900 | -0.020 .. +0.010 | 2.00 |"
    assert front_table([]) == []
