"""The graph of a NIR file as plain nodes and edges: subgraphs opened, every loop given its step of delay.

A subgraph is replaced by its nodes, named `SUBGRAPH.NODE`. NIR's equations have no delays, and a loop of theirs is a state of
the source's next step: the spikes of a neuron come back one step later. The edge that is delayed is the one out of the neuron
that lies furthest from the input.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from spikeplan.core.errors import UserError

MAX_DEPTH = 20  # of subgraphs within each other


@dataclass
class Wiring:
    """nodes by name; edges (src, dst); `late`: edges with a step of delay."""

    nodes: dict[str, Any]
    edges: list[tuple[str, str]]
    late: set[tuple[str, str]] = field(default_factory=set)

    def into(self, name: str) -> list[str]:
        return [src for src, dst in self.edges if dst == name]


def wiring_of(nir: Any, graph: Any) -> Wiring:
    """Raises UserError for a loop without a neuron and for nodes that no input reaches."""
    nodes, edges = _opened(nir, graph, "", 0)
    wiring = _without_passes(nodes, edges)
    _delay_loops(nir, wiring)
    reached = {name for name, node in wiring.nodes.items() if isinstance(node, nir.Input)}
    if not reached:
        raise UserError("no Input node; expected at least one")
    grown = True
    while grown:
        more = {dst for src, dst in wiring.edges if src in reached} - reached
        grown = bool(more)
        reached |= more
    if left := [name for name in wiring.nodes if name not in reached]:
        raise UserError(f"node '{left[0]}' is not reached from an Input; connect or remove it")
    if not any(isinstance(node, nir.Output) for node in wiring.nodes.values()):
        raise UserError("no Output node; connect what leaves the network to one")
    return wiring


class Pass:
    """Stands for an Input or Output of a subgraph."""


def _opened(nir: Any, graph: Any, prefix: str, depth: int) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    if depth > MAX_DEPTH:
        raise UserError(f"subgraphs lie more than {MAX_DEPTH} deep; flatten the network")
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for name, node in graph.nodes.items():
        full = prefix + name
        if not isinstance(node, nir.NIRGraph):
            nodes[full] = Pass() if prefix and isinstance(node, nir.Input | nir.Output) else node
            first[name] = last[name] = full
            continue
        inner_nodes, inner_edges = _opened(nir, node, f"{full}.", depth + 1)
        for ends, kind, word in ((first, nir.Input, "Input"), (last, nir.Output, "Output")):
            found = [f"{full}.{inner}" for inner, one in node.nodes.items() if isinstance(one, kind)]
            if len(found) != 1:
                raise UserError(f"subgraph '{full}' has {len(found)} {word} nodes, expected one")
            ends[name] = found[0]
        nodes |= inner_nodes
        edges += inner_edges
    for src, dst in dict.fromkeys(graph.edges):
        if src not in last or dst not in first:
            raise UserError(f"edge {src} -> {dst}: node {src if src not in last else dst!r} does not exist")
        edges.append((last[src], first[dst]))
    return nodes, edges


def _without_passes(nodes: dict[str, Any], edges: list[tuple[str, str]]) -> Wiring:
    for name in [name for name, node in nodes.items() if isinstance(node, Pass)]:
        before = [src for src, dst in edges if dst == name and src != name]
        after = [dst for src, dst in edges if src == name and dst != name]
        edges = [edge for edge in edges if name not in edge] + [(src, dst) for src in before for dst in after]
    kept = {name: node for name, node in nodes.items() if not isinstance(node, Pass)}
    return Wiring(nodes=kept, edges=list(dict.fromkeys(edges)))


def neurons(nir: Any) -> tuple[type, ...]:
    return (nir.LIF, nir.IF, nir.CubaLIF, nir.LI, nir.CubaLI, nir.I, nir.Threshold)


def _delay_loops(nir: Any, wiring: Wiring) -> None:
    depth = _depths(nir, wiring)
    while cycle := _cycle(wiring):
        leaving = [edge for edge in cycle if isinstance(wiring.nodes[edge[0]], neurons(nir))]
        if not leaving:
            raise UserError(f"node '{cycle[0][0]}' lies on a loop without a neuron; nothing would delay it")
        wiring.late.add(max(leaving, key=lambda edge: depth[edge[0]]))


def _depths(nir: Any, wiring: Wiring) -> dict[str, int]:
    """Edges on the shortest way from an input."""
    found = {name: 0 for name, node in wiring.nodes.items() if isinstance(node, nir.Input)}
    edge_of = defaultdict(list)
    for src, dst in wiring.edges:
        edge_of[src].append(dst)
    front = list(found)
    while front:
        name = front.pop(0)
        for after in edge_of[name]:
            if after not in found:
                found[after] = found[name] + 1
                front.append(after)
    return defaultdict(int, found)


def _cycle(wiring: Wiring) -> list[tuple[str, str]]:
    """Edges of one loop that has no delay yet; [] where there is none. Iterative: files may hold long chains."""
    after = defaultdict(list)
    for src, dst in wiring.edges:
        if (src, dst) not in wiring.late:
            after[src].append(dst)
    done: set[str] = set()
    for start in wiring.nodes:
        path, on_path, stack = [start], {start}, [iter(after[start])]
        while stack:
            following = next(stack[-1], None)
            if following is None:
                stack.pop()
                on_path.discard(path[-1])
                done.add(path.pop())
            elif following in on_path:
                loop = [*path[path.index(following) :], following]
                return list(pairwise(loop))
            elif following not in done:
                path.append(following)
                on_path.add(following)
                stack.append(iter(after[following]))
    return []
