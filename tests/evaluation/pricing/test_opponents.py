"""Whom a spiking method is compared with, and runs that have nobody to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spikeplan import energy
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.evaluation.pricing.report import energy_report


def test_the_opponents_are_all_named(report: dict[str, Any]):
    rows = report["tasks"]["toy"]["opponents"]["rows"]
    said = " ".join(row["opponent"] for row in rows)
    for word in ("dense fp32", "dense int8", "matched bits (8)", "skipped", "pruned", "reduced budget", "batch 1"):
        assert word in said, word
    matched = next(row for row in rows if "matched bits" in row["opponent"])
    assert matched["method"] == "sigma_delta/dense 4x2 H3" and matched["algorithm_gain"] == pytest.approx(
        72_000 / 97_200
    )
    one, many = (row["joules"] for row in (rows[-1], rows[-2]))
    assert one > many and rows[-1]["method"] == rows[-2]["method"]
    assert next(row for row in rows if "pruned" in row["opponent"])["method"] is None, "no narrow network in this run"


def test_pruned_networks_are_opponents_on_both_readings(toy: Any, tmp_path: Path):
    """90 % of the weights zero: 72 of 720 MACs where they are skipped, all of them where not; 95 % plans too badly."""
    skip = OperationCounts(method="pruned-90/skip", reference="zero", precision="int8", spiking=False)
    rows = toy.PREDICTIONS * toy.ACTIONS
    for name, kept in (("h1", 40), ("out", 32)):
        skip.add(
            "predictor",
            LayerCounts(layer=name, macs=rows * kept, dense_macs=rows * 10 * kept, calls=rows),
            iteration=0,
            step=0,
        )
        skip.set_memory(name, weight_bytes=kept, state_bytes=0)
    skip.actions = toy.ACTIONS
    full = toy.dense_op_counts("pruned-90", "int8")
    pruned = [
        toy.row_of("pruned-90", full, role="front"),
        toy.row_of("pruned-90/skip", skip, role="front"),
        toy.row_of("pruned-95/skip", skip, role="front", success=0.5),
    ]
    found = energy_report(toy.run_dir(tmp_path, toy.rows_of_a_run() + pruned), energy.default(), draws=10)["tasks"][
        "toy"
    ]
    every, zeros = (row for row in found["opponents"]["rows"] if "single weights" in row["opponent"])
    assert (every["method"], zeros["method"]) == ("pruned-90 4x2 H3", "pruned-90/skip 4x2 H3")
    assert (every["equivalents"], zeros["equivalents"]) == (72_000, 7_200)
    assert zeros["joules"] < every["joules"] and "hypothetical" in zeros["note"]
    assert zeros["algorithm_gain"] == pytest.approx(7_200 / 97_200)
    assert not any("/skip" in row["dense_method"] for row in found["pairs"]), "pairs are with hardware that exists"


def test_a_gpu_that_waits_by_hand(report: dict[str, Any]):
    row = next(r for r in report["tasks"]["toy"]["gpu"] if (r["device"], r["method"]) == ("h100", "int8 4x2 H3"))
    assert row["kernels"] == 2
    assert row["launched_s"] == pytest.approx(row["roofline_s"] + 2 * 1.3e-6)
    assert row["idle_joules"] == pytest.approx(row["joules"] + 70 * 2 * 1.3e-6)
    assert row["full_joules"] == pytest.approx(700 * row["launched_s"])


def test_a_spiking_method_that_plans_worse_is_no_point(toy: Any, tmp_path: Path):
    found = energy_report(toy.run_dir(tmp_path, toy.rows_of_a_run(spiking_success=0.8)), energy.default(), draws=10)
    assert found["tasks"]["toy"]["pairs"] == [] and found["tasks"]["toy"]["opponents"] is None


def test_a_run_of_one_method_is_priced_without_a_verdict(toy: Any, tmp_path: Path):
    found = energy_report(
        toy.run_dir(tmp_path, [toy.row_of("sigma_delta", toy.spiking_op_counts())]), energy.default(), draws=10
    )
    task = found["tasks"]["toy"]
    assert task["pairs"] == [] and {row["device"] for row in task["chips"]} >= {"loihi2", "loihi1", "seneca"}


def test_a_dense_method_alone_is_priced_on_the_devices_that_take_its_precision(toy: Any, tmp_path: Path):
    run = toy.run_dir(tmp_path, [toy.row_of("dense", toy.dense_op_counts("dense", "fp32"))])
    rows = energy_report(run, energy.default(), draws=10)["tasks"]["toy"]["dense"]
    assert {row["device"] for row in rows} == {"cpu", "rtx4090", "agx_orin", "digital45"}
    one = next(row for row in rows if row["device"] == "digital45")
    assert one["compute"] == pytest.approx(72_000 * 4.6e-12) and one["compute"] <= one["chip"] <= one["system"]
