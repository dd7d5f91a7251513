"""Cost: what each copy's imagined future costs, summed while it is imagined.

    J = sat24(J + sum_i sat24(weight_i trunc(sat24(price_i(z[t+1], a[t])) / 2^cost_shift)))
    J = sat24(J + sat24(weight_V trunc(V / 2^shift_V)))        at the end, where there is a cost-to-go

Shapes: S copies, D latent, A action, K places. Units: z, goal and places in latent LSB; a in action LSB.
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
from spikeplan.lava_procs.guided.arithmetic import charge, charge_end, goal_and_places, terms_of
from spikeplan.lava_procs.guided.model import GuidedModel


class Cost(AbstractProcess):
    """goal_in: (M + K, D) in step 0; moved_in: (S, D), and action_in: (S, A) of the step before, in steps 2, 4, ..., 2 H;
    to_go_in: (S,) in the last step, where the plan has a cost-to-go; cost_out: (S,) and counts_out: (counted,), how many prices
    and sums were clipped, in the last step."""

    def __init__(self, *, params: GuidedParams, layout: str, counted: int, name: str = "cost") -> None:
        super().__init__(params=params, layout=layout, counted=counted, name=name)
        self.goal_in = InPort(shape=(params.told + params.places, params.latent_dim))
        self.moved_in = InPort(shape=(params.samples, params.latent_dim))
        self.action_in = InPort(shape=(params.samples, params.action_dim))
        self.to_go_in = InPort(shape=(params.samples,))
        self.cost_out = OutPort(shape=(params.samples,))
        self.counts_out = OutPort(shape=(counted,))


@implements(proc=Cost, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class CostModel(GuidedModel):
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    action_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    to_go_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.terms = terms_of(self.params)
        self.goal = np.zeros((1 + self.params.places, self.params.latent_dim), np.int64)
        self.cost = np.zeros(self.params.samples, np.int64)
        self.counts = np.zeros(proc_params["counted"], np.int64)

    def run_spk(self) -> None:
        if self.phase.predicts:
            return
        if self.phase.first:
            self.goal = goal_and_places(self.goal_in.recv(), self.params)
            self.cost = np.zeros_like(self.cost)
            self.counts[-1] = 0
            return
        z, action = self.moved_in.recv(), self.action_in.recv()
        self.cost, clipped = charge(self.cost, z, action, self.goal, self.terms, self.params)
        self.counts[-1] += clipped
        if self.phase.last:
            if self.params.to_go_weight:
                self.cost, clipped = charge_end(self.cost, self.to_go_in.recv(), self.params)
                self.counts[-1] += clipped
            self.cost_out.send(self.cost)
            self.counts_out.send(self.counts)
