"""`energy compare`: files of every kind in one table, a winner a system, measured beside modelled, slips in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.counts.exchange import read_rows
from spikeplan.core.counts.operations import total
from spikeplan.energy import estimate
from spikeplan.energy.band import Band
from spikeplan.energy.measured import MeasuredRow, to_file
from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.checkpoint import shipped

DELTA = str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors"))
MINE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4)), torch.rand(2, 8)
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def compared(*words: str) -> dict:
    main(["energy", "compare", *words, "--json", "out.json"])
    return json.loads(Path("out.json").read_text())


def test_a_python_file_is_priced_as_its_module(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared("mine.py", "--machines", "orin_nano,gap9", "--rate", "10,50", "--systems", "npu,orin")
    assert {row["machine"] for row in found["rows"]} == {"orin_nano", "gap9"}
    assert {(row["system"], row["rate_hz"]) for row in found["by_system"]} == {
        (name, rate) for name in ("npu", "orin") for rate in (10.0, 50.0)
    }
    assert found["winner"]["system"] == "npu" and found["neurobench"]["mine"]["SynapticOperations"]["Dense"] == 192
    assert "10 Hz: least is mine on microcontroller with an NPU" in " ".join(capsys.readouterr().out.split())


def test_a_loop_is_what_its_rows_cost(here: Path) -> None:
    """64 candidates and 12 steps of the one network, written out as rows by hand."""
    once = compared("mine.py", "--machines", "jepa_r")["rows"][0]
    looped = compared("mine.py", "--machines", "jepa_r", "--candidates", "64", "--horizon", "12")["rows"][0]
    assert looped["equivalents"] == 64 * 12 * once["equivalents"]
    single = compared("mine.py", "--machines", "jepa_r", "--candidates", "64", "--horizon", "12", "--batch", "1")[
        "rows"
    ][0]
    assert single["joules"] > looped["joules"], "without reuse every candidate reads the weights"


def test_an_artifact_comes_with_its_dense_twin(here: Path) -> None:
    found = compared(DELTA, "--rates", "0.1", "--machines", "loihi2,orin_nano")
    rows = {(row["name"], row["machine"]): row for row in found["rows"]}
    assert set(rows) == {("two-room.delta", "loihi2"), ("two-room.delta, dense int8", "orin_nano")}
    # 34 + 256 + 256 neurons send a tenth: 3.4 x 256 + 25.6 x 256 + 25.6 x 32 synops, 578 neurons update
    assert rows["two-room.delta", "loihi2"]["equivalents"] == pytest.approx(
        3.4 * 256 + 25.6 * 256 + 25.6 * 32 + 10 * (34 + 256 + 256 + 32), rel=1e-3
    )
    assert rows["two-room.delta, dense int8", "orin_nano"]["equivalents"] == 34 * 256 + 256 * 256 + 256 * 32


def test_lava_s_counts_are_read_back(here: Path) -> None:
    from tests.networks import Layer, cells, layered, linear

    from spikeplan.conversion.nir import write_nir

    one = np.ones(5)
    neuron = cells(du=one, dv=0.1 * one, vth=one, bias=0 * one)
    layer = Layer(name="cells", neuron=neuron, synapse=linear(np.full((5, 3), 0.5)))
    write_nir(layered((3,), layer, spikes=True), "mine.nir")
    np.save("x.npy", np.ones((8, 3), int))
    main(["lava", "run", "mine.nir", "--inputs", "x.npy", "--steps", "8", "--counts", "lava.json"])
    rows, actions = read_rows(Path("lava.json"))
    assert total(rows, "synops") / actions == 8 * 15 / actions
    both = compared("lava.json", "mine.nir", "--inputs", "x.npy", "--machines", "loihi2")["rows"]
    assert both[0]["joules"] == pytest.approx(both[1]["joules"]), "Lava and the integer reference send the same"
    assert both[0]["joules"] == estimate("loihi2", rows, actions, scope="system", extent="loop").nominal


def test_a_network_that_sends_nothing_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.networks import Layer, cells, layered, linear

    from spikeplan.conversion.nir import write_nir

    one = np.ones(5)
    neuron = cells(du=one, dv=0.1 * one, vth=100 * one, bias=0 * one)
    layer = Layer(name="cells", neuron=neuron, synapse=linear(np.full((5, 3), 0.5)))
    write_nir(layered((3,), layer, spikes=True), "mine.nir")
    np.save("x.npy", np.ones((8, 3), int))
    words = ["energy", "compare", "mine.nir", "--inputs", "x.npy", "--machines", "loihi2", "--dt", "1e-4"]
    main(words)
    said = capsys.readouterr().out
    assert "mine.nir: nothing was sent by" in said and "look at the inputs, thresholds" in said
    with pytest.raises(SystemExit) as stop:
        main(["energy", "compare", "lava.json", "--dt", "1e-4"])
    assert stop.value.code == 2 and "--dt and --graded are for NIR files" in capsys.readouterr().err


def test_a_measured_plan_stands_beside_the_model(here: Path) -> None:
    macs = (8 * 16 + 16 * 4) * 64 * 12
    row = MeasuredRow(
        device="NVIDIA H100 80GB HBM3",
        place="gpu",
        way="graph",
        task="mine",
        budget="64x1 H12",
        precision="fp16",
        macs=macs,
        meter="NVML",
        runs=10,
        seconds=1e-4,
        gross_J=0.012,
        idle_W=Band(69.0, 70.0, 71.0),
        versions={},
    )
    Path("m.json").write_text(json.dumps(to_file([row], {})))
    words = ("mine.py", "--machines", "h100", "--candidates", "64", "--horizon", "12", "--measured", "m.json")
    model, measured = compared(*words)["rows"]
    assert (model["schedule"], measured["schedule"]) == ("batched", "measured, graph fp16")
    assert measured["joules"] == pytest.approx(0.012 - 70 * 1e-4) and measured["evidence"].startswith("measured")
    assert len(compared(*words[:3], "--measured", "m.json")["rows"]) == 1, "another plan was not measured"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["mine.py", "--rate", "many"], "--rate many: not a number"),
        (["mine.py", "--systems", "npu"], "give --rate"),
        (["mine.py", "--rate", "10", "--systems", "abacus"], "system 'abacus' is unknown"),
        (["mine.py", "--machines", "abacus"], "device 'abacus' is unknown"),
        (["mine.py", "--rates", "0.1"], "are for artifacts, netx and NIR files"),
        (["mine.py", "--eta", "2"], "is a share of the peak"),
        (["mine.py", "--cores", "0"], "must be finite and > 0"),
        (["mine.py", "--candidates", "0"], "loop: candidates is 0"),
        (["empty.py"], "no function network()"),
        (["fails.py"], "network() fails (ZeroDivisionError"),
        (["odd.py"], "gives int for 'odd'; return (module, inputs)"),
        ([DELTA], "say what its neurons send, in one way"),
        ([DELTA, "--rates", "2"], "--rates"),
        (["mine.py", "--rate", "1e8", "--systems", "orin"], "more than a period"),
    ],
)
def test_a_slip_is_one_line(here: Path, words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "empty.py").write_text("x = 1\n")
    (here / "fails.py").write_text("def network():\n    return 1 / 0\n")
    (here / "odd.py").write_text("def network():\n    return 3\n")
    with pytest.raises(SystemExit) as stop:
        main(["energy", "compare", *words, "--json", "out.json"])
    said = capsys.readouterr().err.splitlines()[-1]
    assert stop.value.code == 2 and complaint in said and not Path("out.json").exists()
