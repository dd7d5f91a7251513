"""The spiking predictor, all layers and all candidates in one process: the fast form of the chain (lava_procs/fused.py).

A batch of candidates in one process is a convenience of the simulation: on a chip they share one network in time or take a
replica each (`spikeplan place`). The stored state of reference previous_step starts at zero in every iteration.
Shapes: S candidates, D latent, A action. Units: z and value in latent LSB, actions in action LSB.
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

from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.fused import FusedNetwork
from spikeplan.lava_procs.loop_model import LoopModel


class Predictor(AbstractProcess):
    """z_in: (S, D); action_in: (S, A); value_out: (S, D), the change of z; counts_out: [messages by layer, clipped states and
    messages] of the iteration, in step H."""

    def __init__(
        self, *, plan: PlanParams, rollout_steps: int, artifact: Artifact, reference: str, name: str = "predictor"
    ) -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, artifact=artifact, reference=reference, name=name)
        self.z_in = InPort(shape=(plan.samples, plan.latent_dim))
        self.action_in = InPort(shape=(plan.samples, plan.action_dim))
        self.value_out = OutPort(shape=(plan.samples, plan.latent_dim))
        self.counts_out = OutPort(shape=(len(artifact.layers) + 1,))


class PredictorModel(LoopModel):
    z_in: Any
    action_in: Any
    value_out: Any
    counts_out: Any
    fixed: bool

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.network = FusedNetwork(
            proc_params["artifact"], samples=self.plan.samples, reference=proc_params["reference"], fixed=self.fixed
        )
        self.sent = np.zeros(len(self.network.layers), np.int64)

    def run_spk(self) -> None:
        if self.selecting:
            self.counts_out.send(np.array([*self.sent, self.network.saturated.sum() + self.network.clipped]))
            return
        if self.phase.step == 0:
            self.network.reset()
            self.network.count_anew()
            self.sent[:] = 0
        x = np.concatenate([self.z_in.recv(), self.action_in.recv()], axis=1)
        self.value_out.send(self.network.run(x))
        self.sent += self.network.messages()


@implements(proc=Predictor, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PredictorFixed(PredictorModel):
    z_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    action_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    value_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    fixed = True


@implements(proc=Predictor, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PredictorFloat(PredictorModel):
    z_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    action_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    value_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    fixed = False
