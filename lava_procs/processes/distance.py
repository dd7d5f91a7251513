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
from numpy.typing import NDArray

from lava_procs import planning
from lava_procs.loop_model import LoopModel
from lava_procs.planning import PlanParams


class Distance(AbstractProcess):
    """goal_in: (D,) at the start of a plan; moved_in: (S, D) in steps 1..H; cost_out: (S,) in step H."""

    def __init__(self, *, plan: PlanParams, name: str = "distance") -> None:
        super().__init__(plan=plan, name=name)
        self.goal_in = InPort(shape=(plan.latent_dim,))
        self.moved_in = InPort(shape=(plan.samples, plan.latent_dim))
        self.cost_out = OutPort(shape=(plan.samples,))


class DistanceModel(LoopModel):
    goal_in: Any
    moved_in: Any
    cost_out: Any
    dtype: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.goal = np.zeros(self.plan.latent_dim, self.dtype)
        self.cost = np.zeros(self.plan.samples, self.dtype)

    def add(self, z: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError

    def run_spk(self) -> None:
        if self.phase.first:
            self.goal = self.goal_in.recv().astype(self.dtype)
        if self.phase.step == 0:
            self.cost = np.zeros_like(self.cost)
            return
        self.cost = self.add(self.moved_in.recv())
        if self.selecting:
            self.cost_out.send(self.cost)


@implements(proc=Distance, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DistanceFixed(DistanceModel):
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    dtype = np.int64

    def add(self, z: NDArray[Any]) -> NDArray[Any]:
        return planning.add_distance(self.cost, z, self.goal, self.plan)


@implements(proc=Distance, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class DistanceFloat(DistanceModel):
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    dtype = np.float64

    def add(self, z: NDArray[Any]) -> NDArray[Any]:
        return planning.add_distance_float(self.cost, z, self.goal, self.plan)
