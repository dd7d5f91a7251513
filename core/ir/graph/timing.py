"""Delays of a graph: when an input has its effect, and what a chip's delays make of a network."""

from __future__ import annotations

from dataclasses import replace

from spikeplan.core.ir.graph.base import Input
from spikeplan.core.ir.graph.graph import MAX_DELAY, MAX_NODES, Graph
from spikeplan.core.ir.graph.neurons import LIF, Integrator, SigmaDelta
from spikeplan.core.ir.graph.synapses import Conv, Linear, Pool


def depths(graph: Graph) -> dict[str, int]:
    """Steps until an input first has an effect on each node: the way with the fewest delays."""
    found = {node.name: 0 if isinstance(node, Input) else MAX_DELAY * MAX_NODES for node in graph.nodes}
    moved = True
    while moved:
        moved = False
        for edge in graph.edges:
            if (after := found[edge.src] + edge.delay_steps) < found[edge.dst]:
                found[edge.dst], moved = after, True
    return found


def pipelined(graph: Graph) -> Graph:
    """The same network on a chip, where a message takes a step into synapses: outputs come later and are the same.

    Every node is put off by the fewest steps that give each edge into synapses a delay (retiming, Leiserson and Saxe 1991);
    biases of LIF, integrator and sigma-delta neurons begin as much later. Raises UserError for a loop with too few delays:
    there a step of the network is several of the chip.
    """
    late = {node.name: 0 for node in graph.nodes}
    least = {node.name: int(isinstance(node, Linear | Conv | Pool)) for node in graph.nodes}
    moved = ""
    for _ in range(len(graph.nodes) + 1):
        moved = ""
        for node in graph.nodes:
            for edge in graph.into(node.name):
                if (after := late[edge.src] + least[node.name] - edge.delay_steps) > late[node.name]:
                    late[node.name], moved = after, node.name
        if not moved:
            break
    else:
        raise graph.node(moved).refuse(
            "lies on a loop with fewer steps of delay than synapses; run it unpipelined, or delay the loop more"
        )
    edges = [replace(e, delay_steps=e.delay_steps + late[e.dst] - late[e.src]) for e in graph.edges]
    nodes = [
        replace(node, bias_start=node.bias_start + late[node.name])
        if isinstance(node, LIF | Integrator | SigmaDelta)
        else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes), edges=tuple(edges))


def from_first_input(graph: Graph) -> Graph:
    """The same network with every bias beginning when an input first reaches its neurons, as after a reset layer by layer.

    >>> from_first_input(read_netx("network.net")[0]).node("1-conv").bias_start
    1
    """
    reached = depths(graph)
    nodes = [
        replace(node, bias_start=reached[node.name]) if isinstance(node, LIF | Integrator | SigmaDelta) else node
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes))
