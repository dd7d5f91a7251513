"""Finished runs on a chip: hops, the time that static power runs, and figures that stay as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.core.chips import CHIPS, LOIHI2
from spikeplan.core.counts.operations import total
from spikeplan.core.errors import UserError
from spikeplan.core.groups import network_of
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import read_run
from spikeplan.evaluation.rows import EnergyRow, from_json, to_json
from spikeplan.evaluation.run_energy import energy_rows, hops_of_job, op_counts_rows, placed_rows
from spikeplan.evaluation.shard import Job
from spikeplan.evaluation.traffic import Traffic
from spikeplan.placement.hops import MessageHops, message_hops, predictions_of
from spikeplan.worldmodel.checkpoint import shipped

DELTA = str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors"))


def test_a_placement_sets_the_time_that_static_power_runs(delta: Traffic) -> None:
    rows, actions = delta.spiking.rows("interleaved"), delta.spiking.actions
    rows = [row for row in rows if row.phase == "predictor"]
    band = energy.Band(1e-3, 2e-3, 4e-3)

    def joules(scope: str, **settings: Any) -> energy.Energy:
        setup = energy.Setup(**settings)
        return energy.estimate("loihi2", rows, actions, scope=scope, extent="predictor", setup=setup)

    whole, operations = joules("system", time_s=band, chips=3), joules("chip")
    assert whole.latency_s == 2e-3
    steps = sum(row.chip_steps for row in rows) / actions
    assert whole.nominal - operations.nominal == pytest.approx(3 * (0.72 * 2e-3 + 0.386e-6 * steps))
    assert whole.high - operations.high == pytest.approx(3 * (1.01 * 4e-3 + 0.64e-6 * steps))
    assert whole.low - operations.low == pytest.approx(3 * (0.27 * 1e-3 + 0.12e-6 * steps))
    with pytest.raises(UserError, match="exclude each other"):
        energy.Setup(time_s=band, step_s=1e-6)
    with pytest.raises(UserError, match="time_s is 0"):
        energy.Setup(time_s=energy.Band(0.0, 1.0, 1.0))


def test_a_finished_run_is_placed_without_changing_its_figures(delta: Traffic) -> None:
    """The rows of a run's own operation counts agree with `place` on the same traffic; energy_rows keep their one replica."""
    job = Job(
        task="two-room",
        method="sigma_delta",
        role="headline",
        planner=delta.planner,
        episodes=1,
        count=1,
        threshold=1.4,
    )
    run_ = Run(job, np.ones((1, 1)), delta.spiking, 0.0, None, family="spiking")
    before = energy_rows(run_, None, scopes=("system",), extents=("loop",))
    rows = placed_rows(run_)
    assert before == energy_rows(run_, None, scopes=("system",), extents=("loop",))
    assert [(r.replicas, r.schedule) for r in rows] == [
        (n, s) for n in (1, 8, 64) for s in ("sequential", "interleaved")
    ]
    assert {r.kind for r in rows} == {"energy_placed"} and [r.chips for r in rows] == [1, 1, 1, 1, 3, 3]
    for row in rows:
        own = placed(delta, LOIHI2, replicas=row.replicas, spread=1, extent="loop").energy(row.schedule)
        assert (row.nominal, row.latency_s) == (own["nominal"], own["latency_s"])
    assert placed_rows(replace(run_, job=replace(job, method="lif"))) == []


