"""`energy report --measured`: the GPU rows of the same plan carry what was measured, all others the word modelled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spikeplan import energy
from spikeplan.energy.measured import MeasuredRow, to_file
from spikeplan.energy.schema import Band
from spikeplan.evaluation.pricing.layers import gpu_rows
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import read_run
from spikeplan.experiments.cli.main import main

MACS = 100 * 720  # predictions of an action, MACs of one


def rows() -> tuple[MeasuredRow, ...]:
    def row(way: str, seconds: float, macs: int = MACS, gross_J: float = 0.1) -> MeasuredRow:
        return MeasuredRow(
            device="NVIDIA H100 80GB HBM3",
            place="gpu",
            way=way,
            task="toy",
            budget="4x2 H3",
            precision="fp32",
            macs=macs,
            meter="NVML, NVIDIA H100 80GB HBM3",
            runs=9,
            seconds=seconds,
            gross_J=gross_J,
            idle_W=Band(90.0, 100.0, 110.0),
        )

    return row("eager", 5e-4), row("fused", 1e-4), row("graph", 2e-4, macs=MACS + 1), row("graph", 1e-3)


def test_rows_of_the_same_plan_are_measured(toy: Any, tmp_path: Path):
    run = read_run(toy.run_dir(tmp_path / "run", toy.rows_of_a_run()))
    dense = [method for method in run.methods["toy"] if method.method == "int8"]
    pricing = Pricing(catalogue=energy.default(), cpu=energy.measure_peak())
    found = {row["device"]: row for row in gpu_rows(dense, pricing, rows())}
    h100 = found.pop("h100")
    assert (h100["plan_macs"], h100["evidence"]) == (MACS, "measured")
    assert [row["way"] for row in h100["measured"]] == ["eager", "fused", "graph"]
    assert [row["told"] for row in h100["measured"]] == [True, True, False]  # 0.1 J gross, 0.1 J idle
    # 0.1 J less 90, 100, 110 W over 0.5 ms
    assert [h100["measured"][0][bound] for bound in ("low", "nominal", "high")] == pytest.approx([0.045, 0.05, 0.055])
    assert found and all((row["evidence"], row["measured"]) == ("modelled", []) for row in found.values())
    assert {row["evidence"] for row in gpu_rows(dense, pricing)} == {"modelled"}


def test_the_command_reads_the_file(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, file, out = toy.run_dir(tmp_path / "run", toy.rows_of_a_run()), tmp_path / "m.json", tmp_path / "r.json"
    file.write_text(json.dumps(to_file(rows())))
    main(["energy", "report", str(folder), "--draws", "20", "--measured", str(file), "--json", str(out)])
    said = " ".join(capsys.readouterr().out.split())
    assert "modelled" in said and "No GPU was measured" not in said
    assert (
        "measured, h100 (NVIDIA H100 80GB HBM3): eager, fp32, 0.072 M MACs without the encoder: 50.0 mJ [45.0 mJ .. 55"
        in said
    )
    assert said.count("NVIDIA H100 80GB HBM3") == 3, "two methods of the same plan, one line a way"
    h100 = next(row for row in json.loads(out.read_text())["tasks"]["toy"]["gpu"] if row["device"] == "h100")
    assert h100["idle_w"] == pytest.approx(100.0), "the catalogue's idle power is the measured one"
    assert h100["measured"][1]["seconds"] == 1e-4
    main(["energy", "report", str(folder), "--draws", "20"])
    assert "No GPU was measured" in capsys.readouterr().out
    file.write_text("{}")
    with pytest.raises(SystemExit):
        main(["energy", "report", str(folder), "--measured", str(file)])
    assert "no measured figures" in capsys.readouterr().err


def test_the_file_is_not_written_over(toy: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder, file = toy.run_dir(tmp_path / "run", toy.rows_of_a_run()), tmp_path / "m.json"
    file.write_text(json.dumps(to_file(rows())))
    with pytest.raises(SystemExit):
        main(["energy", "report", str(folder), "--measured", str(file), "--json", str(file)])
    assert "would write over an input" in capsys.readouterr().err
    assert "fused" in file.read_text()
