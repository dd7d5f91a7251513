"""The operation counts arithmetic, by hand.

A chain of 3 layers (3, 4 and 2 neurons), 5 predictions. Kept at the interleaved rate: each neuron once a prediction.
"""

from __future__ import annotations

import json
from dataclasses import fields

import pytest

from spikeplan.core.counts.operations import CountRow, LayerCounts, OperationCounts, per_action, total

NEURONS = {"code": 3, "h1": 4, "out": 2}
CALLS = 5


def chain(reference: str, *, restored: int = 0, steps: tuple[int, int] = (3, 1)) -> OperationCounts:
    op_counts = OperationCounts(
        method="delta",
        reference=reference,
        precision="int8",
        spiking=True,
        sequential_steps=steps[0],
        interleaved_steps=steps[1],
    )
    for name, n in NEURONS.items():
        counts = LayerCounts(
            layer=name,
            synops=100,
            updates=CALLS * n * steps[1],
            updates_active=n,
            state_restores=restored * n,
            messages=n,
            message_bits=8 * n,
            calls=CALLS,
        )
        op_counts.add("predictor", counts, iteration=0, step=0)
    op_counts.add("selection", LayerCounts(layer="select", synops=7, updates=7, updates_active=7), iteration=0)
    op_counts.add_host_words("latents", 12)
    op_counts.actions = 2
    return op_counts


def columns(op_counts: OperationCounts, schedule: str) -> dict[str, CountRow]:
    return {row.layer: row for row in op_counts.rows(schedule)}


def test_layers_of_policy_and_predictor_update_in_their_own_steps():
    """A policy of T = 4 in 7 steps alone, a predictor of T = 1 in 4: kept at 4 and 1 updates, stored and read back."""
    kept = OperationCounts(
        method="pair",
        reference="zero",
        precision="int8",
        spiking=True,
        sequential_steps=11,
        interleaved_steps=5,
        policy_steps=(7, 4),
    )
    for name, each in (("policy.h1", 4), ("h1", 1)):
        kept.add("predictor", LayerCounts(layer=name, updates=CALLS * 6 * each, calls=CALLS), iteration=0, step=0)
    kept.actions = 1
    for counts in (kept, OperationCounts.load(json.loads(json.dumps(kept.dump())))):
        sequential, interleaved = columns(counts, "sequential"), columns(counts, "interleaved")
        assert [sequential[name].updates for name in ("policy.h1", "h1")] == [CALLS * 6 * 7, CALLS * 6 * 4]
        assert [interleaved[name].updates for name in ("policy.h1", "h1")] == [CALLS * 6 * 4, CALLS * 6]
        assert sum(row.chip_steps for row in sequential.values()) == CALLS * 11
    assert "policy_steps" not in chain("zero").dump(), "only where there is a policy beside a predictor"


def test_a_part_takes_chip_steps_where_it_is_asked():
    """A policy acts in 2 of 5 predictions, a cost-to-go judges 1. The policy's 3 steps, the predictor's 4 and the cost-to-go's
    4, one after the other; interleaved one each. The first policy's layer led all predictions in version 0.1."""
    counts = OperationCounts(
        method="refined",
        reference="zero",
        precision="int8",
        spiking=True,
        sequential_steps=7,
        interleaved_steps=2,
        policy_steps=(3, 1),
        value_steps=(4, 1),
    )
    for name, calls in (("policy.h1", 2), ("policy.h2", 2), ("h1", 5), ("h2", 5), ("value.h1", 1)):
        counts.add("predictor", LayerCounts(layer=name, updates=6 * calls, calls=calls), iteration=0, step=0)
    counts.actions = 1
    for kept in (counts, OperationCounts.load(json.loads(json.dumps(counts.dump())))):
        sequential, interleaved = columns(kept, "sequential"), columns(kept, "interleaved")
        steps = {name: (sequential[name].chip_steps, interleaved[name].chip_steps) for name in sequential}
        assert steps == {
            "policy.h1": (2 * 3, 2),
            "policy.h2": (0, 0),
            "h1": (5 * 4, 5),
            "h2": (0, 0),
            "value.h1": (4, 1),
        }
        assert sequential["value.h1"].updates == 6 * 4 and sequential["h2"].updates == 5 * 6 * 4


def test_a_dense_policy_beside_the_chip_takes_none_of_its_steps():
    counts = OperationCounts(
        method="pair", reference="zero", precision="int8", spiking=True, sequential_steps=4, interleaved_steps=1
    )
    counts.add("predictor", LayerCounts(layer="policy.h1", macs=10, calls=2), iteration=0, step=0)
    counts.add("predictor", LayerCounts(layer="h1", updates=30, calls=5), iteration=0, step=0)
    counts.actions = 1
    found = columns(counts, "sequential")
    assert (found["policy.h1"].chip_steps, found["h1"].chip_steps, found["h1"].updates) == (0, 20, 120)


