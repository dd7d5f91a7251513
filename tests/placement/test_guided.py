"""Where a policy's copies and their predictors lie, and how long they take, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from spikeplan.conversion.policy import convert_policy
from spikeplan.core.chips import LOIHI2
from spikeplan.core.groups import acting, judged_by, lif_network, network_of
from spikeplan.core.guided_planning import GuidedConfig, RefinedConfig
from spikeplan.core.ir.artifact import Artifact
from spikeplan.placement.groups import loop_messages, loop_synops, selection_steps, with_loop
from spikeplan.placement.place import place
from spikeplan.placement.timing import Clock, Speed
from spikeplan.worldmodel.policies.base import GoalPolicy

PLAN = GuidedConfig(samples=4, horizon=5)
SPEED = Speed(synop_s=1e-9, update_s=0.0, link_s=0.0, barrier_s=60e-9)


@pytest.fixture
def policy(net: Artifact) -> Artifact:
    torch.manual_seed(0)
    latent = 0.2 * torch.randn(100, 6)
    return convert_policy(GoalPolicy(6, 2, action_limit=0.08, hidden=(16,)), net, latent, latent.flip(0))


@pytest.mark.parametrize("places", [0, 3])
def test_a_copy_is_policy_source_and_predictor_in_this_order(net: Artifact, policy: Artifact, places: int) -> None:
    both = acting(network_of(policy), network_of(net))
    loop = with_loop(both, PLAN, latent_dim=6, action_dim=2, replicas=4, places=places)
    assert loop.path == ("policy.code", "policy.h1", "policy.out", "source", "code", "h1", "h2", "out", "latent")
    by = {group.name: group for group in loop.groups}
    assert by["policy.out"].receivers == ("source",) and by["source"].receivers == ("code", "refit")
    assert by["latent"].receivers == ("policy.code", "code", "distance")
    assert by["distance"].neurons == 6 * (1 + places) and by["sum"].neurons == 1 + places
    assert by["cost"].axons_in == 2 + places
    found = place(loop.groups, LOIHI2, replicas=4)
    assert found.chips == 1 and len(found.of("policy.h1", replica=3)) == 1


def test_a_plan_takes_a_pass_of_both_a_step(net: Artifact, policy: Artifact) -> None:
    """Nine groups one after the other, five times; three steps of the tail, and the selection once. Nothing is sent but one
    message of h1: 24 neurons' 20 synapses."""
    loop = with_loop(acting(network_of(policy), network_of(net)), PLAN, latent_dim=6, action_dim=2, replicas=4)
    clock = Clock(place(loop.groups, LOIHI2, replicas=4), loop, {"h1": 1.0}, SPEED)
    time = clock.action(PLAN, "sequential")
    rollout = 5 * 9 + 3
    assert time.steps == rollout + selection_steps(PLAN.passes[0], 4)
    busy = 5 * 20e-9
    asked = time.action_s - time.steps * 60e-9 - busy
    assert 0 < asked < selection_steps(PLAN.passes[0], 4) * 100e-9, "what the selection asks is all that is left"


