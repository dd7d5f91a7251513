"""Refit: mean and spread of the elites.

    mu = trunc(sum_elite u / k);   w = max(w_min, trunc(C sum_elite |u - mu| / 2^8))

The spread is a mean absolute deviation times a fixed constant, so that no root is taken (lava_procs/planning.py).
Shapes: S candidates, V variables, A action. Units: u, mu in plan LSB; w in 443/256 plan LSB per standard deviation.
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


class Refit(AbstractProcess):
    """variables_in: (S, V, A) at the start of an iteration; elite_in: (S,) in step H; fit_out: (2, V, A) in step H."""

    def __init__(self, *, plan: PlanParams, rollout_steps: int, name: str = "refit") -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, name=name)
        sizes = (plan.variables, plan.action_dim)
        self.variables_in = InPort(shape=(plan.samples, *sizes))
        self.elite_in = InPort(shape=(plan.samples,))
        self.fit_out = OutPort(shape=(2, *sizes))


class RefitModel(LoopModel):
    variables_in: Any
    elite_in: Any
    fit_out: Any

    def run_spk(self) -> None:
        if self.selecting:
            variables = self.variables_in.recv()
            self.fit_out.send(np.stack(self.maths.refit(variables, self.elite_in.recv() > 0, self.plan)))


@implements(proc=Refit, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RefitFixed(RefitModel):
    variables_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    elite_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FIXED


@implements(proc=Refit, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RefitFloat(RefitModel):
    variables_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    elite_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fit_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    maths = FLOAT
