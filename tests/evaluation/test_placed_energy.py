"""`spikeplan place` from the command line: figures that fit each other, refusals, exit codes, pictures."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spikeplan.conversion import Calibration, convert
from spikeplan.conversion.recipes.sigma_delta import SigmaDelta
from spikeplan.core.chips import LOIHI1, LOIHI2
from spikeplan.core.counts.operations import total
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.placed_energy import Placed, dense_energy, placed
from spikeplan.evaluation.placement_sweep import best_joules, best_time, search
from spikeplan.evaluation.traffic import Traffic, traffic_of
from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.checkpoint import shipped
from spikeplan.worldmodel.predictor import ResidualPredictor

DELTA = str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors"))


LIF = str(shipped("two-room").with_suffix("").with_suffix(".lif.safetensors"))


SCOPE_KEYS = {
    "cores",
    "chips",
    "cores_at_80_percent",
    "chips_at_80_percent",
    "neurons",
    "groups",
    "hops_per_action",
    "time",
    "prediction",
    "energy",
    "within",
    "dense",
}


def run(args: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        main(["place", *args])
    found = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    if stop.value.code != 2:
        return stop.value.code, found.out
    # On a busy machine the work takes long enough to show its progress first.
    return 2, "".join(line for line in found.err.splitlines(keepends=True) if not line.endswith(" ...\n"))


def test_json_pictures_and_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / name for name in ("p.json", "cores.svg", "sweep.svg")]
    args = [DELTA, "--replicas", "8", "--json", str(files[0]), "--svg", str(files[1]), "--sweep-svg", str(files[2])]
    code, text = run(args, capsys)
    assert code == 0 and "Spikes lose against" in text and "at 80 %" in text
    facts = json.loads(files[0].read_text())
    assert (facts["chip"], facts["replicas"], facts["spread"], facts["broken"], facts["reference"]) == (
        "loihi2",
        8,
        1,
        [],
        "zero",
    )
    assert set(facts["predictor"]) == set(facts["loop"]) == SCOPE_KEYS
    one, loop = facts["predictor"], facts["loop"]
    assert (one["cores"], one["cores_at_80_percent"], loop["cores"], loop["cores_at_80_percent"]) == (32, 40, 41, 52)
    assert [g["name"] for g in loop["groups"]][:4] == ["code", "h1", "h2", "out"] and len(loop["groups"]) == 11
    for extent in (one, loop):
        for schedule in ("sequential", "interleaved"):
            times, e = extent["time"][schedule], extent["energy"][schedule]
            assert times["low"]["action_s"] < times["nominal"]["action_s"] < times["high"]["action_s"]
            assert e["low"] < e["nominal"] < e["high"] and e["without_static"]["nominal"] < e["nominal"]
            static = 0.232 * extent["chips"] * e["latency_s"]
            assert e["nominal"] - e["without_static"]["nominal"] >= 0.99 * static
    # 64 candidates in 8 replicas: 8 turns, 12 steps, 4 iterations.
    assert one["time"]["sequential"]["nominal"]["steps"] == 4 * 12 * 8 * 4
    assert one["time"]["interleaved"]["nominal"]["steps"] == 4 * (12 * 8 + 3)
    assert loop["within"]["interleaved"] == {"JEPA-R's control period": True, "V-JEPA 2-AC on an RTX 4090": True}
    assert not loop["within"]["sequential"]["JEPA-R's control period"]
    assert {(row["replicas"], row["spread"]) for row in facts["sweep"]} == {
        (r, s) for r in (1, 2, 4, 8, 16, 32, 64) for s in (1, 2, 4, 8)
    }
    cores = files[1].read_text()
    assert len(re.findall(r'id="core-0-\d+"', cores)) == 41 and "chip 1 of 1" in cores
    assert all(name in cores for name in ("code", "h1", "h2", "out", "parts of the loop"))
    sweep = files[2].read_text()
    assert all(name in sweep for name in ("64 (3)", "orin_nano", "h100", "jepa_r", "control period", "interleaved"))


def test_the_front_and_the_search_agree(delta: Traffic, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "p.json"
    code, _ = run([DELTA, "--for-latency", "10", "--max-chips", "2", "--sweep", "--json", str(target)], capsys)
    facts = json.loads(target.read_text())
    rows = {(row["replicas"], row["spread"]): row for row in facts["sweep"]}
    chosen = rows[facts["replicas"], facts["spread"]]

    def time(row: dict[str, Any]) -> float:
        return min(row[s]["action_s"]["nominal"] for s in ("sequential", "interleaved"))

    assert code == 0 and facts["missed"] is None and time(chosen) <= 10e-3 and chosen["chips"] <= 2
    for row in rows.values():
        assert time(row) > 10e-3 or (row["chips"], row["cores"]) >= (chosen["chips"], chosen["cores"])
        dominated = any(o["cores"] < row["cores"] and time(o) < time(row) for o in rows.values())
        assert not (row["front"] and dominated)
    found = [placed(delta, LOIHI2, replicas=r, spread=s, extent="loop") for r in (1, 8, 64) for s in (1, 4)]
    cost = {
        (one.found.replicas, one.found.spread): min(one.energy(s)["nominal"] for s in ("sequential", "interleaved"))
        for one in found
    }
    best = search(delta, LOIHI2, objective="energy", chips=8)
    assert not isinstance(best, str) and best.missed is None and best.next_best is not None
    assert best_joules(best.best) <= best_joules(best.next_best) and best_joules(best.best) <= min(cost.values())
    quick = search(delta, LOIHI2, objective="time", chips=8)
    assert not isinstance(quick, str) and best_time(quick.best) <= best_time(best.best)
    small = search(delta, LOIHI2, objective="chips", chips=8)
    assert not isinstance(small, str) and (small.best.found.chips, small.best.found.replicas) == (1, 1)
    assert small.best.found.cores < best.best.found.cores and best_joules(small.best) > best_joules(best.best)
    code, text = run([DELTA, "--for-latency", "0.01", "--max-chips", "1"], capsys)
    assert code == 1 and "no placement within 1 chip(s) plans an action in 0.01 ms; the fastest takes" in text


def test_the_host_selects_in_place_of_the_chips_search(
    delta: Traffic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chip, host = (placed(delta, LOIHI2, replicas=8, spread=1, extent="loop", host_selects=on) for on in (False, True))
    actions = delta.spiking.actions

    def of(one: Placed, name: str) -> float:
        return total(one.rows("interleaved"), name) / actions

    # 64 candidates in 4 iterations: 2 (24 + 6) steps of a search become one; 64 costs up, a threshold and a number back
    steps = [one.times["interleaved"]["nominal"].steps for one in (chip, host)]
    assert steps[0] - steps[1] == 4 * (2 * (24 + 6) - 1)
    assert of(host, "host_words") - of(chip, "host_words") == 4 * (64 + 2)
    searched = sum(row.synops for row in chip.rows("interleaved") if row.layer == "select") / actions
    assert searched == of(chip, "synops") - of(host, "synops") == of(host, "acs") - of(chip, "acs") > 0
    a, b = (one.energy("interleaved") for one in (chip, host))
    assert all(b[bound] < a[bound] for bound in ("low", "nominal", "high")) and b["latency_s"] < a["latency_s"]
    alone = [placed(delta, LOIHI2, replicas=8, spread=1, extent="predictor", host_selects=on) for on in (False, True)]
    assert alone[0].energy("sequential") == alone[1].energy("sequential")

    target = tmp_path / "p.json"
    code, text = run([DELTA, "--replicas", "8", "--select-on", "host", "--json", str(target)], capsys)
    facts = json.loads(target.read_text())
    assert code == 0 and "the host selects" in text and facts["select_on"] == "host"
    assert facts["loop"]["energy"]["interleaved"]["nominal"] == pytest.approx(b["nominal"])
    assert run([LIF, "--chip", "loihi1", "--select-on", "host"], capsys)[0] == 2


def test_copies_cut_time_and_burn_more_chips(delta: Traffic) -> None:
    """What replicas cost: a chip's static power each, and updates of neurons that wait."""
    one, many = (placed(delta, LOIHI2, replicas=r, spread=1, extent="loop") for r in (1, 64))
    a, b = (p.energy("interleaved") for p in (one, many))
    assert (one.found.chips, many.found.chips) == (1, 3)
    assert many.times["interleaved"]["nominal"].action_s < one.times["interleaved"]["nominal"].action_s / 5
    assert b["waiting_updates"] > 10 * a["waiting_updates"] > 0
    assert b["nominal"] > b["counted"]["nominal"] and b["without_static"]["nominal"] > a["without_static"]["nominal"]
    busy = many.times["interleaved"]["nominal"].action_s
    encoder_s = b["latency_s"] - busy  # the chips stay on while the host computes and sends
    assert 0 < encoder_s < 1e-5
    steps = total(many.rows("interleaved"), "chip_steps") / delta.spiking.actions
    standing = 3 * (0.72 * (busy + encoder_s) + 0.386e-6 * steps)
    assert b["nominal"] - b["without_static"]["nominal"] == pytest.approx(standing, rel=1e-2)
    # One replica, sequential, predictor alone: all its updates are in the operation counts, nothing waits.
    alone = placed(delta, LOIHI2, replicas=1, spread=1, extent="predictor").energy("sequential")
    assert alone["waiting_updates"] == 0 and alone["counted"]["nominal"] == alone["nominal"]


