"""From NIR's nodes to ours. What each of them computes is said in read.py."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from spikeplan.conversion.nir import neurons, synapses
from spikeplan.conversion.nir.parameters import Floats, Value, against, narrow, shape_of
from spikeplan.conversion.nir.wiring import Wiring
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import Concat, Conv, Edge, Graph, Input, Integrator, Linear, Node, Pool, Shape, Sum
from spikeplan.core.ir.graph.base import MAX_PORTS
from spikeplan.core.ir.graph.reference import STEPS


class Lowering:
    """`nodes` and `edges` of ours, and for each NIR node the value that it makes."""

    def __init__(self, nir: Any, wiring: Wiring, *, dt_s: float, exact: bool, reset: str) -> None:
        self.nir, self.wiring = nir, wiring
        self.dt_s, self.exact, self.reset = dt_s, exact, reset
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.values: dict[str, Value] = {}
        self.makers = {**synapses.makers(nir), **neurons.makers(nir)}

    def graph(self, *, spikes: bool, provenance: dict[str, Any]) -> Graph:
        for name, node in self.wiring.nodes.items():
            if isinstance(node, self.nir.Input):
                self._input(name, node, spikes)
        outputs = []
        for name in self._order():
            node = self.wiring.nodes[name]
            if isinstance(node, self.nir.Output):
                outputs.append(self._output(name))
            elif not isinstance(node, self.nir.Input):
                maker = next((make for kind, make in self.makers.items() if isinstance(node, kind)), None)
                if maker is None:
                    known = ", ".join(sorted(kind.__name__ for kind in self.makers))
                    raise UserError(f"node '{name}' ({type(node).__name__}) does not run here; these do: {known}")
                try:
                    self.values[name] = maker(self, name, node)
                except UserError as error:
                    told = str(error)
                    raise UserError(told if told.startswith("node '") else f"node '{name}': {told}") from error
        return Graph(
            nodes=tuple(self.nodes.values()),
            edges=tuple(self.edges),
            outputs=tuple(dict.fromkeys(outputs)),
            provenance=provenance,
        )

    def _order(self) -> list[str]:
        """NIR's nodes, each after what feeds it in the same step."""
        waits = {name: 0 for name in self.wiring.nodes}
        for src, dst in self.wiring.edges:
            waits[dst] += (src, dst) not in self.wiring.late
        order = [name for name, number in waits.items() if not number]
        for name in order:
            for src, dst in self.wiring.edges:
                if src == name and (src, dst) not in self.wiring.late:
                    waits[dst] -= 1
                    if not waits[dst]:
                        order.append(dst)
        return order

    def add(self, node: Node, *sources: str, delay_steps: int = 0) -> None:
        """`delay_steps`: of the first source."""
        self.nodes[node.name] = node
        for port, src in enumerate(sources):
            self.edges.append(Edge(src=src, dst=node.name, port=port, delay_steps=0 if port else delay_steps))

    def _input(self, name: str, node: Any, spikes: bool) -> None:
        shape = shape_of(np.asarray(node.input_type["input"]).reshape(-1))
        following = [self.wiring.nodes[dst] for src, dst in self.wiring.edges if src == name]
        wanted = {np.shape(n.weight)[1] for n in following if isinstance(n, self.nir.Affine | self.nir.Linear)}
        if len(wanted) == 1 and int(np.prod(shape)) not in wanted:
            shape = (wanted.pop(),)  # frameworks write a batch axis, or a size of their own
        self.add(Input(name=name, shape=shape, spikes=spikes))
        self.values[name] = Value(name, shape)

    def taken(self, name: str) -> Value:
        """The sum of what feeds a NIR node."""
        sources = self.wiring.into(name)
        late = [src for src in sources if (src, name) in self.wiring.late]
        values = [self.values[src] for src in sources if src not in late]
        if not late and len(values) == 1:
            return values[0]
        if not sources:
            raise UserError("nothing feeds it")
        shape = values[0].shape if values else None
        if len(sources) > MAX_PORTS:
            raise UserError(f"{len(sources)} edges meet in it, at most {MAX_PORTS} do here; sum them in steps")
        if len(late) == 1 and not values:
            return self._held(name, late[0])
        parts = [self.scaled_to(value, f"{name}.in{i}", 1.0) for i, value in enumerate(values)]
        total = Sum(name=f"{name}.sum", bits=None)
        self.nodes[total.name] = total
        for port, value in enumerate(parts):
            self.edges.append(Edge(src=value.name, dst=total.name, port=port))
        for port, src in enumerate(late, len(parts)):
            self.edges.append(Edge(src=src, dst=total.name, port=port, delay_steps=1))
        assert shape is not None  # a node with two late edges and nothing else is the case above, or has no shape
        offsets = [value.offset for value in parts if value.offset is not None]
        return Value(total.name, shape, 1.0, np.sum(offsets, axis=0) if offsets else None)

    def _held(self, name: str, src: str) -> Value:
        """What a neuron further on sent one step before: its shape is that of its parameters."""
        node = self.wiring.nodes[src]
        shape = shape_of(np.asarray(next(iter(node.output_type.values()))).reshape(-1))
        late = (
            Concat(name=f"{name}.late") if len(shape) == 1 else Pool(name=f"{name}.late", kernel=(1, 1), stride=(1, 1))
        )
        self.add(late, src, delay_steps=1)
        return Value(late.name, shape)

    def linear(self, name: str, value: Value, synapse: Linear | Conv, bias: Floats | None) -> Value:
        """A synapse on a value: its gain goes into the weights, its offset through them."""
        self.add(replace(synapse, weight=synapse.weight * value.gain), value.name)
        shape = synapse.shape_after((value.shape,))
        offset = None if bias is None or not bias.any() else np.broadcast_to(bias, shape).astype(np.float64)
        if value.offset is not None:
            passed = STEPS[type(synapse)](synapse, [np.broadcast_to(value.offset, value.shape)], {}, 0)[0]
            offset = passed if offset is None else offset + passed
        return Value(name, shape, 1.0, offset)

    def diagonal(self, name: str, shape: Shape, factor: Floats) -> Linear | Conv:
        """A synapse that multiplies each neuron by its own factor; one a channel where an image has it so."""
        if len(shape) == 3:
            channels = np.broadcast_to(factor.reshape(against(factor, shape)), shape)
            if (channels == channels[:, :1, :1]).all():
                return Conv(name=name, weight=channels[:, 0, 0].reshape(-1, 1, 1, 1).copy(), groups=shape[0])
            raise UserError("one factor a pixel does not run here; give one a channel")
        return Linear(name=name, weight=np.diag(np.broadcast_to(factor.reshape(-1), shape)).copy())

    def scaled_to(self, value: Value, name: str, factor: Any) -> Value:
        """The value times a factor a neuron, its gain spent: folded into the synapse that makes it, if it alone reads that."""
        whole = np.asarray(factor, np.float64) * value.gain
        offset = None if value.offset is None else value.offset * np.asarray(factor, np.float64)
        if (whole == 1).all():
            return replace(value, gain=1.0, offset=offset)
        made = self.nodes[value.name]
        # one edge of NIR's: another reader would take the scaled weights, too
        alone = sum(src == value.name for src, _ in self.wiring.edges) <= 1
        if isinstance(made, Linear) and alone:
            self.nodes[value.name] = replace(made, weight=made.weight * np.broadcast_to(whole, value.shape)[:, None])
            return replace(value, gain=1.0, offset=offset)
        channels = np.broadcast_to(whole, value.shape) if len(value.shape) == 3 else None
        if isinstance(made, Conv) and alone and channels is not None and (channels == channels[:, :1, :1]).all():
            self.nodes[value.name] = replace(made, weight=made.weight * channels[:, 0, 0].reshape(-1, 1, 1, 1))
            return replace(value, gain=1.0, offset=offset)
        self.add(self.diagonal(name, value.shape, whole), value.name)
        return Value(name, value.shape, 1.0, offset)

    def _output(self, name: str) -> str:
        value = self.taken(name)
        if value.gain == 1 and value.offset is None:
            return value.name
        value = self.scaled_to(value, f"{name}.scale", 1.0)
        if value.offset is None:
            return value.name
        offset = narrow(np.asarray(value.offset), value.shape)
        self.add(Integrator(name=name, dv=np.ones(1), bias=offset), value.name)  # leaks all: value + offset
        return name
