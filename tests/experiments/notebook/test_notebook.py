"""What a notebook shows: a comparison that draws itself, and a results directory as an object."""

from __future__ import annotations

import builtins
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import torch

import spikeplan as sp
from spikeplan.core.errors import UserError
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import FrontRow, PointEnergy
from spikeplan.evaluation.summary import MethodSummary, Summary, TaskSummary
from spikeplan.experiments.notebook.compare import ComparisonTable
from spikeplan.experiments.notebook.results import Report

TASK = "two-room"


def table() -> ComparisonTable:
    rows = [
        {
            "name": name,
            "machine": machine,
            "schedule": "batched",
            "joules": j,
            "low": j / 2,
            "high": 2 * j,
            "seconds": 1e-3,
        }
        for name, j in (("<mine>", 1e-3), ("narrow", 5e-4))
        for machine in ("orin_nano", "h100")
    ]
    return ComparisonTable(rows)


def front() -> list[FrontRow]:
    energy = PointEnergy(low=1e-3, nominal=2e-3, high=4e-3)
    sides = (("int8", "dense", "batched", "orin_nano"), ("sigma_delta", "spiking", "interleaved", "loihi2"))
    return [
        FrontRow(
            task=task,
            method=method,
            family=family,
            budget="64x4 H12",
            reference="zero",
            threshold=None,
            success=0.9,
            role="front",
            ci95=(0.8, 0.95),
            paired_vs_dense=(-0.02, 0.02),
            episodes=10,
            episodes_won="1111111110",
            schedule=schedule,
            synop_equivalents=1e8,
            joules={device: energy},
        )
        for task in (TASK, "planar-reach")
        for method, family, schedule, device in sides
    ]


def run() -> Report:
    methods = {"dense": MethodSummary(success=0.91, ci95=(0.8, 0.95), episodes=100)}
    summary = Summary(tasks={TASK: TaskSummary(methods=methods)})
    return Report(Path("runs/mine"), Results(config={}, summary=summary, rows=list(front())))


def words(svg: str) -> set[str]:
    return {str(title.text) for title in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}title")}


@pytest.mark.parametrize(("suffix", "begins"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_a_comparison_is_drawn_and_written(tmp_path: Path, suffix: str, begins: bytes) -> None:
    drawn = table().plot(tmp_path / f"compare.{suffix}")
    assert (tmp_path / f"compare.{suffix}").read_bytes().startswith(begins)
    assert "<mine> on h100, batched: 1.00 mJ [500 µJ, 2.00 mJ]" in words(drawn.svg) and len(words(drawn.svg)) == 4
    assert drawn._repr_html_().startswith("<svg") and "<title>narrow on orin_nano" in drawn._repr_html_()


def test_a_comparison_of_the_front_door_draws_itself_and_loads_no_matplotlib_before() -> None:
    code = (
        "import sys, torch, spikeplan as sp\n"
        "table = sp.compare({'mine': sp.profile(torch.nn.Linear(9, 9), torch.rand(1, 9))}, ['h100'])\n"
        "assert 'matplotlib' not in sys.modules\n"
        "print(table.plot().svg.count('class=\"mark\"'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600, check=True)
    assert done.stdout == "2\n"  # the band and the mark


def test_a_figure_has_a_known_format_and_a_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"compare\.bmp: a figure is written as \.svg, \.png or \.pdf"):
        table().plot("compare.bmp")
    with pytest.raises(UserError, match="cannot be written"):
        table().plot(tmp_path / "nowhere" / "compare.svg")


def test_a_run_shows_its_headline_in_a_notebook() -> None:
    shown = run()._repr_html_()
    ElementTree.fromstring(shown)
    assert shown.count("<svg") == 2 and "0.910" in shown and "<h4>planar-reach</h4>" in shown
    assert "spiking / dense = 1" in shown and "figures/" not in shown
    ids = re.findall(r'\bid="([^"]+)"', shown)
    assert set(re.findall(r'(?:url\(|xlink:href=")#([^")]+)', shown)) <= set(ids)
    assert "0.910 [0.800, 0.950]" in str(run()) and "tasks two-room, planar-reach; rows front" in repr(run())


def test_a_run_draws_a_panel_a_task(tmp_path: Path) -> None:
    drawn = run().plot(tmp_path / "front.svg")
    assert (tmp_path / "front.svg").read_text() == drawn.svg
    text = "".join(ElementTree.fromstring(drawn.svg).itertext())
    assert TASK in text and "planar-reach" in text
    assert "sigma_delta, 64x4 H12, interleaved: success 0.900 [0.800, 0.950], 100 M synop-equivalents" in words(
        drawn.svg
    )
    with pytest.raises(UserError, match="no task has both"):
        Report(Path("x"), Results(config={}, summary=Summary())).plot()


def test_the_rows_of_a_kind_as_a_frame() -> None:
    pytest.importorskip("pandas")
    assert list(run().to_pandas("front")["method"]) == ["int8", "sigma_delta"] * 2
    with pytest.raises(UserError, match="no rows of kind 'energy'; it has front"):
        run().to_pandas("energy")


def test_without_pandas_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "pandas":
            raise ImportError("No module named 'pandas'")
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    for rows in (run(), table()):
        with pytest.raises(UserError, match="pip install pandas"):
            rows.to_pandas()


def test_a_directory_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no summary\.json"):
        sp.report(tmp_path)


def test_a_directory_with_results_is_read(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text('{"tasks": {"two-room": {}}}')
    assert sp.report(str(tmp_path)).tasks == [TASK]
    assert "not run" in sp.report(tmp_path)._repr_html_()


def test_machines_and_systems_of_ones_own(tmp_path: Path) -> None:
    chip, own = tmp_path / "chip.toml", tmp_path / "mine.toml"
    figure = '{ value = 2.0, unit = "%s", source = "our bench", evidence = "R", node = "28 nm" }'
    chip.write_text(
        '[devices.mychip]\nkind = "event"\n[devices.mychip.figures]\n'
        + "".join(
            f"{name} = {figure % unit}\n" for name, unit in (("e_synop", "pJ"), ("e_update", "pJ"), ("p_static", "mW"))
        )
        + '[devices.mychip.unavailable]\nt_step = "not clocked"\n[devices.orin_nano.figures]\n'
        + f"p_idle = {figure % 'W'}\n"
    )
    own.write_text(
        'title = "my board"\nside = "dense"\n[[machines]]\ndevice = "orin_nano"\ndoes = "plan"\nrest = "idle"\n'
    )
    net = {"mine": sp.profile(torch.nn.Linear(9, 9), torch.rand(1, 9))}
    shipped = sp.compare(net, ["orin_nano"], rate_hz=10, systems=["orin"])
    found = sp.compare(net, ["orin_nano"], rate_hz=10, systems=["orin", "mine"], devices=chip, own=str(own))
    watts = {row["system"]: row["watts"] for row in found.systems}
    assert set(watts) == {"orin", "mine"} and watts["orin"] == watts["mine"] < shipped.systems[0]["watts"]
    with pytest.raises(UserError, match="system 'moon' is unknown; use events-loihi2, .*, mine"):
        sp.compare(net, rate_hz=10, systems=["moon"], own=own)
    with pytest.raises(UserError, match=r"systems is the text 'orin'; give a list: systems=\['orin'\]"):
        sp.compare(net, rate_hz=10, systems="orin", own=own)
    with pytest.raises(UserError, match="none.toml"):
        sp.compare(net, devices=tmp_path / "none.toml")
    with pytest.raises(UserError, match="no machine can be priced; .*mychip"):
        sp.compare(net, ["mychip"], devices=chip)
