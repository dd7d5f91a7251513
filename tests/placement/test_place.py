"""Placement by hand and against brute force: cores, memory, axons, hops and time of small networks."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeplan.conversion import check
from spikeplan.core.chips import LOIHI1, LOIHI2, ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.fit import Group, groups_of
from spikeplan.core.groups import lif_network, network_of
from spikeplan.core.ir.artifact import Artifact, Edge, Layer
from spikeplan.core.planning import CEMConfig
from spikeplan.placement.groups import contexts_of, loop_messages, selection_steps, turns_of, with_loop
from spikeplan.placement.place import CENTRE, Placement, hops, link_loads, place
from spikeplan.placement.timing import Clock, Load, Speed

TIGHT = replace(LOIHI2, neurons_per_core=10, core_memory_bytes=500, fan_out=30, cores=8)
SENT = {"code": 5.0, "h1": 12.0, "h2": 4.0}
SPEED = Speed(synop_s=1e-9, update_s=2e-9, link_s=0.0, barrier_s=60e-9)
PLAN = CEMConfig(samples=16, iterations=3, elites=4, horizon=6, chunk=3)


@pytest.fixture
def net(make_chain) -> Artifact:
    return make_chain(
        np.random.default_rng(0), (8, 24, 20, 6), shifts=(2, 3, 3, 0), thresholds=(4, 8, 8), weight_exps=(0, 0, 0)
    )


def placed(net: Artifact, chip: ChipLimits, *, contexts: int = 0, **settings: int) -> Placement:
    return place(groups_of(net, contexts=contexts), chip, **settings)


def test_a_small_network_takes_a_core_a_layer(net: Artifact) -> None:
    found = placed(net, LOIHI2)
    assert [(u.layer, u.neurons, u.core) for u in found.uses] == [
        ("code", 8, 0),
        ("h1", 24, 1),
        ("h2", 20, 2),
        ("out", 6, 3),
    ]
    assert found.broken == () and (found.cores, found.chips, found.cores_at_80, found.chips_at_80) == (4, 1, 5, 1)
    # h1: 24 neurons of 8 weights; sigma and ref of 3 bytes each.
    assert (found.uses[1].weight_bytes, found.uses[1].state_bytes) == (24 * 8, 24 * 6)
    assert (found.uses[1].axons_in, found.uses[1].axons_out) == (8, 24)


def test_a_layer_is_split_by_its_scarcest_room(net: Artifact) -> None:
    """500 B: out 20 + 3 B a neuron -> 21, 6 on one core; h2 24 + 6 = 30 B -> 16, but 10 neurons a core: 2 cores;
    h1 8 + 6 = 14 B -> 35, 10 neurons -> 3 cores of 8, axons out 2 x 8 <= 30; code 3 receivers: 30 / 3 = 10: one core."""
    found = placed(net, TIGHT)
    assert [len(found.of(name)) for name in ("code", "h1", "h2", "out")] == [1, 3, 2, 1]
    assert [u.neurons for u in found.of("h1")] == [8, 8, 8] and [u.first for u in found.of("h2")] == [0, 10]
    assert found.of("code")[0].axons_out == 8 * 3
    # Two contexts: h2 24 + 18 = 42 B -> 11 still; out 20 + 9 = 29 -> 17. Sixteen: h2 24 + 102 = 126 B -> 3: 7 cores.
    assert len(placed(net, TIGHT, contexts=2).of("h2")) == 2
    assert len(placed(net, TIGHT, contexts=16).of("h2")) == 7


def test_spread_takes_times_the_least_cores_and_never_more_than_neurons(net: Artifact) -> None:
    found = placed(net, LOIHI2, spread=7)
    assert [len(found.of(name)) for name in ("code", "h1", "h2", "out")] == [7, 7, 7, 6]
    assert [u.neurons for u in found.of("h1")] == [4, 4, 4, 3, 3, 3, 3]
    assert found.of("h1")[0].axons_out == 4 * 7


def test_replicas_fill_chips_one_after_the_other(net: Artifact) -> None:
    found = placed(net, TIGHT, replicas=3)  # 7 cores a copy, 8 a chip
    assert found.cores == 21 and found.chips == 3 and found.chips_at_80 == 4  # 27 cores
    assert [u.chip for u in found.of("code", 1)] == [0] and [u.chip for u in found.of("out", 1)] == [1]


def test_what_no_split_can_meet_is_listed(net: Artifact) -> None:
    found = placed(net, replace(LOIHI2, fan_in=20, core_memory_bytes=29))
    assert {(b.layer, b.limit, b.found) for b in found.broken} == {
        ("h2", "fan_in", 24),
        ("h2", "core_memory_bytes", 30),
    }
    assert [b.assumed for b in found.broken if b.limit == "fan_in"] == [True]
    assert any("split the layer's inputs over two stages" in str(b) for b in found.broken)
    binary = placed(net, LOIHI1)
    assert {b.layer for b in binary.broken} == {"code", "h1", "h2", "out"} and "LIF method" in str(binary.broken[0])


def test_hops_and_links_by_hand(net: Artifact) -> None:
    """Cores 0-3 share a tile: no hops. TIGHT: code 0, h1 1-3, h2 4 and 5, out 6; tiles 0 and 1: h1 -> h2 one hop each."""
    assert hops(placed(net, LOIHI2), SENT) == 0.0 and link_loads(placed(net, LOIHI2)) == {}
    assert hops(placed(net, TIGHT), SENT) == 12.0 * 2
    assert link_loads(placed(net, TIGHT)) == {(0, (0, 0), (1, 0)): {"h1": pytest.approx(2.0)}}
    # The second copy: code 7 on chip 0; h1 on 0-2, h2 on 3 and 4, out on 5 of chip 1. 3 messages of code cross to it.
    both = placed(net, TIGHT, replicas=2)
    assert hops(both, SENT) == 12.0 * 2 + 5.0 * 3 * 8 + 12.0 * 1 + 4.0 * 0.5
    assert link_loads(both)["chips", 0, 1] == {"code": 3.0}


def test_time_by_hand(net: Artifact) -> None:
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
    assert [t.steps for t in both] == [3 * 6 * 4] * 2, "one candidate a copy: nothing to interleave"
    assert both[0].action_s == pytest.approx(both[1].action_s) == pytest.approx(3 * 6 * 696e-9)
    with pytest.raises(UserError, match="'batched' is unknown; use sequential or interleaved"):
        clock.action(PLAN, "batched")


def test_the_load_of_an_action_by_hand(net: Artifact) -> None:
    """As above, before the constants: code 0, h1 120, h2 240, out 24 synops, 24 updates; constants then change freely."""
    clock = Clock(placed(net, LOIHI2), network_of(net), SENT, SPEED)
    load = clock.load(PLAN, "interleaved")
    kinds = {synops: load.steps_J[load.synops_J == synops].sum() for synops in (0.0, 24.0, 120.0, 240.0)}
    assert load.updates == 24 and load.steps_J.sum() == 3 * (5 * 16 + 16 + 3)
    assert kinds == {0.0: 3, 24.0: 3, 120.0: 3, 240.0: 3 * 96}
    for factor in (1.0, 7.0):
        fast = load.seconds(1e-9, 2e-9, SPEED.link_s, factor * 60e-9)
        assert fast == pytest.approx(3 * (96 * 240 + 120 + 48 + 48) * 1e-9 + 3 * 99 * factor * 60e-9)
    # Draws: one action's time each. A chip that updates slowly: 24 x 20 ns in every step.
    some = load.seconds(1e-9, np.array([2e-9, 20e-9]), SPEED.link_s, 60e-9)
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
    assert said.seconds(*figures) == pytest.approx(load(factor).seconds(*figures), rel=1e-9)
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


def test_spread_shortens_the_step_until_links_or_the_barrier_set_it(net: Artifact) -> None:
    def every(spread: int, **changes: float) -> Any:
        found = placed(net, LOIHI2, spread=spread)
        return Clock(found, network_of(net), SENT, replace(SPEED, **changes)).prediction()

    assert every(2).every_s == pytest.approx(180e-9), "h2 in halves: 12 x 10 ns"
    assert every(1000).every_s == pytest.approx((12 + 60) * 1e-9), "a core a neuron: 12 messages"
    # Two cores a layer: code and h1 on tile 0, h2 and out on tile 1. 12 messages of h1 go to 2 cores over the link.
    slow = every(2, link_s=10e-9)
    assert slow.slowest == "links" and slow.every_s == pytest.approx((12 * 2 * 10 + 60) * 1e-9)


def test_stored_contexts_update_twice(net: Artifact) -> None:
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
    """6 latents, 2 actions, 2 variables, 16 candidates over 4 copies: 4 turns, so 4 stored z and u."""
    loop = with_loop(network_of(net), PLAN, latent_dim=6, action_dim=2, replicas=4)
    found = place(loop.groups, LOIHI2, replicas=4)
    assert found.broken == () and found.cores == 4 * 5 + 1, "the parts of a copy share a core, theta and refit another"
    neurons = {g.name: g.neurons for g in loop.groups[4:]}
    assert neurons == {"source": 4, "latent": 6, "distance": 6, "sum": 1, "cost": 4, "theta": 1, "refit": 8}
    assert found.of("latent")[0].state_bytes == 6 * 5 * 3 and found.of("source")[0].state_bytes == 4 * 7 * 3
    assert found.of("theta")[0].replica == CENTRE and found.of("theta")[0].axons_in == 16
    assert found.of("theta")[0].axons_out == 4, "to the cost neurons of all copies"
    # 1 + 2 (24 + 4) + 2 x min(4 elites, 4 turns) + 3
    assert selection_steps(PLAN, 4) == 68
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


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"replicas": 0}, "replicas 0"), ({"spread": 0}, "spread 0"), ({"replicas": 10**6}, "exceed the largest machine")],
)
def test_refusals(net: Artifact, changes: dict[str, int], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        placed(net, LOIHI2, **changes)
    with pytest.raises(UserError, match="contexts -1"):
        groups_of(net, contexts=-1)
    with pytest.raises(ValueError, match="neurons 0"):
        Group(name="g", neurons=0, axons_in=1, synapses=1, words=1, message_bits=8)
    with pytest.raises(ValueError, match="link_s"):
        replace(SPEED, link_s=-1.0)


def random_net(sizes: list[int], bits: int) -> Artifact:
    rng = np.random.default_rng(0)
    layers = [Layer(name="code", kind="delta", n_in=sizes[0], n_out=sizes[0], message_bits=bits)]
    for i, (n_in, n_out) in enumerate(pairwise(sizes), 1):
        last = i == len(sizes) - 1
        layers.append(
            Layer(
                name=f"l{i}",
                kind="sigma" if last else "sigma_delta",
                n_in=n_in,
                n_out=n_out,
                message_bits=bits,
                weight=rng.integers(-9, 9, (n_out, n_in)).astype(np.int8),
                bias=np.zeros(n_out, np.int32),
            )
        )
    edges = tuple(Edge(src=a.name, dst=b.name) for a, b in pairwise(layers))
    return Artifact(layers=tuple(layers), edges=edges, scales={"latent": 1.0, "action": 1.0})


CHIPS = st.builds(
    lambda neurons, memory, fan_in, fan_out, cores, graded: replace(
        LOIHI2,
        neurons_per_core=neurons,
        core_memory_bytes=memory,
        fan_in=fan_in,
        fan_out=fan_out,
        cores=cores,
        graded_messages=graded,
    ),
    st.integers(1, 40),
    st.integers(8, 900),
    st.integers(4, 60),
    st.integers(2, 120),
    st.integers(3, 30),
    st.booleans(),
)


@settings(max_examples=150)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    bits=st.integers(1, 33),
    chip=CHIPS,
    replicas=st.integers(1, 4),
    spread=st.integers(1, 4),
    loop=st.booleans(),
)
def test_a_placement_holds_what_it_claims(
    sizes: list[int], bits: int, chip: ChipLimits, replicas: int, spread: int, loop: bool
) -> None:
    net = random_net(sizes, min(bits, 32))
    network = network_of(net)
    if loop:
        network = with_loop(network, PLAN, latent_dim=sizes[-1], action_dim=1, replicas=replicas)
    found = place(network.groups, chip, replicas=replicas, spread=spread)
    # Every neuron of every copy once.
    for group in network.groups:
        for copy in (CENTRE,) if group.once else range(replicas):
            mine = [u for u in found.uses if u.layer == group.name and u.replica == copy]
            assert sorted(n for u in mine for n in range(u.first, u.first + u.neurons)) == list(range(group.neurons))
    # On every core the sums hold each limit, but those that are listed.
    listed = {(b.layer, b.limit) for b in found.broken}
    cores = defaultdict(list)
    for use in found.uses:
        cores[use.chip, use.core].append(use)
    assert len(cores) == found.cores and max(chip_ for chip_, _ in cores) + 1 == found.chips
    for (_, core), uses in cores.items():
        assert core < chip.cores and len({u.replica for u in uses}) == 1, "copies share no core"
        layers = {u.layer for u in uses}
        for limit, total, allowed in (
            ("neurons_per_core", sum(u.neurons for u in uses), chip.neurons_per_core),
            ("core_memory_bytes", sum(u.weight_bytes + u.state_bytes for u in uses), chip.core_memory_bytes),
            ("fan_in", sum(u.axons_in for u in uses), chip.fan_in),
            ("fan_out", sum(u.axons_out for u in uses), chip.fan_out),
        ):
            assert total <= allowed or (len(uses) == 1 and any((name, limit) in listed for name in layers))
    # Axons out are the cores that the neurons really reach.
    for group in network.groups:
        for copy in (CENTRE,) if group.once else range(replicas):
            reached = [
                u
                for name in group.receivers
                for u in found.uses
                if u.layer == name and (group.once or u.replica in (copy, CENTRE))
            ]
            for use in (u for u in found.uses if u.layer == group.name and u.replica == copy):
                assert use.axons_out == use.neurons * len(reached)


@settings(max_examples=100)
@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5), bits=st.integers(1, 32), chip=CHIPS)
def test_check_and_placement_list_the_same(sizes: list[int], bits: int, chip: ChipLimits) -> None:
    net = random_net(sizes, bits)
    found, checked = placed(net, chip), check(net, chip)
    assert list(found.broken) == [v for v in checked if v.limit != "cores"]
    assert (found.cores > chip.cores) == any(v.limit == "cores" for v in checked) == (found.chips > 1)


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4), replicas=st.integers(1, 4), spread=st.integers(1, 6))
def test_hops_are_the_lengths_of_the_ways(sizes: list[int], replicas: int, spread: int) -> None:
    """Brute force on one large chip: Manhattan distance of tiles a message and receiving core. Each hop lies on a link; a
    copy that begins on a tile of its own does not change the others' traffic."""
    net = random_net(sizes, 8)
    found = place(groups_of(net), replace(LOIHI2, cores=4096), replicas=replicas, spread=spread)
    sent = {layer.name: 1.0 + i for i, layer in enumerate(net.layers)}
    total = 0.0
    for edge in net.edges:
        for a in (u for u in found.uses if u.layer == edge.src):
            for b in (u for u in found.uses if u.layer == edge.dst and u.replica == a.replica):
                far = abs(a.core // 4 % 8 - b.core // 4 % 8) + abs(a.core // 32 - b.core // 32)
                total += sent[edge.src] * a.neurons / net.layer(edge.src).n_out * far
    assert hops(found, sent) == pytest.approx(total)
    loads = link_loads(found)
    assert sum(sent[g] * share for by in loads.values() for g, share in by.items()) == pytest.approx(total)
    assert all(abs(a[0] - b[0]) + abs(a[1] - b[1]) == 1 for _, a, b in loads)
    alone = place(groups_of(net), replace(LOIHI2, cores=4096), spread=spread)
    assert [replace(u, chip=0) for u in found.uses[: len(alone.uses)]] == list(alone.uses), (
        "the first copy lies as if alone"
    )
