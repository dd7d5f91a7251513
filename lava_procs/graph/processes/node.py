"""One node of a network graph (core/ir/graph) as a process: it receives, computes, sends, all in one time step.

Ports in0 to in7 have the shapes of what feeds them; one that is not connected receives zeros and is not read. kept_out sends
the node's state after the step, flattened, for a recorder. The arithmetic is lava_procs/graph/steps.py.
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

from spikeplan.core.ir.graph.base import Node, Shape
from spikeplan.lava_procs.graph.ports import IntegerPorts, RealPorts, open_ports
from spikeplan.lava_procs.graph.steps import MODELS, model_of


class NodeProcess(AbstractProcess):
    """`before`: shapes of what feeds the node, by port; `shape`: of what it sends."""

    def __init__(self, *, node: Node, before: tuple[Shape, ...], shape: Shape, name: str) -> None:
        super().__init__(node=node, inputs=len(before), shape=shape, name=name)
        open_ports(self, before)
        kept = len(MODELS[type(node)].keeps) * int(np.prod(shape))  # type: ignore[attr-defined]
        self.out = OutPort(shape=shape)
        self.kept_out = OutPort(shape=(max(kept, 1),))


class NodeModel(PyLoihiProcessModel):
    dtype: Any
    out: Any
    kept_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.model = model_of(proc_params["node"], proc_params["shape"], self.dtype)
        self.inputs = proc_params["inputs"]

    def run_spk(self) -> None:
        x = [getattr(self, f"in{port}").recv() for port in range(self.inputs)]
        sent = self.model.step(x, self.time_step - 1)  # Lava counts time steps from 1
        self.out.send(np.broadcast_to(sent, self.out.shape).astype(self.dtype))
        kept = [getattr(self.model, name).reshape(-1) for name in self.model.keeps] or [np.zeros(1, self.dtype)]
        self.kept_out.send(np.concatenate(kept).astype(self.dtype))


@implements(proc=NodeProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NodeFixed(IntegerPorts, NodeModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    kept_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)


@implements(proc=NodeProcess, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class NodeFloat(RealPorts, NodeModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    kept_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
