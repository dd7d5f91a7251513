"""Writes a sigma-delta or LIF network as a netx file, which lava-dl's hdf5.Network and read.py read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.conversion.netx.fields import need_h5py
from spikeplan.conversion.netx.read import EXP
from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.ir.graph import LIF, Conv, Delta, Graph, Linear, Node, Readout, Shape, SigmaDelta


def write_netx(graph: Graph, path: str | os.PathLike[str]) -> Path:
    """A file that lava-dl's hdf5.Network reads, of a chain of Linear or Conv and neurons.

    Dense weights go out as what they multiply by; where that is no integer (a weight that netx changed on the way in), the
    network has no exact file and is refused. Raises UserError that names a node which netx cannot say.

    >>> write_netx(read_netx("network.net")[0], "again.net")
    """
    h5py, target = need_h5py(), Path(path)
    entries = _entries(graph)

    def fill(temporary: Path) -> None:
        with h5py.File(temporary, "w") as file:
            for number, entry in enumerate(entries):
                group = file.create_group(f"layer/{number}")
                for key, value in entry.items():
                    group[key] = value

    try:
        write_whole(target, fill)
    except OSError as error:
        raise UserError(f"{target}: cannot write there ({error}); choose a writable directory") from error
    return target


def _entries(graph: Graph) -> list[dict[str, Any]]:
    (source,) = graph.inputs if len(graph.inputs) == 1 else _refuse(graph.nodes[0], "netx networks have one input")
    entries: list[dict[str, Any]] = []
    before, last = source.shape, source.name
    synapse: Linear | Conv | None = None
    while edges := graph.out_of(last):
        if len(edges) > 1:
            _refuse(graph.node(last), "netx networks are chains; it feeds several nodes")
        node = graph.node(edges[0].dst)
        shape = graph.shapes[node.name]
        if isinstance(node, Linear | Conv):
            if synapse is not None or edges[0].delay_steps != 1:
                _refuse(node, "netx has a neuron behind every synapse, and one step of delay before it")
            if isinstance(node, Linear) and len(before) == 3:
                entries.append({"type": [b"flatten"], "shape": (int(np.prod(before)), 1, 1)})
            synapse = node
        else:
            if synapse is None and not entries and not isinstance(node, Delta | LIF):
                _refuse(node, "a netx input layer is a delta coder or LIF")
            entries.append(_neuron(node, shape) | _synapse(synapse))
            synapse = None
        before, last = shape, node.name
    if len(graph.nodes) > 1 and entries and entries[0]["type"] != [b"input"]:
        entries.insert(0, {"type": [b"input"], "shape": source.shape})
    return entries


def _refuse(node: Node, what: str) -> Any:
    raise node.refuse(what)


def _synapse(synapse: Linear | Conv | None) -> dict[str, Any]:
    if synapse is None:
        return {"type": [b"input"]}
    if isinstance(synapse, Linear):
        weight = synapse.weight * 2.0**synapse.weight_exp
        if (weight != np.trunc(weight)).any():
            raise synapse.refuse(f"weights of fractions (weight_exp {synapse.weight_exp})")
        return {"type": [b"dense"], "weight": weight}
    if synapse.weight_exp:
        raise synapse.refuse("netx knows no weight_exp of a convolution")
    found: dict[str, Any] = {"type": [b"conv"], "weight": synapse.weight.astype(float), "groups": synapse.groups}
    return found | {"stride": synapse.stride, "padding": synapse.padding, "dilation": synapse.dilation}


def _neuron(node: Node, shape: Shape) -> dict[str, Any]:
    entry: dict[str, Any] = {"shape": shape}
    if isinstance(node, LIF):
        for name in ("du", "dv", "vth"):
            if getattr(node, name).size > 1:
                raise node.refuse(f"netx has one {name} for all neurons of a layer")
        if node.bias_exp != EXP // 2 or node.reset != "zero" or node.v_reset.any() or node.current_bias.any():
            raise node.refuse("netx knows bias_exp 6 and a reset to zero only, and no bias of the current")
        entry |= {"neuron/type": b"CUBA", "neuron/iDecay": int(node.du[0]) + 1, "neuron/vDecay": int(node.dv[0])}
        entry["neuron/vThMant"] = int(node.vth[0])
        bias = node.bias
    elif isinstance(node, Readout):
        if node.shift or node.bias.any():
            raise node.refuse("netx's sigma_output has neither bias nor shift")
        return entry | {"neuron/type": b"SDNN", "neuron/vThMant": 0, "neuron/sigma_output": True}
    elif isinstance(node, Delta | SigmaDelta):
        low = (1 << EXP) - 1
        if node.shift != EXP // 2 or node.threshold_lsb & low or (isinstance(node, Delta) and node.input_exp != EXP):
            raise node.refuse("netx files know spike_exp 6 and state_exp 6 only")
        entry |= {"neuron/type": b"SDNN", "neuron/vThMant": node.threshold_lsb >> EXP}
        bias = node.bias >> EXP if isinstance(node, SigmaDelta) else np.zeros(1, np.int64)
        if isinstance(node, SigmaDelta) and ((bias << EXP) != node.bias).any():
            raise node.refuse("netx files know spike_exp 6 and state_exp 6 only; its bias has a fraction")
    else:
        raise node.refuse("netx has no such neuron")
    if bias.any():
        entry["bias"] = np.broadcast_to(bias, shape).transpose()  # a value a neuron, which netx reads in Lava's order
    return entry
