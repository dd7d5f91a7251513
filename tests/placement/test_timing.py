"""How long a step and an action take, by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spikeplan.core.chips import LOIHI1, LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.core.groups import lif_network, network_of
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.planning import CEMConfig
from spikeplan.placement.groups import contexts_of, loop_messages, selection_steps, turns_of, with_loop
from spikeplan.placement.load import Load
from spikeplan.placement.place import CENTRE, place
from spikeplan.placement.timing import Clock, Speed

SENT = {"code": 5.0, "h1": 12.0, "h2": 4.0}


SPEED = Speed(synop_s=1e-9, update_s=2e-9, link_s=0.0, barrier_s=60e-9)


PLAN = CEMConfig(samples=16, iterations=3, elites=4, horizon=6, chunk=3)


def test_time_by_hand(placed: Any, net: Artifact) -> None:
    """1 ns a synop, 2 ns an update: code nothing, h1 5 x 24 = 120, h2 12 x 20 = 240, out 4 x 6 = 24 ns; all layers update
    in every step: 48 ns at least. Barrier 60 ns. Fall-through: 48 + 120 + 240 + 48 and four barriers."""
    clock = Clock(placed(net, LOIHI2), network_of(net), SENT, SPEED)
    one = clock.prediction()
    assert one.slowest == "h2" and one.every_s == pytest.approx(300e-9)
    assert one.pipelined_latency_s == pytest.approx(1200e-9) and one.fall_through_s == pytest.approx(696e-9)
    alone = clock.action(PLAN, "sequential")
    assert alone.steps == 3 * 6 * 16 * 4 and alone.action_s == pytest.approx(3 * 6 * 16 * 696e-9)
    # 16 candidates follow each other, so all layers but at the ends are busy: 2 steps before h2's first, 1 after its last.
    pipe = clock.action(PLAN, "interleaved")
    assert pipe.steps == 3 * (5 * 16 + 16 + 3)
    assert pipe.action_s == pytest.approx(3 * (96 * 300 + 108 + 180 + 108) * 1e-9)
    many = Clock(placed(net, LOIHI2, replicas=16), network_of(net), SENT, SPEED)
    both = [many.action(PLAN, schedule) for schedule in ("sequential", "interleaved")]
    assert [t.steps for t in both] == [3 * 6 * 4] * 2, "one candidate a replica: nothing to interleave"
    assert both[0].action_s == pytest.approx(both[1].action_s) == pytest.approx(3 * 6 * 696e-9)
    with pytest.raises(UserError, match="'batched' is unknown; use sequential or interleaved"):
        clock.action(PLAN, "batched")


def test_the_load_of_an_action_by_hand(placed: Any, net: Artifact) -> None:
    """As above, before the constants: code 0, h1 120, h2 240, out 24 synops, 24 updates; constants then change freely."""
    clock = Clock(placed(net, LOIHI2), network_of(net), SENT, SPEED)
    load = clock.load(PLAN, "interleaved")
    kinds = {synops: load.steps_J[load.synops_J == synops].sum() for synops in (0.0, 24.0, 120.0, 240.0)}
    assert load.updates == 24 and load.steps_J.sum() == 3 * (5 * 16 + 16 + 3)
    assert kinds == {0.0: 3, 24.0: 3, 120.0: 3, 240.0: 3 * 96}
    for factor in (1.0, 7.0):
        fast = load.seconds(1e-9, 2e-9, SPEED.link_s, factor * 60e-9, barrier_adds=True)
        assert fast == pytest.approx(3 * (96 * 240 + 120 + 48 + 48) * 1e-9 + 3 * 99 * factor * 60e-9)
    # Draws: one action's time each. A chip that updates slowly: 24 x 20 ns in every step.
    some = load.seconds(1e-9, np.array([2e-9, 20e-9]), SPEED.link_s, 60e-9, barrier_adds=True)
    assert some == pytest.approx([clock.action(PLAN, "interleaved").action_s, 3 * 99 * (480 + 60) * 1e-9])
    assert (load.synops_sent_J == load.synops_J).all() and not load.fixed_J.any(), "the predictor alone"


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 3.0])
@pytest.mark.parametrize("schedule", ["sequential", "interleaved"])
def test_more_messages_of_the_predictor_and_the_loop_as_it_is(net: Artifact, factor: float, schedule: str) -> None:
    whole = with_loop(network_of(net), PLAN, latent_dim=6, action_dim=2, replicas=4)
    found = place(whole.groups, LOIHI2, replicas=4)
    fixed = loop_messages(6, 2)
    own = {name: n for name, n in SENT.items() if name not in fixed}

    def load(times: float) -> Load:
        sent = {name: n * times for name, n in own.items()}
        return Clock(found, whole, sent | fixed, SPEED).load(PLAN, schedule)

    said = load(1.0).scaled(factor)
    figures = (SPEED.synop_s, SPEED.update_s, SPEED.link_s, SPEED.barrier_s)
    assert said.seconds(*figures, barrier_adds=True) == pytest.approx(
        load(factor).seconds(*figures, barrier_adds=True), rel=1e-9
    )
    assert (said.synops_J >= said.fixed_J).all() and said.fixed_J.any()


@pytest.mark.parametrize(
    "change",
    [
        {"steps_J": np.zeros(1)},
        {"synops_J": np.ones(2)},
        {"fixed_J": np.array([np.nan])},
        {"messages_J": np.array([-1.0])},
        {"updates": -1},
    ],
)
def test_a_load_that_is_none_is_refused(change: dict[str, Any]) -> None:
    one = np.ones(1)
    names = ("steps_J", "synops_J", "synops_sent_J", "fixed_J", "messages_J", "messages_sent_J")
    with pytest.raises(ValueError, match="load: "):
        Load(**{**dict.fromkeys(names, one), "updates": 1, **change})


def test_spread_shortens_the_step_until_links_or_the_barrier_set_it(placed: Any, net: Artifact) -> None:
    def every(spread: int, **changes: float) -> Any:
        found = placed(net, LOIHI2, spread=spread)
        return Clock(found, network_of(net), SENT, replace(SPEED, **changes)).prediction()

    assert every(2).every_s == pytest.approx(180e-9), "h2 in halves: 12 x 10 ns"
    assert every(1000).every_s == pytest.approx((12 + 60) * 1e-9), "a core a neuron: 12 messages"
    # Two cores a layer: code and h1 on tile 0, h2 and out on tile 1. 12 messages of h1 go to 2 cores over the link.
    slow = every(2, link_s=10e-9)
    assert slow.slowest == "links" and slow.every_s == pytest.approx((12 * 2 * 10 + 60) * 1e-9)


def test_stored_contexts_update_twice(placed: Any, net: Artifact) -> None:
    args = (placed(net, LOIHI2, contexts=4), network_of(net, contexts=4), {}, SPEED)
    assert Clock(*args).updating_s == pytest.approx(24 * 2e-9)
    assert Clock(*args, restored=True).updating_s == pytest.approx(2 * 24 * 2e-9)


def test_lif_takes_its_time_steps(net: Artifact) -> None:
    """T = 4, 4 layers: 7 steps a prediction alone, one every 4 in a full pipe. Inputs arrive once, spikes in T steps."""
    network = lif_network((8, 24, 20, 6), 4, LOIHI2)
    clock = Clock(place(network.groups, LOIHI2), network, {"code": 8, "h1": 48, "h2": 40}, SPEED)
    assert clock.action(PLAN, "sequential").steps == 3 * 6 * 16 * 7
    assert clock.action(PLAN, "interleaved").steps == 3 * (5 * 64 + 64 + 3)
    # Alone: code 48; h1 8 x 24 = 192 once, then 48; h2 12 x 20 = 240 in 4 steps, of which 1 also has h1's updates only.
    assert clock.prediction().fall_through_s == pytest.approx((7 * 60 + 48 + 192 + 4 * 240 + 60) * 1e-9)
    binary = lif_network((8, 24, 20, 6), 4, LOIHI1)
    assert [(g.neurons, g.message_bits) for g in binary.groups] == [(64, 1), (24, 1), (20, 1), (6, 0)]
    assert place(binary.groups, LOIHI1).broken == ()
    assert [b.layer for b in place(network.groups, LOIHI1).broken] == ["code"], "8-bit inputs do not fit single spikes"


def test_the_loop_by_hand(net: Artifact) -> None:
    """6 latents, 2 actions, 2 variables, 16 candidates over 4 replicas: 4 turns, so 4 stored z and u."""
    loop = with_loop(network_of(net), PLAN, latent_dim=6, action_dim=2, replicas=4)
    found = place(loop.groups, LOIHI2, replicas=4)
    assert found.broken == () and found.cores == 4 * 5 + 1, (
        "the parts of a replica share a core, theta and refit another"
    )
    neurons = {g.name: g.neurons for g in loop.groups[4:]}
    assert neurons == {"source": 4, "latent": 6, "distance": 6, "sum": 1, "cost": 4, "theta": 1, "refit": 8}
    assert found.of("latent")[0].state_bytes == 6 * 5 * 3 and found.of("source")[0].state_bytes == 4 * 7 * 3
    assert found.of("theta")[0].replica == CENTRE and found.of("theta")[0].axons_in == 16
    assert found.of("theta")[0].axons_out == 4, "to the cost neurons of all replicas"
    # 1 + 2 (24 + 4) + 2 x min(4 elites, 4 turns) + 3
    assert selection_steps(PLAN.passes[0], 4) == 68
    clock = Clock(found, loop, SENT | loop_messages(6, 2), SPEED)
    # code, h1, h2, out, latent: 5 deep, 4 candidates: the pipe is never full. 3 steps more to the last cost.
    assert clock.action(PLAN, "interleaved").steps == 3 * (5 * 5 + 3 + 5 + 3 + 68)
    assert clock.action(PLAN, "sequential").steps == 3 * (6 * 4 * 5 + 3 + 68)
    assert clock.action(PLAN, "sequential").selection == 3 * 68


def test_contexts_and_turns() -> None:
    assert [
        contexts_of(reference, PLAN, 4)
        for reference in ("zero", "previous_candidate", "previous_step", "mean_candidate", "previous_iteration")
    ] == [
        0,
        0,
        4,
        6,
        24,
    ]
    assert contexts_of("previous_step", PLAN, 16) == 0 and turns_of(PLAN, 5) == 4
    with pytest.raises(UserError, match="17 replicas for 16 candidates; use at most 16"):
        turns_of(PLAN, 17)
