"""Chains of layers as tests write them: a synapse and a neuron each, one step of delay, as netx files have them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeplan.core.ir.graph import LIF, Conv, Delta, Graph, Input, Linear, Node, Readout, Shape, SigmaDelta, chain

Array = np.ndarray[Any, Any]


def linear(weight: Array, **more: Any) -> Linear:
    return Linear(name="w", weight=weight, **more)


def convolution(weight: Array, **more: Any) -> Conv:
    return Conv(name="w", weight=weight, **more)


@dataclass(frozen=True, kw_only=True)
class Layer:
    """`neuron`: delta, sigma_delta, sigma (with vth, bias and exponents as netx has them) or lif (with its arrays)."""

    name: str
    neuron: dict[str, Any]
    synapse: Linear | Conv | None = None


def sd(kind: str, *, vth: int = 0, bias: Array | None = None, spike_exp: int = 6, state_exp: int = 6) -> dict[str, Any]:
    return {"kind": kind, "vth": vth, "bias": bias, "spike_exp": spike_exp, "state_exp": state_exp}


def cells(du: Array, dv: Array, vth: Array, bias: Array, bias_exp: int = 0) -> dict[str, Any]:
    return {"kind": "lif", "du": du, "dv": dv, "vth": vth, "bias": bias, "bias_exp": bias_exp}


def _neuron(name: str, given: dict[str, Any], residue: str) -> Node:
    kind = given["kind"]
    if kind == "lif":
        return LIF(name=name, **{key: value for key, value in given.items() if key != "kind"})
    lost = residue == "lost"
    if kind == "sigma":
        return Readout(name=name, bias=np.zeros(1, np.int64), wrap=lost)
    exp = given["spike_exp"] + given["state_exp"]
    sending: dict[str, Any] = {
        "threshold_lsb": given["vth"] << exp,
        "shift": given["state_exp"],
        "message_bits": 0 if lost else 16,
        "residue": residue,
    }
    if kind == "delta":
        return Delta(name=name, input_exp=exp, **sending)
    bias = np.zeros(1, np.int64) if given["bias"] is None else given["bias"].astype(np.int64) << exp
    return SigmaDelta(name=name, bias=bias, target_bits=24, **sending)


def layered(input_shape: Shape, *layers: Layer, spikes: bool = False, residue: str = "owed") -> Graph:
    """Synapses are called NAME.w, the input "input"."""
    nodes: list[Node] = [Input(name="input", shape=input_shape, spikes=spikes, bits=32)]
    for layer in layers:
        if layer.synapse is not None:
            whole = layer.synapse.weight.dtype.kind in "iu"
            wrap = 24 if isinstance(layer.synapse, Conv) else 32
            bits = wrap if whole and residue == "lost" else None
            nodes.append(replace(layer.synapse, name=f"{layer.name}.w", wrap_bits=bits))
        nodes.append(_neuron(layer.name, layer.neuron, residue))
    return chain(nodes, delay_steps=1)
