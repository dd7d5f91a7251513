"""Replicas of a loop on one chip, stored as counts: the same time and energy as the placement itself, for any catalogue."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan import energy
from spikeplan.core.chips import LOIHI2
from spikeplan.core.counts.operations import per_action, total
from spikeplan.core.errors import UserError
from spikeplan.energy.uncertainty import draw
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.placement_sweep import sweep_rows
from spikeplan.evaluation.pricing.layers import updates_share
from spikeplan.evaluation.pricing.price import Pricing, on_chip, placement_fields
from spikeplan.evaluation.pricing.runs import PricedRun, read_run
from spikeplan.evaluation.replicas import StoredPlacement, placements_of
from spikeplan.evaluation.rows import from_json, to_json
from spikeplan.evaluation.run_energy import cheapest_placement, front_rows, op_counts_rows, placements_of_run
from spikeplan.evaluation.shard import Job
from spikeplan.evaluation.traffic import Traffic, traffic_of
from spikeplan.placement.timing import SCHEDULES
from spikeplan.worldmodel.checkpoint import shipped

LIF = str(shipped("two-room").with_suffix("").with_suffix(".lif.safetensors"))
COLUMNS = ("steps_J", "synops_J", "synops_sent_J", "fixed_J", "messages_J", "messages_sent_J")
DELTA = str(shipped("two-room").with_suffix("").with_suffix(".delta.safetensors"))


@pytest.fixture(scope="module")
def delta() -> Traffic:
    return traffic_of(DELTA, LOIHI2)


@pytest.fixture(scope="module")
def options(delta: Traffic) -> list[StoredPlacement]:
    return [from_json(json.loads(json.dumps(to_json(one))), StoredPlacement) for one in placements_of(delta)]


def run_of(traffic: Traffic, role: str = "headline") -> Run:
    job = Job(
        task="two-room", method="sigma_delta", role=role, planner=traffic.planner, episodes=1, count=1, threshold=1.4
    )
    return Run(job, np.ones((1, 1)), traffic.spiking, 0.0, None, family="spiking")


def method_of(folder: Path, traffic: Traffic, options: list[StoredPlacement], **damage: Any) -> PricedRun:
    row = op_counts_rows(run_of(traffic), None, options)[0].to_json()
    (folder / "config.json").write_text(json.dumps({"command": "toy"}))
    (folder / "metrics.jsonl").write_text(json.dumps({**row, **damage}) + "\n")
    return read_run(folder).methods["two-room"][0]


def test_time_and_energy_are_those_of_the_placement(
    delta: Traffic, options: list[StoredPlacement], tmp_path: Path
) -> None:
    pricing = Pricing(catalogue=energy.default())
    methods = on_chip([method_of(tmp_path, delta, options)], "loihi2")
    assert [placement_fields(method, "loihi2")["replicas"] for method in methods] == [one.replicas for one in options]
    assert {one.replicas for one in options} == {1, 2, 4, 8, 16}, "more need a second chip"
    for method, one in zip(methods, options, strict=True):
        own = placed(delta, LOIHI2, replicas=one.replicas, spread=one.spread, extent="loop")
        assert own.found.cores == one.cores and own.found.chips == 1
        for schedule in SCHEDULES:
            e, said = pricing.price(method, "loihi2", schedule), own.energy(schedule)
            for bound in ("low", "nominal", "high", "latency_s"):
                assert getattr(e, bound) == pytest.approx(said[bound], rel=1e-6), (one.replicas, one.spread, bound)
            assert e.nominal - pricing.price(method, "loihi2", schedule, scope="chip").nominal > 0


def test_what_is_priced_is_what_is_counted(delta: Traffic, options: list[StoredPlacement], tmp_path: Path) -> None:
    """By hand: 8 replicas at the least cores. Neurons of a replica: network 34 + 256 + 256 + 32, source 24 x 2, latent and
    distance 32 each, sum 1, cost 64 / 8; once theta 1 and refit 2 x 48. Each updates in each of the plan's chip steps."""
    method = next(a for a in method_of(tmp_path, delta, options).placed if a.placement and a.placement.cores == 41)
    assert method.placement is not None and delta.planner.label == "64x4 H12"
    variables = delta.planner.variables * 2
    neurons = 8 * (34 + 256 + 256 + 32 + variables + 32 + 32 + 1 + 8) + 1 + 2 * variables
    load, actions = method.placement.load["interleaved"], delta.spiking.actions
    pricing = Pricing(catalogue=energy.default())
    rows = pricing.rows(method, "loihi2", "interleaved")
    assert total(rows, "updates") / actions == pytest.approx(neurons * load.steps_J.sum(), rel=1e-6)
    parts = next(
        row for row in rows if row.layer == "parts"
    )  # latent and sum 32 each, cost 8, of a prediction; mu + w e
    assert parts.synops / actions == 64 * 4 * 12 * (32 + 32 + 8) + 2 * 64 * 4 * variables
    chip = energy.default().device("loihi2")
    chip_rows = [row for row in rows if row.phase != "encoder"]
    alone = pricing.price(method, "loihi2", "interleaved", scope="compute", rows=chip_rows).nominal
    assert alone == pytest.approx(chip.figure("e_eq").band.nominal * per_action(chip_rows, actions))
    assert (
        pricing.equivalents(method, "loihi2", "interleaved")
        == per_action(rows, actions)
        > method.equivalents("interleaved")
    )
    assert updates_share(method, pricing) == pytest.approx(
        10 * total(rows, "updates") / total(rows, "synop_equivalents")
    )


