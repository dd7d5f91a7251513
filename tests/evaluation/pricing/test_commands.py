"""`spikeplan energy` on that run, and on damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spikeplan.core.counts.exchange import read_rows
from spikeplan.core.errors import UserError
from spikeplan.evaluation.pricing.runs import read_run
from spikeplan.experiments.cli.main import main
from spikeplan.experiments.report.readme_energy import energy_section


def test_the_commands(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = toy.run_dir(tmp_path / "run", toy.rows_of_a_run())
    own = tmp_path / "own.toml"
    own.write_text(
        '[devices.speck.figures]\ne_synop = { value = 2, unit = "pJ", source = "me", evidence = "R", node = "x" }\n'
    )
    main(
        [
            "energy",
            "report",
            str(folder),
            "--json",
            str(tmp_path / "r.json"),
            "--svg",
            str(tmp_path / "r.svg"),
            "--counts_files",
            str(tmp_path / "l"),
            "--draws",
            "50",
            "--devices",
            str(own),
        ]
    )
    said = capsys.readouterr().out
    assert (
        "toy: mean power of whole systems at a control rate" in said and "while busy, sigma_delta on loihi2 / " in said
    )
    assert "no chip was" in said and said.count("\n") <= 30, "one screen a task"
    found = json.loads((tmp_path / "r.json").read_text())
    assert {row["system"] for row in found["systems"]["tasks"]["toy"]["rows"]} >= {"npu", "npu-loihi2", "orin", "h100"}
    main(["energy", "report", str(folder), "--draws", "50", "--full"])
    said = capsys.readouterr().out
    assert "P(win)" in said and "Opponents of sigma_delta" in said
    assert "toy" in energy_section(found) and "loihi2 | interleaved, not placed | h100" in energy_section(found)
    assert (tmp_path / "r.svg").read_text().count("<svg") == 1
    files = sorted(str(path) for path in (tmp_path / "l").glob("*.json"))
    assert len(files) == 3 + 2  # three dense methods, two schedules of the spiking one
    again = [read_rows(Path(name)) for name in files if "interleaved" in name]
    assert again[0] == (toy.spiking_op_counts().rows("interleaved"), toy.ACTIONS)
    main(["energy", "compare", *files, "--json", str(tmp_path / "c.json")])
    compared = json.loads((tmp_path / "c.json").read_text())["rows"]
    chip = next(r for r in compared if r["machine"] == "loihi2" and r["schedule"] == "interleaved")
    # The encoder's host aside (there is no encoder here) compare and report price the same counts alike.
    assert chip["joules"] == pytest.approx(toy.pair_of(found, "loihi2", "h100")["spiking"]["nominal"])
    capsys.readouterr()
    main(["energy", "devices", "--json", "--devices", str(own)])
    devices = json.loads(capsys.readouterr().out)["devices"]
    assert devices["speck"]["figures"]["e_synop"]["value"] == 2
    for device in devices.values():
        for figure in device["figures"].values():
            assert {"value", "unit", "low", "high", "node", "source", "evidence"} <= figure.keys()
            assert figure["low"] <= figure["value"] <= figure["high"]
    main(["energy", "devices"])
    assert "not available" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("ci95"), "ci95"),
        (lambda row: row.update(success=None), r"line 2: Expected `float`, got `null` - at `\$\.success`"),
        (lambda row: row.update(method=7), r"got `int` - at `\$\.method`"),
        (lambda row: row.update(op_counts=[]), "line 2: op_counts: Expected `object`, got `array`"),
        (lambda row: row.update(threshold="x"), r"got `str` - at `\$\.threshold`"),
        (lambda row: row.update(method="dense", family="dense"), "spiking is True"),
        (lambda row: row["op_counts"].update(memory=None), "memory"),
        (lambda row: row["op_counts"].update(host_words=True), "host_words"),
        (lambda row: row["op_counts"].update(reference=float("nan")), "line 2: JSON is malformed"),
        (lambda row: row["op_counts"].update(actions=10**400), "actions is 1000"),
        (lambda row: row["op_counts"].update(actions=0), "actions is 0"),
        (lambda row: row["op_counts"].update(counts=[]), "no operations"),
        (lambda row: row["op_counts"]["counts"][0].__setitem__(1, 1.5), "op_counts"),
    ],
)
def test_a_damaged_row_of_a_run_is_one_line_and_writes_nothing(toy: Any, tmp_path: Path, change: Any, message: str):
    row = toy.row_of("sigma_delta", toy.spiking_op_counts())
    change(row)
    with pytest.raises(UserError, match=message):
        read_run(toy.run_dir(tmp_path, [toy.row_of("dense", toy.dense_op_counts("dense", "fp32")), row]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["report", "{no}"], "no results directory"),
        (["report", "{run}", "--json", "{no}/x.json"], "--json"),
        (["report", "{run}", "--draws", "0"], "--draws 0 must be"),
        (["report", "{run}", "--seed", "-1"], "--seed -1"),
        (["report", "{run}", "--devices", "{no}"], "no such file; write one with a table"),
        (["report", "{run}", "--json", "{run}/config.json"], "would write over an input"),
        (["report", "{old}"], "a file of another version?"),
        (["report", "{bad}"], "line 1: op_counts: Expected `int`, got `str`"),
        (["compare", "{no}"], "no operation counts"),
        (["compare", "{nan}"], "row 0: method 'x', layer 'h': macs is nan"),
        (["compare", "{dram}", "--json", "{no}"], "no machine can be priced; the first says: "),
        (["compare", "{nan}", "--json", "{nan}"], "would write over"),
        (["devices", "--devices", "{toml}"], "source is missing"),
    ],
)
def test_bad_input_is_one_line(
    toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
):
    damaged = toy.row_of("sigma_delta", toy.spiking_op_counts())
    damaged["op_counts"]["counts"][0][4]["synops"] = "many"
    nan, toml = tmp_path / "nan.json", tmp_path / "own.toml"
    first = {"method": "x", "phase": "predictor", "layer": "h", "schedule": "batched", "macs": float("nan")}
    nan.write_text(json.dumps({"format": "spikeplan-counts", "version": 3, "actions": 1, "rows": [first]}))
    dram = tmp_path / "dram.json"  # synops keep it off dense devices, DRAM off the chips
    dram.write_text(nan.read_text().replace("NaN", '0, "synops": 7, "dram_bytes": 1').replace("batched", "sequential"))
    toml.write_text('[devices.speck.figures]\ne_synop = { value = 2, unit = "pJ", evidence = "R" }\n')
    places = {
        "no": tmp_path / "none",
        "run": toy.run_dir(tmp_path / "run", toy.rows_of_a_run()),
        "nan": nan,
        "dram": dram,
        "toml": toml,
        "old": toy.run_dir(tmp_path / "old", [{"kind": "method"}]),
        "bad": toy.run_dir(tmp_path / "bad", [damaged]),
    }
    with pytest.raises(SystemExit) as stop:
        main(["energy", *(word.format(**places) for word in words)])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and message in said and said.count("\n") == 1
    assert not (tmp_path / "none").exists()
