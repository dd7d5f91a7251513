"""Graphs as NIR files: what NIR can say, in its own units.

A step of the graph is `dt_s` seconds. Weights go out as they are: r and w_in are chosen so that their factors are 1. NIR has no
bias behind a neuron's weights, so a bias goes into the Affine or Conv before it. Delays of the graph are not written: NIR's
equations have none, and what `pipelined` put in is the chip's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.conversion.nir import sigma_delta
from spikeplan.conversion.nir.read import DT_S, need_nir
from spikeplan.conversion.nir.synapses import conv_out
from spikeplan.core.errors import UserError
from spikeplan.core.files import write_whole
from spikeplan.core.ir.graph import LIF, Concat, Conv, Graph, Input, Integrator, Linear, Node, Pool, Sum


def write_nir(graph: Graph, path: str | os.PathLike[str], *, dt_s: float = DT_S) -> Path:
    """Write a floating-point network, or a sigma-delta one, which is of integers (conversion/nir/sigma_delta.py).

    Raises UserError for other graphs of integers, for nodes that NIR has no word for, and for a file that cannot be written.

    >>> write_nir(read_nir("cells.nir"), "again.nir")
    """
    nir, target = need_nir(), Path(path)
    own = sigma_delta.is_sigma_delta(graph)
    if graph.fixed and not own:
        raise UserError(
            "NIR: a network of integers; floating-point networks are written, in NIR's units, and sigma-delta ones"
        )
    nodes, edges = sigma_delta.nodes_and_edges(nir, graph) if own else _in_nir_s_words(nir, graph, dt_s)
    for number, name in enumerate(graph.outputs):
        output = "output" if number == 0 else f"output{number}"
        if output in nodes:
            raise UserError(f"NIR: a node is called {output!r}, the name of an output; rename it")
        nodes[output] = nir.Output(output_type=np.array(graph.shapes[name]))
        edges.append((name, output))
    words = sigma_delta.words_of(graph) if own else {}
    made = nir.NIRGraph(nodes=nodes, edges=edges, type_check=False, metadata=words)
    try:
        write_whole(target, lambda temporary: nir.write(temporary, made))
    except OSError as error:
        raise UserError(f"{target}: cannot write there ({error}); choose a writable directory") from error
    return target


def _in_nir_s_words(nir: Any, graph: Graph, dt_s: float) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    into = _Offsets(graph)
    for node in graph.nodes:
        if isinstance(node, Sum):
            if node.exps and any(node.exps):
                raise node.refuse("NIR sums its inputs as they are; multiply the weights before it")
            continue  # edges that meet in a node are summed
        nodes[node.name] = _node(nir, graph, node, dt_s, into)
    for node in graph.nodes:
        if not isinstance(node, Sum):
            edges += [(src, node.name) for src in _sources(graph, node.name)]
    return nodes, edges


def _sources(graph: Graph, name: str) -> list[str]:
    """What feeds a node, sums looked through."""
    found: list[str] = []
    for edge in graph.into(name):
        found += _sources(graph, edge.src) if isinstance(graph.node(edge.src), Sum) else [edge.src]
    return found


class _Offsets:
    """Which synapse carries the bias of which neuron."""

    def __init__(self, graph: Graph) -> None:
        self.of: dict[str, Any] = {}
        for node in graph.nodes:
            if not isinstance(node, LIF | Integrator):
                continue
            offset = node.current_bias if isinstance(node, LIF) and (node.du < 1).any() else node.bias
            if isinstance(node, LIF) and (node.du < 1).any() and node.bias.any():
                raise node.refuse("NIR's CubaLIF has no bias behind its synaptic filter")
            if not offset.any():
                continue
            carrier = next(
                (src for src in _sources(graph, node.name) if isinstance(graph.node(src), Linear | Conv)), None
            )
            readers = [] if carrier is None else [edge.dst for edge in graph.out_of(carrier)]
            if carrier is None or len(readers) != 1 or carrier in self.of:
                raise node.refuse("its bias needs a Linear or Conv of its own before it, which carries it in NIR")
            self.of[carrier] = np.broadcast_to(offset, graph.shapes[node.name])


def _node(nir: Any, graph: Graph, node: Node, dt_s: float, offsets: _Offsets) -> Any:
    shape = graph.shapes[node.name]
    before = graph.shapes[graph.into(node.name)[0].src] if graph.into(node.name) else ()
    if isinstance(node, Input):
        return nir.Input(input_type=np.array(shape))
    if isinstance(node, Linear):
        bias = offsets.of.get(node.name)
        return nir.Linear(weight=node.weight) if bias is None else nir.Affine(weight=node.weight, bias=bias.copy())
    if isinstance(node, Conv):
        bias = offsets.of.get(node.name, np.zeros(shape))
        if (bias != bias[:, :1, :1]).any():
            raise node.refuse("NIR's Conv2d has one bias a channel")
        return conv_out(nir, node, before, bias[:, 0, 0].copy())
    if isinstance(node, Pool) and node.kind == "sum" and not node.weight_exp:
        kernel, stride, padding = (np.array(getattr(node, name)) for name in ("kernel", "stride", "padding"))
        return nir.SumPool2d(kernel_size=kernel, stride=stride, padding=padding)
    if isinstance(node, Concat) and len(graph.into(node.name)) == 1:
        return nir.Flatten(input_type={"input": np.array(before)}, start_dim=0, end_dim=-1)
    if isinstance(node, LIF):
        return _lif(nir, node, shape, dt_s)
    if isinstance(node, Integrator):
        if not node.dv.any():
            return nir.I(r=np.full(shape, 1 / dt_s))
        dv = _all(node, "dv", shape)
        if (dv <= 0).any():
            raise node.refuse("some of its neurons leak and some do not; NIR has a node for either")
        return nir.LI(tau=dt_s / dv, r=1 / dv, v_leak=np.zeros(shape))
    raise node.refuse("NIR has no such node; leave it out, or save the graph in our own format")


def _all(node: Node, key: str, shape: Any) -> Any:
    return np.broadcast_to(getattr(node, key), shape).astype(np.float64).copy()


def _lif(nir: Any, node: LIF, shape: Any, dt_s: float) -> Any:
    if node.reset != "zero":
        raise node.refuse("NIR knows no reset by subtraction; the file would say another network")
    same = {"v_threshold": _all(node, "vth", shape), "v_reset": _all(node, "v_reset", shape)}
    dv, du = _all(node, "dv", shape), _all(node, "du", shape)
    if not dv.any() and (du == 1).all():
        return nir.IF(r=np.full(shape, 1 / dt_s), **same)
    if (dv <= 0).any() or (du <= 0).any():
        raise node.refuse("neurons without a leak have no time constant in NIR's LIF")
    leak = {"v_leak": np.zeros(shape), "r": 1 / dv}
    if (du == 1).all():
        return nir.LIF(tau=dt_s / dv, **leak, **same)
    return nir.CubaLIF(tau_mem=dt_s / dv, tau_syn=dt_s / du, w_in=1 / du, **leak, **same)