def test_a_host_that_waits_waits_less_for_replicas(
    delta: Traffic, options: list[StoredPlacement], tmp_path: Path
) -> None:
    """Idle power through the encoder's launches and until the placed chip is done, its static power through the former."""
    pricing = Pricing(catalogue=energy.default())
    method = next(a for a in method_of(tmp_path, delta, options).placed if a.placement and a.placement.replicas == 8)
    assert method.placement is not None
    h100, chip = (pricing.catalogue.device(name) for name in ("h100", "loihi2"))
    waiting = pricing.waiting(method, "loihi2", "interleaved", host="h100")
    assert waiting is not None
    launches_s = len([r for r in delta.spiking.rows("interleaved") if r.macs]) / delta.spiking.actions
    launches_s *= h100.figure("t_launch").band.nominal
    words = total(pricing.rows(method, "loihi2", "interleaved"), "host_words") / delta.spiking.actions
    chip_s = method.placement.time_s(chip, "interleaved").nominal + words / chip.figure("io_rate").band.nominal
    more = waiting(pricing.catalogue) - pricing.price(method, "loihi2", "interleaved", host="h100").nominal
    idle, static = h100.figure("p_idle").band.nominal, chip.figure("p_static").band.nominal
    assert more == pytest.approx(idle * (chip_s + launches_s) + static * launches_s, rel=1e-3)


def test_draws_are_the_same_sums_one_by_one(delta: Traffic, options: list[StoredPlacement], tmp_path: Path) -> None:
    pricing = Pricing(catalogue=energy.default())
    method = next(a for a in method_of(tmp_path, delta, options).placed if a.placement and a.placement.replicas == 8)
    many = draw(energy.default(), prior="log-triangular", draws=3, rng=np.random.default_rng(4))
    together = pricing.nominal(method, "loihi2", "interleaved")(many)
    chip = many.device("loihi2")
    for i in range(3):
        figures = {
            name: replace(f, band=energy.Band(*(float(np.broadcast_to(f.band.nominal, 3)[i]),) * 3))
            for name, f in chip.figures.items()
        }
        host = many.device("orin_nano")
        its = {
            name: replace(f, band=energy.Band(*(float(np.broadcast_to(f.band.nominal, 3)[i]),) * 3))
            for name, f in host.figures.items()
        }
        devices = {**many.devices, "loihi2": replace(chip, figures=figures), "orin_nano": replace(host, figures=its)}
        assert pricing.nominal(method, "loihi2", "interleaved")(replace(many, devices=devices)) == pytest.approx(
            together[i]
        )


def test_more_replicas_take_less_time_and_the_cheapest_is_not_the_most(
    delta: Traffic, options: list[StoredPlacement]
) -> None:
    device = energy.default().device("loihi2")
    seconds = [one.time_s(device, "interleaved").nominal for one in options if one.spread == 1]
    assert seconds == sorted(seconds, reverse=True) and seconds[0] > 5 * seconds[-1]
    best = cheapest_placement(run_of(delta), options, "interleaved")
    assert 1 < (best.replicas or 0) < 16 and best.low < best.nominal < best.high
    (row,) = (r for r in front_rows(run_of(delta), run_of(delta), None, options) if r.schedule == "interleaved")
    assert row.joules["loihi2"] == best


