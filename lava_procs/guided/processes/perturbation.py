"""Perturbation source: what a copy does is what the policy proposed, its own noise on top, within the action's limit.

    a[t] = clip(b[t] + (trunc(w[t] e / 2^8) << action_shift), +-(L << action_shift))

e is drawn from the seed once a plan; copy 0 has none.
Shapes: S copies, A action. Units: a, b in action LSB.
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

from spikeplan.core.guided_params import GuidedParams
from spikeplan.lava_procs.guided.arithmetic import draw_noise, perturb
from spikeplan.lava_procs.guided.model import GuidedModel


class Perturbation(AbstractProcess):
    """seed_in: (1,) in step 0; proposal_in: (S, A) of the step before, action_out: (S, A), both in steps 2 t + 1; first_out:
    (S, A), the actions of t = 0, for the winner."""

    def __init__(self, *, params: GuidedParams, layout: str, name: str = "perturbation") -> None:
        super().__init__(params=params, layout=layout, name=name)
        shape = (params.samples, params.action_dim)
        self.seed_in = InPort(shape=(1,))
        self.proposal_in = InPort(shape=shape)
        self.action_out = OutPort(shape=shape)
        self.first_out = OutPort(shape=shape)


@implements(proc=Perturbation, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PerturbationModel(GuidedModel):
    seed_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    proposal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    action_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    first_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.noise = np.zeros((self.params.samples, self.params.action_dim), np.int64)

    def run_spk(self) -> None:
        if self.phase.first:
            self.noise = draw_noise(int(self.seed_in.recv()[0]), self.params)
        if self.phase.predicts:
            action = perturb(self.proposal_in.recv(), self.noise, self.phase.imagined, self.params)
            self.action_out.send(action)
            if self.phase.imagined == 0:
                self.first_out.send(action)
