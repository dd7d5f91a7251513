"""A whole graph in one Lava process: the executor behind it, compiled once into one closure a node.

Written for speed and from the definitions in core/ir/graph, not from the reference, with which it must agree to the bit:
products run in float64 where the graph's bounds prove them exact, on the rows of active inputs alone where few are; windows of
a convolution are views of one padded buffer; decays use the sign and the magnitude in place. Shapes and units: core/ir/graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import limit
from spikeplan.core.ir.graph.base import Input, Node
from spikeplan.core.ir.graph.graph import Graph
from spikeplan.lava_procs.graph import fused_functions, fused_neurons, fused_synapses

Array = NDArray[Any]
COMPILERS: dict[type[Node], Callable[..., Callable[[], Array]]] = {
    **fused_synapses.COMPILERS,
    **fused_neurons.COMPILERS,
    **fused_functions.COMPILERS,
}


class Compiled:
    """A graph ready to run. `slots[name]`: what the node sent last; `state[name]`: its arrays, changed in place;
    `overflow[name]`: numbers that did not fit; `t`: steps done.

    >>> run = Compiled(graph)
    >>> run.step({"x": np.array([1, 2, 3])})["w"]
    """

    def __init__(self, graph: Graph) -> None:
        self.graph, self.t = graph, 0
        self.dtype: Any = np.int64 if graph.fixed else np.float64
        self.state: dict[str, dict[str, Array]] = {}
        self.overflow = dict.fromkeys((node.name for node in graph.nodes), 0)
        self.slots = {name: np.zeros(shape, self.dtype) for name, shape in graph.shapes.items()}
        self._rings: dict[str, list[Array]] = {}
        self._plan: list[tuple[str, Callable[[], Array]]] = []
        for edge in graph.edges:
            ring = self._rings.setdefault(edge.src, [])
            while len(ring) < edge.delay_steps:
                ring.append(np.zeros(graph.shapes[edge.src], self.dtype))
        for node in graph.nodes:
            if not isinstance(node, Input):
                self._plan.append((node.name, self._closure(node)))

    def step(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """One step of every node; returns the outputs. `given` has been checked (base.taken)."""
        for node in self.graph.inputs:
            x = given[node.name]
            self.slots[node.name] = (x != 0).astype(self.dtype) if node.spikes else x.astype(self.dtype)
        for name, compute in self._plan:
            self.slots[name] = compute()
        for name, ring in self._rings.items():
            if ring:
                ring.insert(0, self.slots[name])
                ring.pop()
        self.t += 1
        return {name: self.slots[name] for name in self.graph.outputs}

    def _source(self, src: str, delay: int) -> Callable[[], Array]:
        if delay:
            ring = self._rings[src]
            return lambda: ring[delay - 1]
        slots = self.slots
        return lambda: slots[src]

    def _closure(self, node: Node) -> Callable[[], Array]:
        edges = self.graph.into(node.name)
        reads = [self._source(edge.src, edge.delay_steps) for edge in edges]
        shapes = [self.graph.shapes[edge.src] for edge in edges]
        reach = [self.graph.bounds[edge.src] for edge in edges] if self.graph.fixed else []
        return COMPILERS[type(node)](self, node, reads, shapes, reach)

    def keep(self, node: Node, *names: str) -> list[Array]:
        """State arrays of a node, at rest."""
        shape = self.graph.shapes[node.name]
        self.state[node.name] = {name: np.zeros(shape, self.dtype) for name in names}
        return list(self.state[node.name].values())

    def count(self, name: str, changed: Array) -> None:
        self.overflow[name] += int(np.count_nonzero(changed))

    def clip(self, name: str, x: Array, bits: int) -> Array:
        top = limit(bits)
        if -top <= x.min(initial=0) and x.max(initial=0) <= top:
            return x
        self.count(name, np.abs(x) > top)
        return np.clip(x, -top, top)

    def turn(self, name: str, x: Array, bits: int) -> Array:
        """Two's complement."""
        half = 1 << (bits - 1)
        if -half <= x.min(initial=0) and x.max(initial=0) < half:
            return x
        turned = (x + half) % (2 * half) - half
        self.count(name, turned != x)
        return turned
