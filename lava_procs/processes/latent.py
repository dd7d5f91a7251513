"""Latent state: holds z of every candidate and adds the predictor's change once per prediction.

    z[0] = observation;   z[t+1] = sat24(z[t] + value[t])

The phase of the loop is the trigger: the change arrives as a value, one step after the prediction was asked for.
Shapes: S candidates, D latent. Units: latent LSB.
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


class Latent(AbstractProcess):
    """start_in: (D,); value_in: (S, D); z_out: (S, D) to the predictor (steps 0..H-1); moved_out: (S, D) to the goal
    distance (steps 1..H)."""

    def __init__(self, *, plan: PlanParams, name: str = "latent") -> None:
        super().__init__(plan=plan, name=name)
        shape = (plan.samples, plan.latent_dim)
        self.start_in = InPort(shape=(plan.latent_dim,))
        self.value_in = InPort(shape=shape)
        self.z_out = OutPort(shape=shape)
        self.moved_out = OutPort(shape=shape)


class LatentModel(LoopModel):
    start_in: Any
    value_in: Any
    z_out: Any
    moved_out: Any
    dtype: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.observation = np.zeros(self.plan.latent_dim, self.dtype)
        self.z = np.zeros((self.plan.samples, self.plan.latent_dim), self.dtype)

    def advance(self, value: NDArray[Any]) -> NDArray[Any]:
        raise NotImplementedError

    def run_spk(self) -> None:
        if self.phase.first:
            self.observation = self.start_in.recv().astype(self.dtype)
        if self.phase.step == 0:
            self.z = np.tile(self.observation, (self.plan.samples, 1))
        else:
            self.z = self.advance(self.value_in.recv())
            self.moved_out.send(self.z)
        if not self.selecting:
            self.z_out.send(self.z)


@implements(proc=Latent, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LatentFixed(LatentModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    value_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    z_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    moved_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    dtype = np.int64

    def advance(self, value: NDArray[Any]) -> NDArray[Any]:
        return planning.advance(self.z, value)[0]


@implements(proc=Latent, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class LatentFloat(LatentModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    value_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    z_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    moved_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    dtype = np.float64

    def advance(self, value: NDArray[Any]) -> NDArray[Any]:
        return self.z + value
