"""Candidate source: noise, mean and spread become S action sequences, sent whole and, stepwise, one action a rollout step.

    u = clip(mu + trunc(w e / 2^8), -L, L)        a[t] = u[t div chunk] 2^action_shift

e is drawn once a plan from the injected seed. A new plan starts from the old mean, shifted by one control step, or from
zero when an episode begins.
Shapes: S candidates, V variables, A action. Units: a in action LSB.
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

from spikeplan.core.noise import candidate_noise
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.loop_model import LoopModel
from spikeplan.lava_procs.planning import FIXED, FLOAT


class Candidates(AbstractProcess):
    """start_in: [seed, fresh]; fit_in: mean and spread (2, V, A); variables_out: (S, V, A) at the start of an iteration;
    action_out: (S, A) in steps 0..H-1 of the stepwise layout."""

    def __init__(self, *, plan: PlanParams, rollout_steps: int, name: str = "candidates") -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, name=name)
        sizes = (plan.variables, plan.action_dim)
        self.start_in = InPort(shape=(2,))
        self.fit_in = InPort(shape=(2, *sizes))
        self.action_out = OutPort(shape=(plan.samples, plan.action_dim))
        self.variables_out = OutPort(shape=(plan.samples, *sizes))


class CandidatesModel(LoopModel):
    start_in: Any
    fit_in: Any
    action_out: Any
    variables_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        p = self.plan
        self.noise = np.zeros((p.samples, p.variables, p.action_dim), np.int64)
        self.variables = np.zeros(self.noise.shape, self.maths.dtype)

    def run_spk(self) -> None:
        p = self.plan
        if self.phase.step == 0:
            mean, spread = self.registers()
            self.variables = self.maths.propose(mean, spread, self.noise, p)
            self.variables_out.send(self.variables)
        if not self.selecting:
            action = self.variables[:, self.phase.step // p.chunk]
            self.action_out.send(action * 2**p.action_shift)

    def registers(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Mean and spread that this iteration starts from."""
        p = self.plan
        if not self.phase.first:
            mean, spread = self.fit_in.recv()
            return mean, spread
        seed, fresh = (int(word) for word in self.start_in.recv())
        self.noise = candidate_noise(np.array([seed]), p.samples, p.variables, p.action_dim)[0].astype(np.int64)
        mean = np.zeros((p.variables, p.action_dim), self.maths.dtype)
        if self.phase.plan > 0:
            last = self.fit_in.recv()[0]  # the last iteration's message is taken in any case
            mean = mean if fresh else self.maths.warm(last, p)
        return mean, np.full_like(mean, p.start_spread)


@implements(proc=Candidates, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CandidatesFixed(CandidatesModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fit_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    action_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    variables_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FIXED


@implements(proc=Candidates, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class CandidatesFloat(CandidatesModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fit_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    action_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    variables_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    maths = FLOAT
