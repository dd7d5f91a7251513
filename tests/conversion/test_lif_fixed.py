"""LIF networks in the fixed point of a neurocore: scales that see weights, thresholds and biases, and what they cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikeplan.conversion.lif_fixed import quantise
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Graph, Input, Linear, chain


def test_quantisation_reports_what_it_costs() -> None:
    """A weight of 1/1000 of the largest is lost, a decay of 1/10000 becomes none, and the report says so."""
    network = make_network(weight=np.array([[1.0, 0.001]]), dv=1e-4)
    fixed, reports = quantise(network)
    r = reports["n1"]
    assert (r.lost_weights, r.dv_error, r.vth_lsb) == (1, 1.0, 254)
    synapse = fixed.node("n1.w")
    assert isinstance(synapse, Linear) and synapse.weight.tolist() == [[254, 0]]
    with pytest.raises(UserError, match="8 bits cannot hold both"):
        quantise(make_network(weight=np.array([[300.0, 0.0]])))
    with pytest.raises(UserError, match="every one rounds to 0; check --dt"):
        quantise(make_network(weight=np.array([[1e-6, 0.0]])))


@pytest.mark.parametrize("weight", [0.01, 0.0])
def test_the_scale_sees_the_bias(weight: float) -> None:
    """Weights to .01 and a bias of half a threshold: 254 LSB a weight would put the bias beyond 13 bits and an exponent."""
    fixed, reports = quantise(make_network(weight=np.array([[weight, -weight / 2]]), bias=0.5))
    neuron = fixed.node("n1")
    assert isinstance(neuron, LIF)
    held = (neuron.bias[0] << neuron.bias_exp) / 64 / neuron.vth[0]
    assert abs(held - 0.5) < 1e-3 and reports["n1"].bias_error < 1e-3


def make_network(*, weight: np.ndarray[Any, Any], dv: float = 0.1, bias: float = 0.0) -> Graph:
    neuron = LIF(name="n1", du=np.ones(1), dv=np.full(1, dv), vth=np.ones(1), bias=np.full(1, bias))
    return chain([Input(name="input", shape=(2,), spikes=True), Linear(name="n1.w", weight=weight), neuron])
