"""Drawn network graphs: every kind of node, wired at random, with delays and loops. What a backend must run to the bit.

`drawn(seed)` is one graph; the tests draw the same with a property-based tool, which then looks for the smallest that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spikeplan.core.ir.graph import (
    LIF,
    Concat,
    Conv,
    Delta,
    Edge,
    GatedRecurrence,
    Graph,
    Input,
    Integrator,
    Linear,
    Node,
    Pool,
    Product,
    Readout,
    RMSNorm,
    Select,
    SigmaDelta,
    Sum,
    Table,
)
from spikeplan.core.ir.graph.synapses import WEIGHT_BITS, weight_range

Array = np.ndarray[Any, Any]


class Drawn:
    """Grows a graph node by node. `pick` takes one of a sequence, `rng` draws the numbers of arrays."""

    def __init__(self, pick: Callable[[Sequence[Any]], Any], rng: np.random.Generator) -> None:
        self.pick, self.rng = pick, rng
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.shape: dict[str, tuple[int, ...]] = {}

    def one_of(self, options: Any) -> Any:
        return self.pick(list(options))

    def below(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def array(self, shape: tuple[int, ...], low: int, high: int) -> Array:
        return self.rng.integers(low, high + 1, shape)

    def name(self) -> str:
        return f"n{len(self.nodes)}"

    def add(self, node: Node, *sources: str, delays: tuple[int, ...] | None = None) -> str:
        steps = delays or tuple(self.below(0, 2) for _ in sources)
        self.nodes.append(node)
        self.edges += [
            Edge(src=src, dst=node.name, port=port, delay_steps=d)
            for port, (src, d) in enumerate(zip(sources, steps, strict=True))
        ]
        self.shape[node.name] = node.shape_after(tuple(self.shape[src] for src in sources))
        return node.name

    def weights(self, shape: tuple[int, ...]) -> dict[str, Any]:
        bits = self.one_of(WEIGHT_BITS)
        low, high = weight_range(bits)
        weight = self.array(shape, low, high) * (self.rng.random(shape) < self.one_of((0.3, 1.0)))
        wrap = self.one_of((None, None, 12, 24))
        return {
            "weight": weight,
            "weight_bits": bits,
            "weight_exp": self.below(-3, 3),
            "sparse": self.one_of((True, False)),
            "wrap_bits": wrap,
        }

    def neuron(self, src: str) -> str:
        shape, name = self.shape[src], self.name()
        kind = self.one_of((Delta, SigmaDelta, LIF, Integrator, Readout))
        residue = self.one_of(("owed", "lost"))
        shift = self.below(0, 4)
        sending = {
            "threshold_lsb": self.below(0, 40),
            "shift": shift,
            "message_bits": self.one_of((4, 8, 16)),
            "residue": residue,
            "state_bits": self.one_of((12, 24)),
        }
        if kind is Delta:
            return self.add(Delta(name=name, input_exp=self.below(0, 6), **sending), src)
        bias = self.array(self.one_of((shape, (1,))), -300, 300)
        start = self.below(0, 3)
        if kind is SigmaDelta:
            act, target = self.one_of(("relu", "identity")), self.one_of((None, 12, 24))
            made = SigmaDelta(name=name, bias=bias, bias_start=start, act=act, target_bits=target, **sending)
            return self.add(made, src)
        if kind is Readout:
            wrap = self.one_of((True, False))
            return self.add(Readout(name=name, bias=bias, shift=shift, wrap=wrap, state_bits=12), src)
        dv = self.array(self.one_of((shape, (1,))), 0, 4096)
        if kind is Integrator:
            return self.add(Integrator(name=name, dv=dv, bias=bias, bias_exp=-1, bias_start=start, shift=shift), src)
        du, vth = self.array((1,), self.one_of((-1, 2000)), 4095), self.array(shape, 1, 900)
        reset = self.one_of(("zero", "subtract"))
        more = {"current_bias": self.array((1,), -99, 99)}
        if reset == "zero":
            more["v_reset"] = self.array((1,), -9, 9)
        cell = LIF(name=name, du=du, dv=dv, vth=vth, bias=bias, bias_exp=2, bias_start=start, reset=reset, **more)
        return self.add(cell, src)

    def synapse(self, src: str) -> str:
        shape, name = self.shape[src], self.name()
        image = len(shape) == 3 and min(shape[1:]) > 1
        if image and self.one_of((True, False)):
            if self.one_of((True, True, False)):
                groups = self.one_of((1, shape[0]))
                size = (groups * self.below(1, 2), shape[0] // groups, self.below(1, 2), self.below(1, 2))
                made = Conv(
                    name=name,
                    groups=groups,
                    stride=(self.below(1, 2), self.below(1, 2)),
                    padding=(self.below(0, 1), self.below(0, 1)),
                    **self.weights(size),
                )
                return self.add(made, src)
            kind = self.one_of(("sum", "max"))
            exp = self.below(-3, 2) if kind == "sum" else 0
            padding = (self.below(0, 1), self.below(0, 1))
            return self.add(
                Pool(name=name, kernel=(2, 2), stride=(2, 1), padding=padding, kind=kind, weight_exp=exp), src
            )
        return self.add(Linear(name=name, **self.weights((self.below(1, 6), int(np.prod(shape))))), src)

    def function(self, src: str) -> str:
        kind, name, shape = (
            self.one_of((Concat, Select, Sum, Product, Table, RMSNorm, GatedRecurrence)),
            self.name(),
            None,
        )
        shape = self.shape[src]
        alike = [node for node, found in self.shape.items() if found == shape]
        other = self.one_of(alike)
        if kind is Concat:
            return self.add(Concat(name=name), src, self.one_of(self.shape))
        if kind is Select:
            start = self.below(0, int(np.prod(shape)) - 1)
            return self.add(Select(name=name, start=start, stop=int(np.prod(shape))), src)
        if kind is Sum:
            return self.add(Sum(name=name, exps=(self.below(-3, 3), self.below(-3, 3)), bits=16), src, other)
        narrow = self.add(Sum(name=name, bits=16), src)
        name = self.name()
        if kind is Table:
            return self.add(
                Table(name=name, values=self.array((33,), -200, 200), offset=16, shift=self.below(0, 5)), narrow
            )
        if kind is RMSNorm:
            gain = self.array(self.one_of((shape, (1,))), -90, 90)
            return self.add(
                RMSNorm(name=name, gain=gain, frac_bits=self.below(0, 8), eps=self.below(1, 9), bits=16), narrow
            )
        wide = self.add(Sum(name=name, bits=12), other)
        name = self.name()
        if kind is Product:
            return self.add(Product(name=name, shift=self.below(0, 8), bits=16), narrow, wide)
        return self.add(GatedRecurrence(name=name, frac_bits=self.below(1, 12), bits=16), narrow, wide)

    def loop(self, src: str) -> str:
        """A neuron whose spikes come back to it, a few steps later."""
        entry, shape = self.name(), self.shape[src]
        self.add(Sum(name=entry, bits=20), src)
        last = self.neuron(entry)
        size = int(np.prod(shape))
        back = Linear(name=self.name(), **self.weights((size, size)))
        self.add(back, last, delays=(self.below(1, 3),))
        if len(shape) == 1:
            self.edges.append(Edge(src=back.name, dst=entry, port=1, delay_steps=0))
        return last


def grow(pick: Callable[[Sequence[Any]], Any], rng: np.random.Generator) -> Graph:
    """Of 4 to about 30 nodes. Every node is an output, so that nothing hides."""
    grown = Drawn(pick, rng)
    shape = grown.one_of(((3,), (5,), (2, 4, 3)))
    grown.add(Input(name=grown.name(), shape=shape, spikes=grown.one_of((True, False))))
    if grown.one_of((True, False)):
        grown.add(Input(name=grown.name(), shape=(4,)))
    for _ in range(grown.one_of(range(2, 7))):
        src = grown.one_of(grown.shape)
        bounded = grown.add(Sum(name=grown.name(), bits=16), src)  # so that widths stay within 64 bits
        grown.one_of((grown.neuron, grown.synapse, grown.function, grown.loop))(bounded)
    return Graph(nodes=tuple(grown.nodes), edges=tuple(grown.edges), outputs=tuple(node.name for node in grown.nodes))


def drawn(seed: int) -> Graph:
    """>>> drawn(0).fixed
    True
    """
    rng = np.random.default_rng(seed)
    return grow(lambda options: options[int(rng.integers(len(options)))], rng)


def inputs_of(graph: Graph, steps: int, seed: int) -> dict[str, Array]:
    """(steps, *shape) an input: mostly small, now and then large, often nothing."""
    rng = np.random.default_rng(seed)
    found = {}
    for node in graph.inputs:
        small = rng.integers(-200, 201, (steps, *node.shape))
        large = rng.integers(-(2**20), 2**20, (steps, *node.shape))
        chance = rng.random((steps, *node.shape))
        found[node.name] = np.where(chance < 0.3, 0, np.where(chance < 0.95, small, large))
    return found
