"""A network as a graph of nodes and edges: one format for sigma-delta, LIF and whatever else runs here.

A step computes every node once. An edge hands on what its source sends in the same step, or `delay_steps` steps later (zeros
until then); a cycle needs a delay. On a chip a message arrives in the step after it was sent, so `pipelined` gives every
edge into synapses a step of delay, and as many steps to whatever it meets on a shorter way.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush
from itertools import pairwise
from typing import Any, TypeVar

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph.base import MAX_PORTS, Input, Node, Shape
from spikeplan.core.ir.graph.functions import Sum
from spikeplan.core.ir.graph.synapses import Conv, Linear, Pool

T = TypeVar("T")
MAX_NODES = 5000
MAX_DELAY = 4096
EXACT = 1 << 53  # float64 holds every integer up to here
WIDEST = 1 << 62


@dataclass(frozen=True, kw_only=True)
class Edge:
    """From what `src` sends to input number `port` of `dst`."""

    src: str
    dst: str
    port: int = 0
    delay_steps: int = 0

    def __post_init__(self) -> None:
        for name, top in (("port", MAX_PORTS - 1), ("delay_steps", MAX_DELAY)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= top:
                raise UserError(f"edge {self.src}->{self.dst}: {name} {value!r:.40} must be an integer from 0 to {top}")


@dataclass(frozen=True, kw_only=True)
class Graph:
    """Nodes in any order; they are stored in order of computation. Checked when it is made: shapes, cycles, widths.

    Args:
        nodes: with unique names; at least one Input.
        edges: one into every port of every node but inputs.
        outputs: names of the nodes whose values leave the network.
        scales: real value of one LSB of an input or output, by name.
        provenance: words for the file's header.

    Raises UserError that names the node: inputs that do not fit, a cycle without delay, sums beyond 64 bits.

    >>> graph = chain([Input(name="x", shape=(3,)), Linear(name="w", weight=np.eye(3, dtype=int))])
    >>> graph.shapes["w"]
    (3,)
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    outputs: tuple[str, ...]
    scales: Mapping[str, float] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("edges", "outputs"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        names = Counter(node.name for node in self.nodes)
        twice = [name for name, number in names.items() if number > 1]
        if not names or twice or len(names) > MAX_NODES:
            raise UserError(
                f"network: node '{twice[0]}' is there twice; rename one"
                if twice
                else f"network: {len(names)} nodes; expected 1 to {MAX_NODES}"
            )
        for edge in self.edges:
            for end in (edge.src, edge.dst):
                if end not in names:
                    raise UserError(f"edge {edge.src}->{edge.dst}: node {end!r} does not exist")
        unknown = [name for name in self.outputs if name not in names]
        if unknown or not self.outputs:
            raise UserError(
                f"network: output {unknown[0]!r} does not exist" if unknown else "network: no output is named"
            )
        if not self.inputs:
            raise UserError("network: no Input node; there is nothing to run")
        self._check_ports()
        object.__setattr__(self, "nodes", self._in_order())
        _ = self.shapes
        if self.fixed:
            _ = self.bounds
        else:
            for node in self.nodes:
                if not node.real or (node.fixed and any(True for _ in node.arrays())):
                    raise node.refuse(
                        "integers among nodes of real numbers; quantise the whole network, or nothing of it"
                    )

    def _check_ports(self) -> None:
        for node in self.nodes:
            ports = sorted(edge.port for edge in self.into(node.name))
            wanted = list(range(len(ports) if node.ports is None else node.ports))
            if ports != wanted or (node.ports is None and not 1 <= len(ports) <= MAX_PORTS):
                need = f"1 to {MAX_PORTS}" if node.ports is None else str(node.ports)
                raise node.refuse(f"edges reach ports {ports}; expected {need}, one each, from 0 on")

    def _in_order(self) -> tuple[Node, ...]:
        """Each node after what it reads in the same step; where several could follow, the one that was given first."""
        place = {node.name: i for i, node in enumerate(self.nodes)}
        waits = {node.name: sum(edge.delay_steps == 0 for edge in self.into(node.name)) for node in self.nodes}
        ready = [place[name] for name, number in waits.items() if not number]
        order: list[Node] = []
        while ready:
            node = self.nodes[heappop(ready)]
            order.append(node)
            for edge in self.out_of(node.name):
                if edge.delay_steps == 0:
                    waits[edge.dst] -= 1
                    if not waits[edge.dst]:
                        heappush(ready, place[edge.dst])
        if len(order) < len(self.nodes):
            stuck = next(node for node in self.nodes if waits[node.name])
            raise stuck.refuse("lies on a cycle whose edges have no delay; give one of them delay_steps=1")
        return tuple(order)

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _into(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            found[edge.dst].append(edge)
        return {name: sorted(edges, key=lambda edge: edge.port) for name, edges in found.items()}

    @cached_property
    def _out_of(self) -> dict[str, list[Edge]]:
        found: dict[str, list[Edge]] = defaultdict(list)
        for edge in self.edges:
            found[edge.src].append(edge)
        return dict(found)

    def node(self, name: str) -> Node:
        return self._by_name[name]

    def into(self, name: str) -> list[Edge]:
        """Edges into a node, in the order of its ports."""
        return self._into.get(name, [])

    def out_of(self, name: str) -> list[Edge]:
        return self._out_of.get(name, [])

    @property
    def inputs(self) -> tuple[Input, ...]:
        return tuple(node for node in self.nodes if isinstance(node, Input))

    @property
    def source(self) -> Input:
        """The input of a network that has one. Raises UserError for several."""
        if len(self.inputs) != 1:
            raise UserError(f"network: {len(self.inputs)} inputs where one is expected; name what each of them takes")
        return self.inputs[0]

    @property
    def layers(self) -> tuple[Node, ...]:
        """Nodes that keep a state, in order of computation: neurons and recurrences."""
        return tuple(node for node in self.nodes if node.stateful)

    @property
    def fixed(self) -> bool:
        """Runs in integers: no array holds real numbers."""
        return all(node.fixed for node in self.nodes)

    def _walked(
        self, found: dict[str, T], make: Callable[[Node, list[T | None]], T | None], stuck: str
    ) -> dict[str, T]:
        """A value a node, made of those that feed it; a delayed edge may come from a node further on, whose value then
        is None and which is asked again later. Raises UserError, with `stuck`, for a loop that nothing begins."""
        left = [node for node in self.nodes if node.name not in found]
        while left:
            later = []
            for node in left:
                value = make(node, [found.get(edge.src) for edge in self.into(node.name)])
                if value is None:
                    later.append(node)
                else:
                    found[node.name] = value
            if len(later) == len(left):
                raise left[0].refuse(stuck)
            left = later
        return found

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Of what every node sends."""

        def make(node: Node, before: list[Shape | None]) -> Shape | None:
            known = [shape for shape in before if shape is not None]
            if len(known) == len(before):
                return node.shape_after(tuple(known))
            return known[0] if isinstance(node, Sum) and known else None  # one shape, which is checked at the end

        stuck = "its shape depends on itself; feed the loop through a sum with an input from outside"
        found = self._walked({}, make, stuck)
        for node in self.nodes:
            node.shape_after(tuple(found[edge.src] for edge in self.into(node.name)))
        return found

    @cached_property
    def bounds(self) -> dict[str, int]:
        """Largest magnitude that each node can send, whatever comes in. Integers only."""

        def make(node: Node, before: list[int | None]) -> int | None:
            known = [bound for bound in before if bound is not None]
            return node.bound(tuple(known)) if len(known) == len(before) else None

        limits = {node.name: node.limit for node in self.nodes if node.limit is not None}
        stuck = "lies on a cycle in which nothing saturates; put a neuron or a Sum with bits into it"
        found = self._walked(limits, make, stuck)
        for node in self.nodes:
            sources = [edge.src for edge in self.into(node.name)]
            widest = node.widest(tuple(found[src] for src in sources), tuple(self.shapes[src] for src in sources))
            if widest >= WIDEST:
                raise node.refuse(f"numbers up to {widest:.3g} leave 64 bits; lower weights, exponents or gains")
        return found

    @property
    def neurons(self) -> int:
        """Outputs of all nodes that keep a state."""
        return sum(_size(self.shapes[node.name]) for node in self.nodes if node.stateful)

    @property
    def synapses(self) -> int:
        """Weights that are stored."""
        return sum(node.stored for node in self.nodes if isinstance(node, Linear | Conv))


def _size(shape: Shape) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def chain(nodes: tuple[Node, ...] | list[Node], *, delay_steps: int = 0, **more: Any) -> Graph:
    """Nodes one after the other; the last one is the output. `delay_steps`: of every edge into synapses."""
    edges = [
        Edge(src=a.name, dst=b.name, delay_steps=delay_steps if isinstance(b, Linear | Conv | Pool) else 0)
        for a, b in pairwise(nodes)
    ]
    return Graph(nodes=tuple(nodes), edges=tuple(edges), outputs=(nodes[-1].name,), **more)
