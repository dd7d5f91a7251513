"""A network graph as Lava's own processes, what lava-dl's netx builds: Dense, Conv, LIF, Delta, SigmaDelta, Sigma.

They are what our arithmetic is held to where both can say the same: every synapse with one step of delay, sigma-delta neurons
with residue "lost", LIF that resets to zero. Lava's arrays are (W, H, C), its
convolution is one, ours a correlation. One input only: nothing ties several sources.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph import LIF, Conv, Delta, Graph, Input, Linear, Node, Readout, Shape, SigmaDelta, Sum

STATE_EXP = 6
MESSAGE_BITS = 24  # any number > 0 makes Dense and Conv take values, 0 spikes


def build_stock(graph: Graph, ports: dict[str, Any]) -> dict[str, Any]:
    """Adds to `ports`, {Input name: port of a source in Lava's order}, the port of every neuron; returns those of the neurons.

    Raises UserError that names a node which no process of Lava's computes.
    """
    entries: dict[str, Any] = {}
    sums = [node for node in graph.nodes if isinstance(node, Sum)]
    for node in graph.nodes:
        if not isinstance(node, Input | Sum):
            entries[node.name], ports[node.name] = _process(graph, node)
    for node in sums:  # what meets in a sum is summed by the port that takes it
        if any(node.exps) or node.bits is not None:
            raise node.refuse("Lava's ports add without a shift and without a limit")
    for edge in graph.edges:
        dst = graph.node(edge.dst)
        if isinstance(dst, Sum):
            continue
        wanted = int(isinstance(dst, Linear | Conv))
        if edge.delay_steps != wanted:
            raise dst.refuse(f"an edge of {edge.delay_steps} steps into it; Lava's own processes have {wanted}")
        for src in _summed(graph, edge.src):
            out = ports[src]
            if isinstance(dst, Linear) and len(graph.shapes[src]) == 3:
                out = out.transpose([2, 1, 0]).flatten()
            out.connect(entries[edge.dst])
    return {node.name: ports[node.name] for node in graph.nodes if node.stateful}


def _summed(graph: Graph, name: str) -> list[str]:
    """The nodes whose sum a node reads."""
    if not isinstance(graph.node(name), Sum):
        return [name]
    return [src for edge in graph.into(name) for src in _summed(graph, edge.src)]


def _process(graph: Graph, node: Node) -> tuple[Any, Any]:
    """The ways in and out of its process."""
    before = graph.shapes[graph.into(node.name)[0].src]
    bits = MESSAGE_BITS if _values(graph, graph.into(node.name)[0].src) else 0
    if isinstance(node, Linear):
        made = _dense(node, bits)
    elif isinstance(node, Conv):
        made = _conv(node, before, bits)
    else:
        made = _neurons(node, graph.shapes[node.name][::-1], fixed=graph.fixed)
    if isinstance(node, Linear | Conv):
        return made.s_in, made.a_out
    return made.a_in, made.s_out


def _values(graph: Graph, name: str) -> bool:
    """Whether a node sends values and not spikes."""
    source = graph.node(name)
    return not (isinstance(source, LIF) or (isinstance(source, Input) and source.spikes))


def _dense(node: Linear, bits: int) -> Any:
    from lava.proc.dense.process import Dense

    mixed = node.weight.min() < 0 < node.weight.max()
    return Dense(  # 8 bits and a sign: Lava then truncates nothing, which is the readers' business
        weights=node.weight,
        weight_exp=node.weight_exp,
        num_weight_bits=8 + int(mixed),
        num_message_bits=bits,
        name=node.name,
    )


def _conv(node: Conv, before: Shape, bits: int) -> Any:
    from lava.proc.conv.process import Conv as Stock

    if node.weight_exp:
        raise node.refuse("Lava's Conv has no weight_exp")
    flipped = node.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
    return Stock(
        weight=np.ascontiguousarray(flipped),
        input_shape=before[::-1],
        padding=node.padding[::-1],
        stride=node.stride[::-1],
        dilation=node.dilation[::-1],
        groups=node.groups,
        num_message_bits=bits,
        name=node.name,
    )


def _neurons(node: Node, shape: Shape, *, fixed: bool) -> Any:
    if isinstance(node, LIF):
        return _lif(node, shape, fixed=fixed)
    from lava.proc.sdn.process import Delta as StockDelta
    from lava.proc.sdn.process import Sigma
    from lava.proc.sdn.process import SigmaDelta as StockSigmaDelta

    if isinstance(node, Readout) and node.wrap and not node.shift and not node.bias.any():
        return Sigma(shape=shape)
    if isinstance(node, Delta | SigmaDelta) and node.residue == "lost" and node.shift <= 7:
        exp = node.shift if not isinstance(node, Delta) else node.input_exp - node.shift
        scale = node.shift + exp
        if exp < 0:
            raise node.refuse("Lava's coder shifts its input by as many bits as its messages lose, or more")
        if node.threshold_lsb & ((1 << scale) - 1):
            raise node.refuse(f"Lava's threshold is shifted by {scale} bits; this one has a fraction")
        exps = {"vth": node.threshold_lsb >> scale, "spike_exp": exp, "state_exp": node.shift}
        if isinstance(node, Delta):
            return StockDelta(shape=shape, **exps)
        bias = np.broadcast_to(node.bias, shape[::-1]).transpose() >> scale
        return StockSigmaDelta(shape=shape, bias=np.ascontiguousarray(bias.astype(np.int32)), **exps)
    raise node.refuse("no process of Lava's computes it; sigma-delta needs residue 'lost'")


def _lif(node: LIF, shape: Shape, *, fixed: bool) -> Any:
    from lava.proc.lif.process import LIF as Stock

    if node.reset != "zero" or node.v_reset.any() or node.current_bias.any() or node.bias_start:
        raise node.refuse("lava.proc.lif resets to zero, and its bias acts on v from the first step on")
    if any(array.size > 1 and len(np.unique(array)) > 1 for array in (node.du, node.dv, node.vth)):
        raise node.refuse("lava.proc.lif takes one du, dv and vth for all neurons; use form 'readable'")
    exp = {"bias_exp": node.bias_exp} if fixed else {}
    du, dv, vth = (array.flat[0].item() for array in (node.du, node.dv, node.vth))
    bias: NDArray[Any] = np.broadcast_to(node.bias, shape[::-1]).transpose().copy()
    return Stock(shape=shape, du=du, dv=dv, vth=vth, bias_mant=bias, name=node.name, **exp)