def run_of(traffic: Traffic) -> Run:
    job = Job(
        task="two-room",
        method="sigma_delta",
        role="headline",
        planner=traffic.planner,
        episodes=1,
        count=1,
        threshold=1.4,
    )
    return Run(job, np.ones((1, 1)), traffic.spiking, 0.0, None, family="spiking")


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("schedule", ["sequential", "interleaved"])
def test_a_run_has_the_hops_that_place_says(delta: Traffic, chip: str, schedule: str) -> None:
    hops = from_json(json.loads(json.dumps(to_json(hops_of_job(run_of(delta).job)))), MessageHops)
    counted = delta.spiking.rows(schedule)
    for extent in ("predictor", "loop"):
        said = placed(delta, CHIPS[chip], replicas=1, spread=1, extent=extent)
        rows = hops.rows(counted, chip, extent, predictions=predictions_of(delta.spiking))
        assert total(rows, "hops") == round(said.hops_per_action * delta.spiking.actions)
        assert total(said.rows(schedule), "hops") == total(rows, "hops")
    # code, h1, h2 and out share tile 0, the parts lie on core 4, in tile 1: 32 + 32 values and 2 actions go one hop each.
    assert said.hops_per_action == delta.planner.evaluations * (32 + 32 + 2)
    assert total(counted, "synop_equivalents") == total(rows, "synop_equivalents"), (
        "hops are messages' way, no operation"
    )


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        ("sigma_delta", "mean_candidate"),
        ("sigma_delta", "previous_iteration"),
        ("sigma_delta-64", "previous_step"),
        ("integer", "zero"),
        ("lif", "zero"),
    ],
)
def test_every_spiking_method_has_hops_on_both_chips(delta: Traffic, method: str, reference: str) -> None:
    hops = hops_of_job(replace(run_of(delta).job, method=method, reference=reference))
    assert hops is not None and set(hops.hops) == set(CHIPS)
    for extents in hops.hops.values():
        assert sum(extents["loop"].values()) > sum(extents["predictor"].values()) >= 0
    assert hops_of_job(replace(run_of(delta).job, method="int8")) is None


def test_wide_layers_have_hops_of_their_own(delta: Traffic) -> None:
    """A chip of small cores, as in `place --spread`: h1 and h2 take several cores and tiles."""
    small = replace(LOIHI2, core_memory_bytes=16_000)
    said = placed(delta, small, replicas=1, spread=1, extent="predictor")
    assert not said.found.broken and said.hops_per_action > 0
    artifact = artifact_file.load(DELTA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CHIPS._load(), "loihi2", small)
        of_messages = message_hops(lambda _: network_of(artifact), delta.planner, latent_dim=32, action_dim=2)
    rows = of_messages.rows(delta.spiking.rows("interleaved"), "loihi2", "predictor", predictions=0)
    hops = sum(row.hops or 0 for row in rows if row.phase == "predictor")
    assert hops / delta.spiking.actions == pytest.approx(said.hops_per_action, rel=1e-4)


def test_loihi_1_is_charged_for_its_network_and_loihi_2_not_twice(delta: Traffic, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"command": "toy"}))
    row = op_counts_rows(run_of(delta), None)[0].to_json()
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n" + json.dumps({**row, "hops": None}) + "\n")
    known, unknown = read_run(tmp_path).methods["two-room"]
    pricing = Pricing(catalogue=energy.default())
    for chip in ("loihi1", "loihi1_sanafe"):
        found, before = (pricing.price(method, chip, "interleaved", scope="chip") for method in (known, unknown))
        assert "hops unknown" not in found.evidence and "hops unknown" in before.evidence
        device = pricing.catalogue.device(chip)
        per_prediction = device.figure("e_hop").band.nominal * 66 + device.figure("e_message").band.nominal * (
            32 + 2 + 1
        )
        assert found.nominal - before.nominal == pytest.approx(per_prediction * delta.planner.evaluations)
    for chip in ("loihi2", "hala_point"):
        assert pricing.price(known, chip, "interleaved").nominal == pricing.price(unknown, chip, "interleaved").nominal
    at_run = next(
        r
        for r in energy_rows(run_of(delta), None, schedules=("interleaved",), scopes=("chip",), extents=("loop",))
        if r.device == "loihi1"
    )
    assert isinstance(at_run, EnergyRow)
    assert at_run.nominal == pytest.approx(pricing.price(known, "loihi1", "interleaved", scope="chip").nominal)


@pytest.mark.parametrize(
    "damage", [{"sent": {}}, {"sent": {"out": -1.0}, "hops": {}}, [], {"sent": {}, "hops": {"loihi1": 3}}]
)
def test_damaged_hops_are_refused(delta: Traffic, tmp_path: Path, damage: Any) -> None:
    row = op_counts_rows(run_of(delta), None)[0].to_json()
    (tmp_path / "config.json").write_text(json.dumps({"command": "toy"}))
    (tmp_path / "metrics.jsonl").write_text(json.dumps({**row, "hops": damage}) + "\n")
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 1: .*hops"):
        read_run(tmp_path)