@pytest.mark.parametrize("policy_steps,time_steps", [(2, 4), (4, 1), (3, 3)])
def test_time_steps_of_policy_and_predictor_by_hand(policy_steps: int, time_steps: int) -> None:
    """What takes an output begins when all its time steps are done: the source after the policy, the latent after the
    predictor. 4 + 1 + 4 groups, and each half's further time steps."""
    both = acting(
        lif_network((12, 16, 16, 2), policy_steps, LOIHI2, prefix="policy."),
        lif_network((8, 24, 20, 6), time_steps, LOIHI2),
    )
    loop = with_loop(both, PLAN, latent_dim=6, action_dim=2, replicas=4)
    p, t = policy_steps, time_steps
    assert [(stage.begin, stage.steps) for stage in loop.stages] == [
        *((0, 1), (1, p), (2, p), (3, p)),
        (4 + p - 1, 1),
        *((5 + p - 1, 1), *((n + p - 1, t) for n in (6, 7, 8))),
        *((n + p - 1 + t - 1, 1) for n in (9, 10, 11, 12)),
    ]
    assert [stage.name for stage in loop.stages] == [*loop.path, *loop.tail] and loop.depth == 10 + p - 1 + t - 1
    assert [(stage.begin, stage.steps) for stage in both.stages[4:6]] == [(4 + p - 1, 1), (5 + p - 1, t)], (
        "no loop, no source"
    )
    clock = Clock(place(loop.groups, LOIHI2, replicas=4), loop, {"code": 8.0, "policy.h1": 3.0 * p}, SPEED)
    assert clock.action(PLAN, "sequential").steps == 5 * loop.depth + 3 + selection_steps(PLAN.passes[0], 4)
    # One candidate of four a replica: the pipe is as deep as one prediction.
    assert clock.action(PLAN, "interleaved").steps == 5 * max(max(p, t), loop.depth) + 3 + selection_steps(
        PLAN.passes[0], 4
    )
    # code's 8 messages reach 24 neurons in one step; h1 of the policy sends 3 messages in each of p steps to 16 neurons.
    busy = 5 * (8 * 24 + p * 3 * 16) * 1e-9
    asked = clock.action(PLAN, "sequential").action_s - clock.action(PLAN, "sequential").steps * 60e-9 - busy
    assert 0 < asked < selection_steps(PLAN.passes[0], 4) * 100e-9


def test_places_are_charged_in_messages_and_synops() -> None:
    assert loop_messages(6, 2) == {"out": 6, "latent": 6, "distance": 6, "sum": 1, "source": 2}
    assert loop_messages(6, 2, 3) == {"out": 6, "latent": 6, "distance": 24, "sum": 4, "source": 2}
    assert loop_synops(6, 2) == 2 * 6 + 2 and loop_synops(6, 2, 3) == 6 + 4 * (6 + 2)


def test_a_dense_policy_leaves_the_predictor_alone_on_the_chip(net: Artifact) -> None:
    from spikeplan.snn.delta_predictor import DeltaPredictor
    from spikeplan.worldmodel.policies.networks import DensePolicy
    from spikeplan.worldmodel.policies.pair import Pair

    pair: Any = Pair(DeltaPredictor(net), DensePolicy(GoalPolicy(6, 2, action_limit=0.08)))
    groups = pair.neuron_groups(LOIHI2)
    assert groups.policy == 0 and [group.name for group in groups.groups] == ["code", "h1", "h2", "out"]


@pytest.mark.parametrize("schedule", ["sequential", "interleaved"])
def test_refined_planning_takes_its_passes_one_after_the_other(net: Artifact, policy: Artifact, schedule: str) -> None:
    """On two replicas: 3 copies of policy and predictor, 2 plans to start from, and twice 8 candidates of the predictor
    alone, which is five groups deep (four layers and the latent)."""
    plan = RefinedConfig(samples=8, iterations=2, elites=2, horizon=5, copies=3)
    assert plan.evaluations == 5 * (3 + 2 + 2 * 8)
    loop = with_loop(acting(network_of(policy), network_of(net)), plan, latent_dim=6, action_dim=2, replicas=2)
    by = {group.name: group for group in loop.groups}
    assert (
        by["pairs"].neurons == 3 and by["theta"].axons_in == 8 and by["cost"].receivers == ("pairs", "theta", "source")
    )
    assert by["cost"].neurons == 4 and by["source"].words == 3 + 4, "as many turns as the search needs"
    clock = Clock(place(loop.groups, LOIHI2, replicas=2), loop, {"policy.h1": 1.0, "h1": 1.0}, SPEED)
    time = clock.action(plan, schedule)
    depth = {True: 9, False: 5}
    passes = [(1, 2, True), (1, 1, False), (2, 4, False)]  # iterations, turns, policy
    if schedule == "sequential":
        by_hand = sum(n * (5 * turns * depth[acts] + 3) for n, turns, acts in passes)
    else:  # the last candidate enters `turns - 1` steps after the first of its rollout step, 4 rollout steps after the start
        by_hand = sum(n * (4 * max(turns, depth[acts]) + turns - 1 + depth[acts] + 3) for n, turns, acts in passes)
    search = 2 * (
        1 + 2 * (24 + 3) + 2 * 2 + 3
    )  # 8 candidates, 2 elites of 4 turns; one winner of 3 and of 2 takes 4 steps
    asked = 4 + 4 + search
    assert time.selection == asked and time.steps == by_hand + asked
    load = clock.load(plan, schedule)
    assert load.steps_J.sum() == time.steps
    assert load.seconds(1e-9, 0.0, 0.0, 60e-9, barrier_adds=True) == pytest.approx(time.action_s)


