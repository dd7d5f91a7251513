"""Selection: the k candidates of least cost, by a threshold that is searched bit by bit.

    theta = max{T : #{J < T} < k};   elite = {J < theta} and as many of {J = theta} as make k, least numbers first

Shapes: S candidates.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.loop_model import LoopModel
from spikeplan.lava_procs.planning import FIXED, FLOAT


class Selection(AbstractProcess):
    """cost_in: (S,); elite_out: (S,), 1 for an elite; both in step H."""

    def __init__(self, *, plan: PlanParams, rollout_steps: int, name: str = "selection") -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, name=name)
        self.cost_in = InPort(shape=(plan.samples,))
        self.elite_out = OutPort(shape=(plan.samples,))


class SelectionModel(LoopModel):
    cost_in: Any
    elite_out: Any

    def run_spk(self) -> None:
        if self.selecting:
            self.elite_out.send(self.maths.select(self.cost_in.recv(), self.plan.elites).astype(np.int64))


@implements(proc=Selection, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SelectionFixed(SelectionModel):
    cost_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    elite_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FIXED


@implements(proc=Selection, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SelectionFloat(SelectionModel):
    cost_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    elite_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FLOAT
