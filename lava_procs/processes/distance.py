"""Goal distance: what a rollout costs, summed while it runs.

    d = sat24(sum_D |z - g|);   J = sat24(J + trunc(d / 2^c))

Shapes: S candidates, D latent. Units: z, g in latent LSB; J in 2^c latent LSB.
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


class Distance(AbstractProcess):
    """goal_in: (D,) at the start of a plan; moved_in: (S, D) in steps 1..H; cost_out: (S,) and saturated_out: (1,),
    clipped distances and costs of the iteration, in step H."""

    def __init__(self, *, plan: PlanParams, rollout_steps: int, name: str = "distance") -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, name=name)
        self.goal_in = InPort(shape=(plan.latent_dim,))
        self.moved_in = InPort(shape=(plan.samples, plan.latent_dim))
        self.cost_out = OutPort(shape=(plan.samples,))
        self.saturated_out = OutPort(shape=(1,))


class DistanceModel(LoopModel):
    goal_in: Any
    moved_in: Any
    cost_out: Any
    saturated_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.goal = np.zeros(self.plan.latent_dim, self.maths.dtype)
        self.cost = np.zeros(self.plan.samples, self.maths.dtype)
        self.saturated = 0

    def run_spk(self) -> None:
        if self.phase.first:
            self.goal = self.goal_in.recv().astype(self.maths.dtype)
        if self.phase.step == 0:
            self.cost = np.zeros_like(self.cost)
            self.saturated = 0
            return
        self.cost, clipped = self.maths.add_distance(self.cost, self.moved_in.recv(), self.goal, self.plan)
        self.saturated += clipped
        if self.selecting:
            self.cost_out.send(self.cost)
            self.saturated_out.send(np.array([self.saturated]))


@implements(proc=Distance, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DistanceFixed(DistanceModel):
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    saturated_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FIXED


@implements(proc=Distance, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class DistanceFloat(DistanceModel):
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    saturated_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FLOAT
