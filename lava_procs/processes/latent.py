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

from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.loop_model import LoopModel
from spikeplan.lava_procs.planning import FIXED, FLOAT


class Latent(AbstractProcess):
    """start_in: (D,); value_in: (S, D); z_out: (S, D) to the predictor (steps 0..H-1); moved_out: (S, D) to the goal
    distance (steps 1..H); saturated_out: (1,), clipped latents of the iteration (step H)."""

    def __init__(self, *, plan: PlanParams, rollout_steps: int, name: str = "latent") -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, name=name)
        shape = (plan.samples, plan.latent_dim)
        self.start_in = InPort(shape=(plan.latent_dim,))
        self.value_in = InPort(shape=shape)
        self.z_out = OutPort(shape=shape)
        self.moved_out = OutPort(shape=shape)
        self.saturated_out = OutPort(shape=(1,))


class LatentModel(LoopModel):
    start_in: Any
    value_in: Any
    z_out: Any
    moved_out: Any
    saturated_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.observation = np.zeros(self.plan.latent_dim, self.maths.dtype)
        self.z = np.zeros((self.plan.samples, self.plan.latent_dim), self.maths.dtype)
        self.saturated = 0

    def run_spk(self) -> None:
        if self.phase.first:
            self.observation = self.start_in.recv().astype(self.maths.dtype)
        if self.phase.step == 0:
            self.z = np.tile(self.observation, (self.plan.samples, 1))
            self.saturated = 0
        else:
            self.z, clipped = self.maths.advance(self.z, self.value_in.recv())
            self.saturated += clipped
            self.moved_out.send(self.z)
        if self.selecting:
            self.saturated_out.send(np.array([self.saturated]))
        else:
            self.z_out.send(self.z)


@implements(proc=Latent, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LatentFixed(LatentModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    value_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    z_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    moved_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    saturated_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FIXED


@implements(proc=Latent, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class LatentFloat(LatentModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    value_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    z_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    moved_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    saturated_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FLOAT