def test_hops_enter_the_op_counts_and_barriers_grow_with_chips() -> None:
    lif = traffic_of(LIF, LOIHI1)
    wide = placed(lif, LOIHI1, replicas=8, spread=4, extent="predictor")
    rows = wide.rows("sequential")
    per_action = sum(row.hops or 0 for row in rows) / lif.spiking.actions
    assert per_action == pytest.approx(wide.hops_per_action, rel=1e-3) and per_action > 0
    one, many = (placed(lif, LOIHI1, replicas=r, spread=1, extent="predictor") for r in (32, 64))
    assert (one.found.chips, many.found.chips) == (1, 2)
    assert one.clocks["nominal"].speed.barrier_s == pytest.approx(465e-9)
    assert many.clocks["nominal"].speed.barrier_s == pytest.approx(5.8e-6)


def test_a_lif_network_fits_loihi_1_and_a_graded_one_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "p.json"
    code, text = run([LIF, "--chip", "loihi1", "--json", str(target)], capsys)
    facts = json.loads(target.read_text())
    assert code == 0 and facts["loop"] is None and "stay on the host" in " ".join(text.split())
    assert facts["predictor"]["groups"][0]["neurons"] == 8 * 34, "inputs are coded bit by bit"
    assert facts["messages_per_prediction"]["code"] == 4 * 34
    assert "hypothetical" not in facts["predictor"]["energy"]["sequential"]["evidence"]
    code, text = run([DELTA, "--chip", "loihi1", "--json", str(target)], capsys)
    facts = json.loads(target.read_text())
    assert code == 1 and "layer 'h1': message_bits 8 exceeds 1; loihi1 sends binary spikes; use the LIF method" in text
    assert {(b["layer"], b["limit"], b["allowed"]) for b in facts["broken"]} == {
        (layer, "message_bits", 1) for layer in ("code", "h1", "h2", "out")
    }
    assert facts["predictor"]["time"] is None and facts["predictor"]["energy"] is None, (
        "what cannot be built has neither"
    )
    code, _ = run([LIF, "--chip", "loihi2", "--json", str(target)], capsys)
    assert code == 0 and json.loads(target.read_text())["loop"]["chips"] == 1


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ([DELTA, "--chip", "truenorth"], "chip 'truenorth' is unknown; use one of loihi1, loihi2"),
        ([DELTA, "--replicas", "0"], "--replicas 0 must be from 1"),
        ([DELTA, "--replicas", "65"], "65 replicas for 64 candidates; use at most 64"),
        ([DELTA, "--spread", "0"], "--spread 0 must be from 1"),
        ([DELTA, "--for-latency", "-1"], "--for-latency -1.0 must be finite and > 0"),
        ([DELTA, "--for-latency", "10", "--max-chips", "0"], "--max-chips 0"),
        ([DELTA, "--svg", "nowhere/at/all.svg"], "no file that can be written"),
        (["missing.safetensors"], "missing.safetensors: no such artifact"),
        ([str(shipped("two-room"))], "make one with `spikeplan convert`"),
    ],
)
def test_bad_input_is_one_line(args: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, line = run(args, capsys)
    assert code == 2 and expected in line
    assert line.startswith("spikeplan: ") and line.count("\n") == 1


def test_an_artifact_without_a_task_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = artifact_file.save(replace(artifact_file.load(DELTA), provenance={}), tmp_path / "a.safetensors")
    code, line = run([str(path)], capsys)
    assert code == 2 and "a.safetensors: its header names no task; say what it sends: give --recording" in line
    code, text = run([str(path), "--rates", "0.2"], capsys)
    assert code == 0 and "82,432 weights" in text, "placed as the network that it is"


@pytest.mark.parametrize(
    ("hidden", "macs"), [((4,), 34 * 4 + 4 * 32), ((8, 6), 34 * 8 + 8 * 6 + 6 * 32), ((64,), 66 * 64)]
)
def test_the_dense_opponent_has_the_widths_that_are_placed(hidden: tuple[int, ...], macs: int, tmp_path: Path) -> None:
    """Not those of the shipped network, whatever task the header names: 64 candidates, 12 steps, 4 iterations."""
    torch.manual_seed(0)
    data = Calibration(torch.randn(64, 32), torch.rand(64, 2) * 2 - 1)
    net, _ = convert(ResidualPredictor(32, 2, hidden), data, SigmaDelta(thresholds=0.5), task="two-room")
    traffic = traffic_of(str(artifact_file.save(net, tmp_path / "own.safetensors")), LOIHI2)
    assert traffic.dense is not None and traffic.dense.actions > 0
    rows = [row for row in traffic.dense.rows("batched") if row.phase == "predictor"]
    assert sum(row.macs for row in rows) == macs * 64 * 12 * 4 * traffic.dense.actions
    assert sum({row.layer: row.weight_bytes for row in rows}.values()) == macs == net.synapses
    of_predictor = dense_energy(traffic, "predictor")
    assert all(e["nominal"] > 0 for e in of_predictor.values())