def test_every_layer_updates_in_every_step_of_a_sequential_prediction():
    op_counts = chain("zero")
    sequential, interleaved = columns(op_counts, "sequential"), columns(op_counts, "interleaved")
    for name, n in NEURONS.items():
        assert interleaved[name].updates == CALLS * n
        assert sequential[name].updates == 3 * CALLS * n
        assert interleaved[name].updates_active == sequential[name].updates_active == n
        assert sequential[name].updates_idle == (3 * CALLS - 1) * n
    assert sequential["select"].updates == interleaved["select"].updates == 7, "only the chain is pipelined"


def test_chip_steps_are_booked_once():
    op_counts = chain("zero")
    assert [row.chip_steps for row in op_counts.rows("sequential")] == [15, 0, 0, 0, 0]
    assert [row.chip_steps for row in op_counts.rows("interleaved")] == [5, 0, 0, 0, 0]


def test_lif_takes_t_steps_interleaved_and_t_plus_l_minus_1_sequential():
    op_counts = chain("zero", steps=(6, 4))
    assert columns(op_counts, "interleaved")["h1"].updates == CALLS * 4 * 4
    assert columns(op_counts, "sequential")["h1"].updates == CALLS * 4 * 6
    assert (total(op_counts.rows("sequential"), "chip_steps"), total(op_counts.rows("interleaved"), "chip_steps")) == (
        30,
        20,
    )


def test_interleaved_rollout_restores_every_neuron_at_every_prediction():
    """The first rollout step has restored all rows already: no neuron is restored twice."""
    for restored in (0, CALLS):
        op_counts = chain("previous_step", restored=restored)
        sequential, interleaved = columns(op_counts, "sequential"), columns(op_counts, "interleaved")
        for name, n in NEURONS.items():
            assert interleaved[name].state_restores == CALLS * n
            assert sequential[name].state_restores == restored * n
        assert interleaved["select"].state_restores == 0
    for reference in ("zero", "previous_candidate", "mean_candidate", "previous_iteration"):
        assert columns(chain(reference, restored=1), "interleaved")["h1"].state_restores == 4


def test_synop_equivalents():
    row = CountRow(
        method="a",
        phase="predictor",
        layer="h",
        reference="mean_candidate",
        schedule="sequential",
        macs=1,
        acs=2,
        synops=4,
        updates_active=1,
        updates_idle=2,
        state_restores=5,
    )
    assert row.updates == 3
    assert row.without_restores == 1 + 2 + 4 + 10 * 3
    assert row.synop_equivalents == 37 + 10 * 5


def test_figures_are_summed_first_and_then_divided():
    op_counts = chain("zero")
    rows = op_counts.rows("interleaved")
    summed = 3 * 100 + 7 + 10 * (CALLS * 9 + 7)
    assert total(rows, "synop_equivalents") == summed
    assert per_action(rows, op_counts.actions) == summed / 2
    assert per_action(rows, 2, "host_words") == 6
    with pytest.raises(ValueError, match="0 actions"):
        per_action(rows, 0)


def test_counts_of_the_same_place_add_up():
    op_counts = OperationCounts(method="a", reference="zero", precision="fp32", spiking=False)
    one = LayerCounts(layer="h1", **{f.name: i for i, f in enumerate(fields(LayerCounts)) if f.name != "layer"})
    for iteration in (0, 0, 1):
        op_counts.add("predictor", one, iteration=iteration, step=0)
    found = {key[2]: value for key, value in op_counts.counts("predictor")}
    assert found[1] == one
    for i, f in enumerate(fields(LayerCounts)):
        if f.name != "layer":
            assert getattr(found[0], f.name) == 2 * i, f.name
    assert op_counts.counts("encoder") == []


def test_shards_merge_into_one_run():
    whole, merged = (
        OperationCounts(method="a", reference="zero", precision="int8", spiking=True, sequential_steps=3)
        for _ in range(2)
    )
    for shard in range(3):
        part = OperationCounts(method="a", reference="zero", precision="int8", spiking=True, sequential_steps=3)
        for op_counts in (whole, part):
            for layer in ("code", "h1"):
                for iteration in range(2):
                    counts = LayerCounts(layer=layer, synops=shard + 1, updates=6, updates_active=2, calls=2)
                    op_counts.add("predictor", counts, iteration=iteration, step=shard % 2)
            op_counts.add_host_words("latents", 10 + shard)
            op_counts.actions += 4
        merged.merge(json.loads(json.dumps(part.dump())))
    for op_counts in (whole, merged):
        op_counts.set_memory("h1", weight_bytes=100, state_bytes=30)
    assert merged.actions == whole.actions == 12
    for schedule in ("sequential", "interleaved"):
        assert merged.rows(schedule) == whole.rows(schedule)
    assert columns(merged, "sequential")["h1"].weight_bytes == 100
    assert total(merged.rows("sequential"), "host_words") == 33


@pytest.mark.parametrize(("spiking", "schedule"), [(True, "batched"), (False, "sequential"), (False, "interleaved")])
def test_schedules_must_fit_the_method(spiking, schedule):
    op_counts = OperationCounts(method="a", reference="zero", precision="x", spiking=spiking)
    with pytest.raises(ValueError, match=f"schedule '{schedule}' does not fit a {'spiking' if spiking else 'dense'}"):
        op_counts.rows(schedule)
    with pytest.raises(ValueError, match="'daily' is unknown"):
        op_counts.rows("daily")