def test_a_sweep_says_how_far_it_is(delta: Traffic) -> None:
    seen: list[tuple[int, int]] = []
    rows = sweep_rows(delta, LOIHI2, spreads=(1, 2), on_progress=lambda *done: seen.append(done))
    shares = [done / total for done, total in seen]
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0.0, 1.0) and len(set(shares)) > len(rows)


def test_a_prediction_alone_and_other_chips_have_no_replicas(
    delta: Traffic, options: list[StoredPlacement], tmp_path: Path
) -> None:
    pricing = Pricing(catalogue=energy.default())
    plain = method_of(tmp_path, delta, options)
    many = plain.placed[-1]
    for device, extent in (("loihi2", "predictor"), ("loihi1", "loop"), ("hala_point", "loop")):
        both = [pricing.price(method, device, "interleaved", extent=extent).nominal for method in (plain, many)]
        assert both[0] == both[1]
    assert on_chip([plain], "loihi1") == [plain] and (
        on_chip([replace(plain, row=replace(plain.row, placements=()))], "loihi2")[0].placement is None
    )


def test_a_sweep_is_no_candidate(delta: Traffic) -> None:
    assert placements_of_run(run_of(delta, "sweep")) == [] and len(placements_of_run(run_of(delta))) == len(
        placements_of(delta)
    )
    assert all("loihi2" not in row.joules for row in front_rows(run_of(delta, "sweep"), run_of(delta), None))
    assert placements_of(replace(delta, reference="mean_candidate")) == [], (
        "every replica would compute the mean, and no count says so"
    )


def test_the_lif_network_is_placed_too() -> None:
    traffic = traffic_of(LIF, LOIHI2)
    job = replace(run_of(traffic).job, method="lif", threshold=None)
    for one in placements_of_run(replace(run_of(traffic), job=job))[:2]:
        own = placed(traffic, LOIHI2, replicas=one.replicas, spread=one.spread, extent="loop")
        device = energy.default().device("loihi2")
        assert own.found.cores == one.cores
        assert one.time_s(device, "interleaved").nominal == pytest.approx(own.times["interleaved"]["nominal"].action_s)


def test_more_messages_take_longer_and_cost_more(
    delta: Traffic, options: list[StoredPlacement], tmp_path: Path
) -> None:
    pricing = Pricing(catalogue=energy.default())
    method = method_of(tmp_path, delta, options).placed[0]
    found = [pricing.price(method.scaled(factor), "loihi2", "interleaved") for factor in (0.5, 1.0, 2.0)]
    assert found[1].nominal == pricing.price(method, "loihi2", "interleaved").nominal
    assert found[0].nominal < found[1].nominal < found[2].nominal
    assert (found[0].latency_s or 0) < (found[1].latency_s or 0) < (found[2].latency_s or 0)


def loads(**changes: Any) -> dict[str, Any]:
    return {key: {**{name: [1.0] for name in COLUMNS}, "updates": 1, **changes} for key in SCHEDULES}


def test_the_undamaged_load_is_read(options: list[StoredPlacement]) -> None:
    load = from_json({**to_json(options[0]), "load": loads()}, StoredPlacement).load["sequential"]
    assert load.seconds(1.0, 0.5, 2.0, 3.0) == 3.0, "a step is over when its slowest part is"
    assert load.seconds(1.0, 0.5, 4.0, 3.0) == 4.0
    assert load.seconds(1.0, 0.5, 2.0, 3.0, barrier_adds=True) == 5.0


@pytest.mark.parametrize(
    "damage",
    [
        {"replicas": 0},
        {"replicas": 1.5},
        {"cores": "many"},
        {"synops": -1.0},
        {"waiting": {}},
        {"load": {}},
        {"load": {"interleaved": 3}},
        {"load": loads(synops_J=[])},
        {"load": loads(steps_J=[0.0])},
        {"load": loads(messages_J=["x"])},
        {"load": loads(updates=0)},
        {"synops": True},
    ],
)
def test_a_damaged_placement_is_refused(
    delta: Traffic, options: list[StoredPlacement], tmp_path: Path, damage: Any
) -> None:
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 1: .*placements"):
        method_of(tmp_path, delta, [], placements=[{**to_json(options[0]), **damage}])
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 1: .*placements"):
        method_of(tmp_path, delta, [], placements={})
