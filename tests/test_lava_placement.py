"""Placement by hand: cores, memory, axons, hops and time of small networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lava_procs.placement import hops, place
from lava_procs.placement_loop import network_of
from spec.artifact import Artifact
from spec.errors import UserError
from spec.limits import LOIHI1, LOIHI2

TIGHT = replace(LOIHI2, neurons_per_core=10, core_memory_bytes=500, fan_out=30, cores=8)


@pytest.fixture
def net(make_chain) -> Artifact:
    return make_chain(
        np.random.default_rng(0), (8, 24, 20, 6), shifts=(2, 3, 3, 0), thresholds=(4, 8, 8), weight_exps=(0, 0, 0)
    )


def test_a_small_network_takes_a_core_a_layer(net: Artifact) -> None:
    found = place(net, LOIHI2)
    assert [(u.layer, u.neurons, u.core) for u in found.cores] == [
        ("code", 8, 0),
        ("h1", 24, 1),
        ("h2", 20, 2),
        ("out", 6, 3),
    ]
    assert found.broken == () and found.chips == 1
    # h1: 24 neurons of 8 weights; sigma and ref of 3 bytes each.
    assert (found.cores[1].weight_bytes, found.cores[1].state_bytes) == (24 * 8, 24 * 6)
    assert (found.cores[1].axons_in, found.cores[1].axons_out) == (8, 24)


def test_a_layer_is_split_by_its_scarcest_room(net: Artifact) -> None:
    """500 B: out 20 + 3 B a neuron -> 21, 6 on one core; h2 24 + 6 = 30 B -> 16, but 10 neurons a core: 2 cores;
    h1 8 + 6 = 14 B -> 35, 10 neurons -> 3 cores of 8, axons out 2 x 8 <= 30; code 3 receivers: 30 / 3 = 10: one core."""
    found = place(net, TIGHT)
    assert [len(found.of(name)) for name in ("code", "h1", "h2", "out")] == [1, 3, 2, 1]
    assert [u.neurons for u in found.of("h1")] == [8, 8, 8] and [u.first for u in found.of("h2")] == [0, 10]
    assert found.of("code")[0].axons_out == 8 * 3
    # Two contexts: h2 24 + 18 = 42 B -> 11 still; out 20 + 9 = 29 -> 17. Sixteen: h2 24 + 102 = 126 B -> 3: 7 cores.
    assert len(place(net, TIGHT, contexts=2).of("h2")) == 2
    assert len(place(net, TIGHT, contexts=16).of("h2")) == 7


def test_replicas_fill_chips_one_after_the_other(net: Artifact) -> None:
    found = place(net, TIGHT, replicas=3)  # 7 cores a copy, 8 a chip
    assert len(found.cores) == 21 and found.chips == 3
    assert [u.chip for u in found.of("code", 1)] == [0] and [u.chip for u in found.of("out", 1)] == [1]


def test_what_no_split_can_meet_is_listed(net: Artifact) -> None:
    found = place(net, replace(LOIHI2, fan_in=20, core_memory_bytes=29))
    assert {(b.layer, b.limit, b.found) for b in found.broken} == {
        ("h2", "fan_in", 24),
        ("h2", "core_memory_bytes", 30),
    }
    assert "assumed limit" in str(found.broken[0]) or "assumed limit" in str(found.broken[1])
    binary = place(net, LOIHI1)
    assert {b.layer for b in binary.broken} == {"code", "h1", "h2"} and "LIF arm" in str(binary.broken[0])


def test_hops_by_hand(net: Artifact) -> None:
    """Cores 0-3 share a tile: no hops. TIGHT: code 0, h1 1-3, h2 4 and 5, out 6; tiles 0 and 1: h1 -> h2 one hop each."""
    sent = {"code": 5.0, "h1": 12.0, "h2": 4.0}
    assert hops(place(net, LOIHI2), sent) == 0.0
    assert hops(place(net, TIGHT), sent) == 12.0 * 2
    assert hops(place(net, TIGHT, replicas=2), sent) > 2 * 12.0 * 2, "the second copy straddles two chips"


def test_time_by_hand(net: Artifact) -> None:
    """1 ns a synop, 2 ns an update: code 16, h1 5 x 24 = 120, h2 12 x 20 = 240, out 4 x 6 = 24 ns; barrier 60 ns."""
    sent = {"code": 5.0, "h1": 12.0, "h2": 4.0}
    args = {"samples": 16, "iterations": 3, "horizon": 6, "synop_s": 1e-9, "update_s": 2e-9, "barrier_s": 60e-9}
    one = time_of(place(net, LOIHI2), net, sent, schedule="sequential", **args)
    assert one.slowest == "h2" and one.step_s == pytest.approx(300e-9) and one.latency_s == pytest.approx(1200e-9)
    assert one.steps == 3 * (6 * 16 * 4 + 26)
    pipe = time_of(place(net, LOIHI2), net, sent, schedule="interleaved", **args)
    assert pipe.steps == 3 * (5 * 16 + 16 + 3 + 26) and pipe.action_s == pytest.approx(pipe.steps * 300e-9)
    many = time_of(place(net, LOIHI2, replicas=16), net, sent, schedule="interleaved", **args)
    assert many.steps == 3 * (6 * 4 + 26), "one candidate a copy: as long as one after the other"


@pytest.mark.parametrize("changes", [{"replicas": 0}, {"contexts": -1}])
def test_refusals(net: Artifact, changes: dict[str, int]) -> None:
    with pytest.raises(UserError, match="place: replicas"):
        place(net, LOIHI2, **changes)
