"""Recordings and rates: what they mean, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.networks import Layer, convolution, layered, linear, sd

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Input, Linear, chain
from spikeplan.placement.graph import Graph, graph_of_network
from spikeplan.placement.recording import of_arrays, of_rates


@pytest.fixture
def graph() -> Graph:
    """2 x 3 x 3 inputs, straight into a convolution with 4 x 2 x 2 neurons."""
    synapse = convolution(np.ones((4, 2, 2, 2), np.int64))
    layer = Layer(name="c", neuron=sd("sigma_delta"), synapse=synapse)
    return graph_of_network(layered((2, 3, 3), layer))


def test_messages_and_rasters_say_the_same(graph: Graph) -> None:
    rng = np.random.default_rng(0)
    rasters = {"input": rng.integers(-1, 2, (5, 2, 3, 3)), "c": rng.random((5, 4, 2, 2)) < 0.5}
    whole = of_arrays(graph, rasters, "r")
    counted = {name: (raster != 0).reshape(5, -1).sum(1) for name, raster in rasters.items()}
    flat = of_arrays(graph, counted, "r")
    assert whole.steps == flat.steps == 5
    for name in rasters:
        assert np.array_equal(whole.messages[name], flat.messages[name])
        assert whole.shares[name].sum() == pytest.approx(1) and name not in flat.shares
    # The order of cores: position after position, channels side by side.
    assert whole.shares["input"][:2] * whole.total("input") == pytest.approx((rasters["input"][:, :, 0, 0] != 0).sum(0))
    assert of_arrays(graph, {n: r.reshape(5, -1) for n, r in rasters.items()}, "r").total("c") == whole.total("c")


def test_a_corner_sets_off_less_than_the_middle(graph: Graph) -> None:
    """Kernel 2 x 2, 4 channels out: a corner has 4 synapses, the middle 16; every neuron alike: 4 x 16 positions of 9."""
    for at, synapses in (((0, 0), 4.0), ((1, 1), 16.0)):
        raster = np.zeros((1, 2, 3, 3))
        raster[0, 0, at[0], at[1]] = 1
        recording = of_arrays(graph, {"input": raster, "c": np.zeros(1)}, "r")
        assert recording.synops_a_message(graph, "input") == synapses
    assert of_rates(graph, 0.5).synops_a_message(graph, "input") == pytest.approx(4 * 16 / 9)


def test_rates_are_messages_per_neuron_and_step(graph: Graph) -> None:
    recording = of_rates(graph, {"input": 0.5, "c": 0.25})
    assert recording.messages["input"].tolist() == [9.0] and recording.messages["c"].tolist() == [4.0]


def test_values_that_are_read_need_no_record() -> None:
    layers = (
        Layer(name="in", neuron=sd("delta")),
        Layer(name="out", neuron=sd("sigma"), synapse=linear(np.ones((2, 3), np.int64))),
    )
    graph = graph_of_network(layered((3,), *layers))
    assert of_arrays(graph, {"in": np.array([1, 0])}, "r").messages["out"].tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"input": [1.0], "d": [1.0]}, "r: layer 'd' is not in the network; it has input, c"),
        ({"c": [1.0]}, "r: no messages of 'input', which is what comes from outside; give messages of input, c"),
        ({"input": [1.0]}, "r: no messages of 'c'; give"),
        ({"input": [1.0], "c": [1.0, 2.0]}, "{'input': 1, 'c': 2} steps; every layer needs as many"),
        ({"input": [19.0], "c": [1.0]}, "layer 'input': 19 messages in a step of 18 neurons"),
        ({"input": [-1.0], "c": [1.0]}, "layer 'input': -1 messages"),
        ({"input": [float("nan")], "c": [1.0]}, "a value is not finite"),
        ({"input": [[1.0, 2.0]], "c": [1.0]}, "shape (1, 2); expected (steps,) or (steps, 2, 3, 3)"),
        ({"input": [], "c": []}, "expected numbers, one row a step"),
    ],
)
def test_other_layers_shapes_and_counts_are_refused(graph: Graph, arrays: Any, expected: str) -> None:
    with pytest.raises(UserError) as error:
        of_arrays(graph, {name: np.array(values) for name, values in arrays.items()}, "r")
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("rate", [-0.1, 1.1, float("nan"), float("inf")])
def test_rates_out_of_range_are_refused(graph: Graph, rate: float) -> None:
    with pytest.raises(UserError, match="a rate is from 0 to 1"):
        of_rates(graph, rate)
    with pytest.raises(UserError, match="no rate of .input., which is what comes from outside; give rate of input, c"):
        of_rates(graph, {"c": 0.1})


def test_a_layer_may_not_be_called_as_what_comes_from_outside() -> None:
    one = np.ones(2)
    neuron = LIF(name="input", du=one, dv=one, vth=one, bias=one)
    nodes = (Input(name="x", shape=(3,), spikes=True), Linear(name="w", weight=np.ones((2, 3))), neuron)
    with pytest.raises(UserError, match="a layer is called 'input'"):
        graph_of_network(chain(nodes))