def test_a_policy_is_silent_while_the_predictor_is_searched(net: Artifact, policy: Artifact) -> None:
    """What its layers send costs time in the copies' pass alone: 3 copies x 5 steps of one message to 2 neurons of its output,
    on one replica."""
    plan = RefinedConfig(samples=8, iterations=2, elites=2, horizon=5, copies=3)
    loop = with_loop(acting(network_of(policy), network_of(net)), plan, latent_dim=6, action_dim=2, replicas=1)
    placed = place(loop.groups, LOIHI2, replicas=1)
    quiet, loud = (Clock(placed, loop, {"policy.h1": sent}, SPEED).action(plan, "sequential") for sent in (0.0, 1.0))
    assert loud.steps == quiet.steps
    assert loud.action_s - quiet.action_s == pytest.approx(3 * 5 * 2 * 1e-9)


def test_a_cost_to_go_judges_where_each_candidate_ends(net: Artifact, policy: Artifact) -> None:
    """Code, two hidden layers and output follow the last latent: one step more than distance, sum and cost. One message of its h1
    reaches 16 neurons, once a candidate: 4 copies on 2 replicas, 2 turns."""
    torch.manual_seed(1)
    latent = 0.2 * torch.randn(100, 6)
    chain = GoalPolicy(6, 1, action_limit=50.0, hidden=(16, 16))
    value = convert_policy(chain, net, latent, latent.flip(0), prefix="value.")
    plan = replace(PLAN, to_go=0.5)
    both = judged_by(acting(network_of(policy), network_of(net)), network_of(value))
    loop = with_loop(both, plan, latent_dim=6, action_dim=2, replicas=2)
    by = {group.name: group for group in loop.groups}
    assert loop.finals == ("value.code", "value.h1", "value.h2", "value.out") and both.out.name == "out"
    assert by["latent"].receivers == ("policy.code", "code", "value.code", "distance")
    assert by["value.out"].receivers == ("cost",) and by["cost"].axons_in == 3
    clock = Clock(place(loop.groups, LOIHI2, replicas=2), loop, {"value.h1": 1.0}, SPEED)
    time, plain = clock.action(plan, "sequential"), clock.action(PLAN, "sequential")
    assert time.steps == 5 * 2 * 9 + 4 + selection_steps(plan.passes[0], 2) and plain.steps == time.steps - 1
    assert time.action_s - plain.action_s == pytest.approx(60e-9 + 2 * 16e-9)
    assert clock.load(plan, "sequential").seconds(1e-9, 0.0, 0.0, 60e-9, barrier_adds=True) == pytest.approx(
        time.action_s
    )
    assert loop.searching.finals == loop.finals


def test_one_winner_of_few_is_found_by_comparing_all_pairs(net: Artifact, policy: Artifact) -> None:
    """Four costs, six pairs: sent to the pairs, the losers told, the winner's action sent. 12 synops in each of these steps, and
    in the one in which the candidates leave the source. More than 64 copies are asked bit by bit, as CEM's are."""
    both = acting(network_of(policy), network_of(net))
    loop = with_loop(both, PLAN, latent_dim=6, action_dim=2, replicas=4)
    by = {group.name: group for group in loop.groups}
    assert by["pairs"].neurons == 6 and by["pairs"].synapses == 2 and "theta" not in by
    assert selection_steps(PLAN.passes[0], 4) == 4
    clock = Clock(place(loop.groups, LOIHI2, replicas=4), loop, {}, SPEED)
    time = clock.action(PLAN, "sequential")
    assert time.action_s - time.steps * 60e-9 == pytest.approx(4 * 12e-9)
    many = replace(PLAN, samples=65)
    large = with_loop(both, many, latent_dim=6, action_dim=2, replicas=5)
    assert [group.name for group in large.groups][-2:] == ["theta", "refit"]
    assert selection_steps(many.passes[0], 5) == 1 + 2 * (24 + 7) + 2 * 1 + 3
