"""Systems of a run: each with its cheapest plan of equal success, at every rate; and the command that prints them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spikeplan import energy
from spikeplan.core.errors import UserError
from spikeplan.energy.systems import draw_of, load_systems
from spikeplan.evaluation.pricing.runs import BATCHED, read_run
from spikeplan.evaluation.pricing.systems import systems_report
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.report.readme_energy import systems_section

RATES = (1.0, 10.0)


@pytest.fixture
def folder(toy: Any, tmp_path: Path) -> Path:
    """The toy run, a policy that fails and a dense point at half of the operations that fails, too."""
    rows = toy.rows_of_a_run()
    half = toy.dense_op_counts("int8", "int8", 50)
    for method, success in (("policy", 0.2), ("int8", 0.5)):
        counts = toy.dense_op_counts("policy", "int8", 1) if method == "policy" else half
        rows.append(toy.row_of(method, counts, success=success, budget="small"))
    return toy.run_dir(tmp_path, rows)


def test_each_system_has_its_cheapest_plan_of_equal_success(folder: Path) -> None:
    found = systems_report(folder, energy.default(), load_systems(), RATES)["tasks"]["toy"]
    plans = {(row["system"], row["rate_hz"]): row for row in found["rows"] if row["kind"] == "plan"}
    assert set(plans) == {(name, rate) for name in load_systems() for rate in RATES}
    for (name, rate), row in plans.items():
        spiking = load_systems()[name].side == "spiking"
        assert row["method"].startswith("sigma_delta" if spiking else "int8") and row["success"] == 0.9
        for band in (row["watts"], row["latency_s"], row["action_J"]):
            assert 0 <= band["low"] <= band["nominal"] <= band["high"]
        resting = sum(part["nominal"] for part in row["rests"].values())
        assert row["watts"]["nominal"] == pytest.approx(resting + rate * row["action_J"]["nominal"])
        low, high = row["success_ci95"]
        assert low <= row["success"] <= high and row["episodes"] > 0
        assert sum(part["nominal"] for part in row["by"].values()) == pytest.approx(row["watts"]["nominal"])
        assert rate == 1.0 or row["watts"]["nominal"] > plans[name, 1.0]["watts"]["nominal"]
    methods = read_run(folder).methods["toy"]
    dense = next(one for one in methods if one.method == "int8" and one.success == 0.9)
    alone = draw_of(
        load_systems()["npu"], dense.rows(BATCHED), dense.op_counts.actions, rate_hz=10, catalogue=energy.default()
    )
    assert plans["npu", 10.0]["watts"]["nominal"] == pytest.approx(alone.watts.nominal)


def test_a_policy_that_falls_short_is_a_row_of_its_own(folder: Path) -> None:
    rows = systems_report(folder, energy.default(), load_systems(), RATES)["tasks"]["toy"]["rows"]
    short = [row for row in rows if row["kind"] == "policy alone"]
    assert {row["system"] for row in short} == {"npu", "orin", "h100", "pi5"} and {row["success"] for row in short} == {
        0.2
    }


def test_the_page_s_table_has_a_row_a_system(folder: Path) -> None:
    found = systems_report(folder, energy.default(), load_systems(), (10.0, 1e6))
    table = [line for line in systems_section(found).splitlines() if line.startswith("| toy")]
    assert len(table) == len(load_systems()) + 4 and sum("too few succeed" in line for line in table) == 4
    (npu,) = (line for line in table if "alone | int8" in line and "microcontroller" in line)
    assert "mW" in npu and npu.split(" | ")[-2] == "-", "a microsecond is too short for it"


def test_what_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="--rate 0: give actions a second"):
        systems_report(folder, energy.default(), load_systems(), [0.0])
    fast = systems_report(folder, energy.default(), load_systems(), [1e8])["tasks"]["toy"]
    assert "more than a period at 1e+08 Hz" in " ".join(fast["refused"].values())
    assert [row["kind"] for row in fast["rows"]] == ["policy alone"], (
        "a tiny policy, on the one with no waiting for a call"
    )
    kept = [
        line for line in (folder / "metrics.jsonl").read_text().splitlines() if '"dense"' not in line.split("method")[1]
    ]
    (folder / "metrics.jsonl").write_text("\n".join(kept) + "\n")
    with pytest.raises(UserError, match="task toy has no full dense plan to hold success against; run demo or results"):
        systems_report(folder, energy.default(), load_systems(), RATES)


def test_the_command_prints_and_writes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target, own = tmp_path / "s.json", tmp_path / "mine.toml"
    own.write_text('title = "my card"\nside = "dense"\n[[machines]]\ndevice = "rtx4090"\ndoes = "plan"\n')
    run = ["energy", "systems", str(folder)]
    main([*run, "--rate", "10", "--systems", "npu,mine", "--own", str(own), "--json", str(target)])
    said = capsys.readouterr().out
    assert "my card" in said and "mean power of whole systems" in said and "ms and mJ at the lowest rate" in said
    found = json.loads(target.read_text())
    assert {row["system"] for row in found["tasks"]["toy"]["rows"]} == {"npu", "mine"} and found["rates_hz"] == [10]
    for words, message in (
        (["--rate", "ten"], "--rate ten: not a number"),
        (["--systems", "npu,moon"], "--systems moon: no such system; use events-loihi2, h100"),
        (["--own", str(tmp_path / "none.toml")], "none.toml: no such file"),
    ):
        with pytest.raises(SystemExit) as caught:
            main([*run, *words])
        said = capsys.readouterr().err
        assert caught.value.code == 2
        assert message in said and said.count("\n") == 1
