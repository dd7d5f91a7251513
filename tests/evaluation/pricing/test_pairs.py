"""A chip against a device: every figure by hand, and what turns the verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.energy.uncertainty import PRIORS, Swing
from spikeplan.evaluation.pricing.layers import connections
from spikeplan.evaluation.pricing.price import Pricing, gains
from spikeplan.evaluation.pricing.report import energy_report
from spikeplan.evaluation.pricing.runs import read_run


def test_a_pair_by_hand(toy: Any, report: dict[str, Any]):
    # An action: 392 synops + 10 x 58 updates = 972 synop-equivalents x 100 = 97,200 x 17.6 pJ = 1.71072 uJ;
    # 100 steps x 1.77 us = 177 us x 0.232 W = 41.06 uJ, longer than the work of 3 cores; 100 x 0.386 uJ
    row = toy.pair_of(report, "loihi2", "h100")
    assert row["spiking"]["nominal"] == pytest.approx(97_200 * 17.6e-12 + 0.232 * 100 * 1.77e-6 + 100 * 0.386e-6)
    # 72,000 MACs: two rows, each bound by its one fetch of weights, 720 bytes at 3.35e12 B/s, or by 2 MAC / (0.5 F)
    seconds = sum(max(2 * 100 * n / (0.5 * 1978.9e12), n / 3.35e12) for n in (400, 320))
    assert row["dense"]["nominal"] == pytest.approx(700 * seconds)
    assert row["ratio"] == pytest.approx(row["spiking"]["nominal"] / row["dense"]["nominal"])
    assert row["algorithm_gain"] == pytest.approx(72_000 / 97_200)
    assert row["algorithm_gain"] * row["hardware_gain"] == pytest.approx(1 / row["ratio"])
    assert row["ahead"] == "dense" and set(row["probability"]) == set(PRIORS)


def test_every_pair_of_devices_is_there_in_both_schedules(report: dict[str, Any]):
    found = {(r["chip"], r["device"], r["schedule"]) for r in report["tasks"]["toy"]["pairs"]}
    devices = energy.default().devices.values()
    chips = {d.name for d in devices if d.spiking} - {"speck", "akida"}
    dense = {d.name for d in devices if not d.spiking}
    assert found == {(c, d, s) for c in chips for d in dense for s in ("sequential", "interleaved")}
    refused = report["tasks"]["toy"]["refused"]
    assert "supply it: --devices" in refused["sigma_delta on speck"] and "t_action" in refused["sigma_delta on akida"]


def test_probability_agrees_with_the_band(toy: Any, report: dict[str, Any]):
    for row in report["tasks"]["toy"]["pairs"]:
        chances = row["probability"].values()
        if row["ratio_low"] > 1:
            assert max(chances) == 0, row["chip"]
        if row["ratio_high"] < 1:
            assert min(chances) == 1, row["chip"]
    hala, one = (toy.pair_of(report, chip, "h100")["ratio"] for chip in ("hala_point", "loihi2"))
    assert hala > 1000 * one, "1152 chips that are on"


def test_the_order_of_schedules_and_the_host_of_the_opponent(toy: Any, report: dict[str, Any]):
    for device in ("h100", "orin_nano"):
        slow, fast = (
            toy.pair_of(report, "loihi2", device, s)["spiking"]["nominal"] for s in ("sequential", "interleaved")
        )
        assert slow > 2 * fast


def test_the_encoder_of_a_pair_runs_on_the_opponent(toy: Any, tmp_path: Path):
    # 100 int8 MACs of an encoder an action, left to the host by a chip that takes no MACs; the CPU is measured in fp32
    spiking = toy.spiking_op_counts()
    spiking.add(
        "encoder",
        LayerCounts(layer="vit", macs=100 * toy.ACTIONS, dense_macs=100 * toy.ACTIONS, calls=toy.ACTIONS),
        iteration=0,
        step=0,
    )
    spiking.set_memory("vit", weight_bytes=0, state_bytes=0)
    method = read_run(toy.run_dir(tmp_path, [toy.row_of("sigma_delta", spiking)])).methods["toy"][0]
    cpu = energy.CpuPeak(flop_per_s=1e9, bytes_per_s=1e9, cores=2, power_w=5.0)
    pricing = Pricing(catalogue=energy.default(), cpu=cpu)
    for host, said in (("cpu", "int8 charged as fp32"), ("h100", "encoder on h100")):
        assert said in pricing.price(method, "loihi2", "interleaved", host=host).evidence
    a = pricing.price(method, "loihi2", "interleaved", scope="compute", host="cpu")
    alone = pricing.price(method, "loihi2", "interleaved", scope="compute", extent="predictor")
    assert a.nominal - alone.nominal == pytest.approx(2 * 100 / 1e9 * 5.0)
    assert "encoder on cpu" in a.evidence


def test_connections_by_hand(toy: Any, tmp_path: Path):
    method = next(a for a in read_run(toy.run_dir(tmp_path, toy.rows_of_a_run())).methods["toy"] if a.spiking)
    h1, out = connections(method)
    # h1: 9 of 10 inputs send, 360 of 400 synops; its 40 neurons and the coder's 10. out: 4 of 40, 32 of 320; 8 neurons
    assert (h1["layer"], h1["macs"], h1["synops"], h1["updates"], h1["s"]) == ("h1", 40_000, 36_000, 5_000, 0.9)
    assert (out["layer"], out["macs"], out["synops"], out["updates"], out["s"]) == ("out", 32_000, 3_200, 800, 0.1)


def test_break_even_by_hand(report: dict[str, Any]):
    out = next(row for row in report["tasks"]["toy"]["layers"] if row["layer"] == "out")
    star = out["s_star"]["orin_nano"]
    # e_mac 50 / 33.5e12 J over 17.6 pJ; 10 x 800 / 32,000; static by the share of the MACs
    assert star["first"] == pytest.approx(50 / 33.5e12 / 17.6e-12) and star["update"] == pytest.approx(0.25)
    assert star["static"] == pytest.approx(0.232 * 100 * 1.77e-6 / (72_000 * 17.6e-12))
    assert star["s_star"] == pytest.approx(star["first"] - star["update"] - star["static"])


def test_who_waits_is_charged_on_both_sides(toy: Any, tmp_path: Path):
    """A host that idles until the chip is done draws what a GPU draws that idles from kernel to kernel."""
    rows = []
    for name, op_counts in (
        ("dense", toy.dense_op_counts("dense", "fp32")),
        ("int8", toy.dense_op_counts("int8", "int8")),
        ("sigma_delta", toy.spiking_op_counts()),
    ):
        op_counts.add(
            "encoder", LayerCounts(layer="see", macs=toy.ACTIONS * 50, dense_macs=toy.ACTIONS * 50, calls=toy.ACTIONS)
        )
        op_counts.set_memory("see", weight_bytes=0, state_bytes=0)
        rows.append(toy.row_of(name, op_counts))
    pair = toy.pair_of(energy_report(toy.run_dir(tmp_path, rows), energy.default(), draws=50), "loihi2", "h100")
    wait, chip = 1.3e-6, 100 * 1.77e-6  # a kernel; the chip as in test_a_pair_by_hand
    found = pair["waiting"]
    assert found["dense"] == pytest.approx(pair["dense"]["nominal"] + 70 * 3 * wait)  # encoder, h1, out
    idle = 70 * (wait + chip)
    assert found["spiking"] == pytest.approx(pair["spiking"]["nominal"] + idle + 0.232 * wait)
    # 273 uJ a kernel and draw on one side, 12 mJ of a host that does nothing on the other
    assert found["spiking"] > 40 * found["dense"] and pair["probability_waiting"] == 0.0
    alone = toy.pair_of(
        energy_report(toy.run_dir(tmp_path, toy.rows_of_a_run()), energy.default(), draws=50), "loihi2", "h100"
    )
    assert alone["waiting"]["spiking"] == alone["spiking"]["nominal"], "no encoder, no host that waits"
    assert (
        toy.pair_of(energy_report(toy.run_dir(tmp_path, rows), energy.default(), draws=5), "seneca", "h100")["waiting"]
        is None
    )


def test_the_report_says_how_far_it_is(toy: Any, tmp_path: Path):
    seen: list[tuple[int, int]] = []
    for rows in (toy.rows_of_a_run(), [row for row in toy.rows_of_a_run() if row["method"] != "dense"]):
        seen.clear()
        energy_report(
            toy.run_dir(tmp_path, rows), energy.default(), draws=5, on_progress=lambda *done: seen.append(done)
        )
        assert seen == sorted(seen) and len({total for _, total in seen}) == 1
        assert seen[-1][0] == seen[-1][1], "also where there is no opponent and so no pair"
    assert 0 < len(seen) < 40


def test_a_figure_that_turns_the_verdict_is_never_cut_off(toy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    many = [Swing(figure=f"f{i}", at_low=0.9, at_high=2.0 + i, turns=i == 8) for i in range(10)]
    monkeypatch.setattr("spikeplan.evaluation.pricing.pairs.sensitivity", lambda *_: many)
    found = energy_report(toy.run_dir(tmp_path, toy.rows_of_a_run()), energy.default(), draws=5)
    assert [s["figure"] for s in toy.pair_of(found, "loihi2", "h100")["sensitivity"]] == [
        *(f"f{i}" for i in range(6)),
        "f8",
    ]
    assert all("turned by f8 alone" in said for said in found["tasks"]["toy"]["verdicts"])


def test_density_moves_the_ratio(report: dict[str, Any]):
    for line in report["tasks"]["toy"]["curves"]:
        assert np.all(np.diff(line["nominal"]) >= 0) and line["nominal"][-1] > line["nominal"][0]
        assert line["measured_s"] == pytest.approx(392 / 720)
        assert np.interp(line["measured_s"], line["s"], line["nominal"]) == pytest.approx(
            line["measured_ratio"], rel=0.01
        )


def test_gains_multiply_to_the_ratio():
    found = gains(spiking=2.0, dense=6.0, spiking_ops=10.0, dense_ops=40.0)
    assert found == {"ratio": pytest.approx(1 / 3), "algorithm_gain": 4.0, "hardware_gain": pytest.approx(0.75)}
