"""Placement by hand and against brute force: cores, memory, axons and hops of small networks."""

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
from spikeplan.core.groups import network_of
from spikeplan.core.ir.artifact import Artifact, Edge, Layer
from spikeplan.core.planning import CEMConfig
from spikeplan.placement.groups import with_loop
from spikeplan.placement.place import CENTRE, hops, link_loads, place
from spikeplan.placement.timing import Speed

TIGHT = replace(LOIHI2, neurons_per_core=10, core_memory_bytes=500, fan_out=30, cores=8)


SENT = {"code": 5.0, "h1": 12.0, "h2": 4.0}


SPEED = Speed(synop_s=1e-9, update_s=2e-9, link_s=0.0, barrier_s=60e-9)


PLAN = CEMConfig(samples=16, iterations=3, elites=4, horizon=6, chunk=3)


def test_a_small_network_takes_a_core_a_layer(placed: Any, net: Artifact) -> None:
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


def test_a_layer_is_split_by_its_scarcest_room(placed: Any, net: Artifact) -> None:
    """500 B: out 20 + 3 B a neuron -> 21, 6 on one core; h2 24 + 6 = 30 B -> 16, but 10 neurons a core: 2 cores;
    h1 8 + 6 = 14 B -> 35, 10 neurons -> 3 cores of 8, axons out 2 x 8 <= 30; code 3 receivers: 30 / 3 = 10: one core."""
    found = placed(net, TIGHT)
    assert [len(found.of(name)) for name in ("code", "h1", "h2", "out")] == [1, 3, 2, 1]
    assert [u.neurons for u in found.of("h1")] == [8, 8, 8] and [u.first for u in found.of("h2")] == [0, 10]
    assert found.of("code")[0].axons_out == 8 * 3
    # Two contexts: h2 24 + 18 = 42 B -> 11 still; out 20 + 9 = 29 -> 17. Sixteen: h2 24 + 102 = 126 B -> 3: 7 cores.
    assert len(placed(net, TIGHT, contexts=2).of("h2")) == 2
    assert len(placed(net, TIGHT, contexts=16).of("h2")) == 7


def test_spread_takes_times_the_least_cores_and_never_more_than_neurons(placed: Any, net: Artifact) -> None:
    found = placed(net, LOIHI2, spread=7)
    assert [len(found.of(name)) for name in ("code", "h1", "h2", "out")] == [7, 7, 7, 6]
    assert [u.neurons for u in found.of("h1")] == [4, 4, 4, 3, 3, 3, 3]
    assert found.of("h1")[0].axons_out == 4 * 7


def test_replicas_fill_chips_one_after_the_other(placed: Any, net: Artifact) -> None:
    found = placed(net, TIGHT, replicas=3)  # 7 cores a replica, 8 a chip
    assert found.cores == 21 and found.chips == 3 and found.chips_at_80 == 4  # 27 cores
    assert [u.chip for u in found.of("code", 1)] == [0] and [u.chip for u in found.of("out", 1)] == [1]


def test_what_no_split_can_meet_is_listed(placed: Any, net: Artifact) -> None:
    found = placed(net, replace(LOIHI2, fan_in=20, core_memory_bytes=29))
    assert {(b.layer, b.limit, b.found) for b in found.broken} == {
        ("h2", "fan_in", 24),
        ("h2", "core_memory_bytes", 30),
    }
    assert [b.assumed for b in found.broken if b.limit == "fan_in"] == [True]
    assert any("split the layer's inputs over two stages" in str(b) for b in found.broken)
    binary = placed(net, LOIHI1)
    assert {b.layer for b in binary.broken} == {"code", "h1", "h2", "out"} and "LIF method" in str(binary.broken[0])


def test_hops_and_links_by_hand(placed: Any, net: Artifact) -> None:
    """Cores 0-3 share a tile: no hops. TIGHT: code 0, h1 1-3, h2 4 and 5, out 6; tiles 0 and 1: h1 -> h2 one hop each."""
    assert hops(placed(net, LOIHI2), SENT) == 0.0 and link_loads(placed(net, LOIHI2)) == {}
    assert hops(placed(net, TIGHT), SENT) == 12.0 * 2
    assert link_loads(placed(net, TIGHT)) == {(0, (0, 0), (1, 0)): {"h1": pytest.approx(2.0)}}
    # The second replica: code 7 on chip 0; h1 on 0-2, h2 on 3 and 4, out on 5 of chip 1. 3 messages of code cross to it.
    both = placed(net, TIGHT, replicas=2)
    assert hops(both, SENT) == 12.0 * 2 + 5.0 * 3 * 8 + 12.0 * 1 + 4.0 * 0.5
    assert link_loads(both)["chips", 0, 1] == {"code": 3.0}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"replicas": 0}, "replicas 0"), ({"spread": 0}, "spread 0"), ({"replicas": 10**6}, "exceed the largest machine")],
)
def test_refusals(placed: Any, net: Artifact, changes: dict[str, int], expected: str) -> None:
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
    # Every neuron of every replica once.
    for group in network.groups:
        for replica in (CENTRE,) if group.once else range(replicas):
            mine = [u for u in found.uses if u.layer == group.name and u.replica == replica]
            assert sorted(n for u in mine for n in range(u.first, u.first + u.neurons)) == list(range(group.neurons))
    # On every core the sums hold each limit, but those that are listed.
    listed = {(b.layer, b.limit) for b in found.broken}
    cores = defaultdict(list)
    for use in found.uses:
        cores[use.chip, use.core].append(use)
    assert len(cores) == found.cores and max(chip_ for chip_, _ in cores) + 1 == found.chips
    for (_, core), uses in cores.items():
        assert core < chip.cores and len({u.replica for u in uses}) == 1, "replicas share no core"
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
        for replica in (CENTRE,) if group.once else range(replicas):
            reached = [
                u
                for name in group.receivers
                for u in found.uses
                if u.layer == name and (group.once or u.replica in (replica, CENTRE))
            ]
            for use in (u for u in found.uses if u.layer == group.name and u.replica == replica):
                assert use.axons_out == use.neurons * len(reached)


@settings(max_examples=100)
@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=5), bits=st.integers(1, 32), chip=CHIPS)
def test_check_and_placement_list_the_same(placed: Any, sizes: list[int], bits: int, chip: ChipLimits) -> None:
    net = random_net(sizes, bits)
    found, checked = placed(net, chip), check(net, chip)
    assert list(found.broken) == [v for v in checked if v.limit != "cores"]
    assert (found.cores > chip.cores) == any(v.limit == "cores" for v in checked) == (found.chips > 1)


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(1, 40), min_size=2, max_size=4), replicas=st.integers(1, 4), spread=st.integers(1, 6))
def test_hops_are_the_lengths_of_the_ways(sizes: list[int], replicas: int, spread: int) -> None:
    """Brute force on one large chip: Manhattan distance of tiles a message and receiving core. Each hop lies on a link; a
    replica that begins on a tile of its own does not change the others' traffic."""
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
        "the first replica lies as if alone"
    )
