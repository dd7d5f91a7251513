"""A whole network graph in one process (lava_procs/graph/fused.py).

Ports in0 to in7 take the graph's inputs in the order of its nodes. out sends the outputs one after the other, flattened;
sent_out the number of values that were not zero of every node, in the order of nodes, and then all overflows since the start.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeplan.core.ir.graph.graph import Graph
from spikeplan.lava_procs.graph.fused import Compiled
from spikeplan.lava_procs.graph.ports import IntegerPorts, RealPorts, open_ports


class Whole(AbstractProcess):
    """watch: kept_out sends every node's output and then its state, flattened, in the order of nodes; else one zero."""

    def __init__(self, *, graph: Graph, watch: bool = False, name: str = "network") -> None:
        super().__init__(graph=graph, watch=watch, name=name)
        open_ports(self, tuple(node.shape for node in graph.inputs))
        self.out = OutPort(shape=(sum(int(np.prod(graph.shapes[name])) for name in graph.outputs),))
        self.sent_out = OutPort(shape=(len(graph.nodes) + 1,))
        self.kept_out = OutPort(shape=(max(watched_size(graph), 1) if watch else 1,))


def watched_size(graph: Graph) -> int:
    """Values of all outputs and states."""
    states = Compiled(graph).state
    return sum(int(np.prod(graph.shapes[node.name])) * (1 + len(states.get(node.name, {}))) for node in graph.nodes)


class WholeModel(PyLoihiProcessModel):
    dtype: Any
    out: Any
    sent_out: Any
    kept_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.graph, self.watch = proc_params["graph"], proc_params["watch"]
        self.running = Compiled(self.graph)

    def run_spk(self) -> None:
        given = {node.name: getattr(self, f"in{port}").recv() for port, node in enumerate(self.graph.inputs)}
        found, run = self.running.step(given), self.running
        self.out.send(np.concatenate([rows.reshape(-1) for rows in found.values()]).astype(self.dtype))
        sent = [np.count_nonzero(run.slots[node.name]) for node in self.graph.nodes]
        self.sent_out.send(np.array([*sent, sum(run.overflow.values())]).astype(self.dtype))
        if not self.watch:
            self.kept_out.send(np.zeros(1, self.dtype))
            return
        kept = []
        for node in self.graph.nodes:
            kept += [run.slots[node.name], *run.state.get(node.name, {}).values()]
        self.kept_out.send(np.concatenate([rows.reshape(-1) for rows in kept]).astype(self.dtype))


@implements(proc=Whole, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class WholeFixed(IntegerPorts, WholeModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    sent_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    kept_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)


@implements(proc=Whole, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class WholeFloat(RealPorts, WholeModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    sent_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    kept_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
