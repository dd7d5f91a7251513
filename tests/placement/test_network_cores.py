"""Networks of any shape on cores: what lies where, worked out by hand; sums against the exact fan-out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.networks import Layer, cells, convolution, layered, linear, sd

from spikeplan.core.chips import LOIHI1, LOIHI2
from spikeplan.core.counts.fan_out import fan_out, synops
from spikeplan.core.errors import UserError
from spikeplan.core.fit import groups_of
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.graph import Conv, Linear, Shape
from spikeplan.core.ir.graph import Graph as Network
from spikeplan.placement.cores import cores_reached, parts_of, place_graph
from spikeplan.placement.graph import Graph, Link, as_placed, graph_of_artifact, graph_of_network, reach
from spikeplan.placement.place import TooManyCores, hops, link_loads, place
from spikeplan.placement.recording import of_arrays, of_rates
from spikeplan.placement.steps import load_of
from spikeplan.placement.timing import Speed

SPEED = Speed(synop_s=1e-9, update_s=20e-9, link_s=5e-9, barrier_s=1e-6, barrier_adds=False)


def chain(shape: Shape, *synapses: Linear | Conv, coder: bool = True) -> Network:
    """A coder and sigma-delta layers, named as they follow: in, l1, l2, ..."""
    layers = [Layer(name="in", neuron=sd("delta"))] if coder else []
    before = shape
    for number, synapse in enumerate(synapses, 1):
        before = synapse.shape_after((before,))
        layers.append(Layer(name=f"l{number}", neuron=sd("sigma_delta"), synapse=synapse))
    return layered(shape, *layers)


def dense(n_out: int, n_in: int) -> Linear:
    return linear(np.ones((n_out, n_in), np.int64))


def conv(n_out: int, n_in: int, kernel: int, **settings: Any) -> Conv:
    return convolution(np.ones((n_out, n_in, kernel, kernel), np.int64), **settings)


def lif(n_in: int, n_out: int) -> Network:
    one = np.ones(n_out)
    neuron = cells(du=one, dv=0.2 * one, vth=one, bias=0 * one)
    layer = Layer(name="cells", synapse=linear(np.ones((n_out, n_in))), neuron=neuron)
    return layered((n_in,), layer, spikes=True)


SHAPES = [
    conv(8, 4, 3),
    conv(8, 2, 3, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
    conv(4, 1, 2, stride=(3, 2), padding=(2, 0), dilation=(2, 1), groups=4),
    dense(7, 4 * 11 * 12),
]


@pytest.mark.parametrize("synapse", SHAPES)
def test_parts_reach_what_the_whole_layer_reaches(synapse: Linear | Conv) -> None:
    """Over all cores each neuron sets off exactly its fan-out, borders, strides and groups included."""
    before = (4, 11, 12)
    link = Link(src="a", dst="b", synapse=synapse, before=before)
    whole = as_placed(fan_out(synapse, before), before)
    n = int(np.prod(link.after))
    for cores in (1, 2, 5):
        parts = [reach(link, *part) for part in parts_of(n, cores)]
        assert np.array_equal(sum(parts), whole)
        assert np.array_equal(cores_reached(link, cores), sum((part > 0).astype(int) for part in parts))


def test_a_core_of_a_convolution_by_hand() -> None:
    """A 1 x 4 x 3 image, kernel 2 x 1: 2 channels of 3 x 3. The first core holds row 0 and one neuron of row 1, so it takes row 0
    twice a position, row 1 three times at column 0 (twice through row 0, once through row 1) and twice elsewhere."""
    synapse = convolution(np.ones((2, 1, 2, 1), np.int64))
    link = Link(src="a", dst="b", synapse=synapse, before=(1, 4, 3))
    assert link.after == (2, 3, 3) and (link.macs, link.stored, link.fan_in) == (18 * 2, 4, 2)
    assert reach(link, 0, 7).reshape(4, 3).tolist() == [[2, 2, 2], [3, 2, 2], [1, 0, 0], [0, 0, 0]]


def test_dense_chains_are_placed_as_task_networks_are(make_chain: Any) -> None:
    """The same cores, hops and link loads as `place` finds for the same layers."""
    net: Artifact = make_chain(
        np.random.default_rng(0), (34, 2000, 1000, 32), shifts=(2, 3, 3, 0), thresholds=(4, 8, 8), weight_exps=(0, 0, 0)
    )
    graph = graph_of_artifact(net)
    assert graph.macs == graph.weights == net.synapses and graph.delay == 3
    for spread in (1, 4):
        ours = place_graph(graph, LOIHI2, replicas=2, spread=spread)
        theirs = place(groups_of(net), LOIHI2, replicas=2, spread=spread)
        assert [(u.layer, u.neurons, u.weight_bytes, u.state_bytes) for u in ours.uses] == [
            (u.layer, u.neurons, u.weight_bytes, u.state_bytes) for u in theirs.uses
        ]
        recording = of_rates(graph, 0.25)
        load = load_of(ours, graph, recording)
        sent = {name: float(messages[0]) for name, messages in recording.messages.items()}
        for name in sent:
            assert load.hops[name] == pytest.approx(hops(theirs, {name: 1.0}) / 2)
        busiest = max(sum(sent[n] * share for n, share in by.items()) for by in link_loads(theirs).values())
        assert load.messages_T[0] == pytest.approx(busiest)
        assert load.updates == max(use.neurons for use in ours.uses)


def test_a_step_by_hand() -> None:
    """600 neurons on one core: 34 x .5 messages of the coder set off 10,200 synops, which take 10.2 us at 1 ns; 12 us of updates
    are longer. With 1,000 times slower links the 300 messages between tiles would be, if there were tiles between."""
    graph = graph_of_network(chain((34,), dense(600, 34), dense(8, 600)))
    placement = place_graph(graph, LOIHI2)
    recording = of_rates(graph, {"in": 0.5, "l1": 0.25, "l2": 0.0})
    load = load_of(placement, graph, recording)
    cores = len(placement.of("l1"))
    assert cores == 1 and load.busiest[0] == "l1"
    assert load.synops_T.tolist() == [17 * 600] and load.updates == 600
    assert load.seconds(SPEED)[0] == pytest.approx(12e-6)
    assert load.set_by(SPEED) == {"synops": 0.0, "updates": 1.0, "links": 0.0, "barrier": 0.0}
    slow = replace(SPEED, synop_s=2e-9)
    assert load.seconds(slow)[0] == pytest.approx(20.4e-6) and load.set_by(slow)["synops"] == 1.0
    added = replace(SPEED, barrier_adds=True)
    assert load.seconds(added)[0] == pytest.approx(13e-6) and load.set_by(added)["updates"] == 1.0
    late = replace(added, barrier_s=15e-6)
    assert load.seconds(late)[0] == pytest.approx(27e-6) and load.set_by(late)["barrier"] == 1.0


def test_synops_of_a_recording_are_exact_over_its_steps() -> None:
    """Who sends at the border sets off less; the sum over cores and steps is that of the exact fan-out."""
    rng = np.random.default_rng(1)
    network = chain((3, 16, 20), conv(24, 3, 3, stride=(2, 2)), dense(5, 24 * 7 * 9))
    graph = graph_of_network(network)
    rasters = {layer.name: rng.random((9, *network.shapes[layer.name])) < 0.3 for layer in network.layers}
    rasters["in"][:, :, 4:, :] = False
    recording = of_arrays(graph, rasters, "r")
    for before, after in (("in", "l1.w"), ("l1", "l2.w")):
        synapse = network.node(after)
        assert isinstance(synapse, Linear | Conv)
        exact = synops(rasters[before], synapse, graph.layer(before).shape)
        assert recording.total(before) * recording.synops_a_message(graph, before) == pytest.approx(exact)
    spread = load_of(place_graph(graph, LOIHI2, spread=4), graph, recording)
    alone = load_of(place_graph(graph, LOIHI2), graph, recording)
    assert spread.synops_T.max() < alone.synops_T.max()
    assert alone.synops_T.sum() == pytest.approx(
        max(synops(rasters["in"], network.node("l1.w"), (3, 16, 20)), 0)  # type: ignore[arg-type]
    )


def test_rows_of_a_convolution_keep_to_their_cores() -> None:
    """All messages come from the upper rows: cores that hold the lower ones take none, and the busiest does all the work."""
    network = chain((1, 64, 8), conv(8, 1, 3))
    graph = graph_of_network(network)
    raster = np.zeros((1, 1, 64, 8), bool)
    raster[:, :, :8] = True
    recording = of_arrays(graph, {"in": raster, "l1": np.zeros((1, 8, 62, 6), bool)}, "r")
    whole = load_of(place_graph(graph, LOIHI2), graph, recording).synops_T[0]
    assert load_of(place_graph(graph, LOIHI2, spread=4), graph, recording).synops_T[0] == whole
    even = of_rates(graph, {"in": 64 / 512, "l1": 0.0})
    assert load_of(place_graph(graph, LOIHI2, spread=4), graph, even).synops_T[0] < 0.4 * whole


def test_kernels_are_stored_once_a_core_and_dense_weights_for_each_neuron() -> None:
    graph = graph_of_network(chain((2, 20, 20), conv(4, 2, 5), dense(10, 4 * 16 * 16)))
    placement = place_graph(graph, LOIHI2, spread=2)
    for use in placement.of("l1"):
        assert use.weight_bytes == 4 * 2 * 25 and use.state_bytes == use.neurons * 2 * 3
    assert sum(use.weight_bytes for use in placement.of("l2")) == 10 * 1024


def test_large_networks_go_over_chips_and_only_the_largest_machine_ends() -> None:
    small, large = (graph_of_network(chain((n,), *[dense(n, n)] * m)) for n, m in ((2000, 1), (4000, 8)))
    one, many = (place_graph(graph, LOIHI2) for graph in (small, large))
    assert one.chips == 1 and many.chips > 1 and not many.broken
    assert many.cores * LOIHI2.core_memory_bytes > large.weights > LOIHI2.cores * LOIHI2.core_memory_bytes
    with pytest.raises(TooManyCores, match="exceed the largest machine"):
        place_graph(small, LOIHI2, replicas=10_000)


def test_limits_that_no_cut_holds_are_listed_with_what_is_assumed() -> None:
    wide = graph_of_network(chain((5000,), dense(8, 5000)))
    found = {b.limit: b for b in place_graph(wide, LOIHI2).broken}
    assert set(found) == {"fan_in"} and found["fan_in"].assumed and found["fan_in"].found == 5000
    sent = {(b.layer, b.limit) for b in place_graph(wide, LOIHI1).broken}
    assert {("in", "message_bits"), ("l1", "fan_in")} <= sent
    spikes = place_graph(graph_of_network(lif(3, 4)), LOIHI1)
    assert spikes.broken == (), "spikes of one bit fit Loihi 1"
    graded = graph_of_network(chain((9,), dense(4, 9), coder=False))
    assert [b.layer for b in place_graph(graded, LOIHI1).broken] == ["input", "l1"]
    with pytest.raises(UserError, match="replicas 0 and spread 1 must be >= 1"):
        place_graph(wide, LOIHI2, replicas=0)


def test_a_convolution_is_cut_until_axons_fit() -> None:
    """16 x 40 x 40 inputs are 25,600 axons; a band of rows takes a share of them."""
    graph: Graph = graph_of_network(chain((16, 40, 40), conv(16, 16, 3, padding=(1, 1))))
    placement = place_graph(graph, LOIHI2)
    assert placement.broken == ()
    assert max(use.axons_in for use in placement.of("l1")) <= LOIHI2.fan_in
    assert len(placement.of("l1")) > -(-16 * 40 * 40 // LOIHI2.neurons_per_core)


def test_replicas_share_links_but_not_work() -> None:
    graph = graph_of_network(chain((200,), dense(2000, 200), dense(2000, 2000)))
    recording = of_rates(graph, 0.1)
    one, four = (load_of(place_graph(graph, LOIHI2, replicas=r), graph, recording) for r in (1, 4))
    assert np.array_equal(one.synops_T, four.synops_T) and one.updates == four.updates
    assert four.messages_T[0] >= one.messages_T[0] > 0
