"""A whole rollout in one process and one Lava step: predictor, latent and goal distance of all candidates, all H steps.

    z[t+1] = sat24(z[t] + value(z[t], a[t]));   d = sat24(sum_D |z[t+1] - g|);   J = sat24(J + trunc(d / 2^c))

The fast form of the processes predictor, latent and distance, whose arithmetic it calls in their order. Nothing outside
needs what happens between the steps, so several model steps in one Lava step change no value.
Shapes: S candidates, V variables, A action, H steps, D latent. Units: z, g in latent LSB; J in 2^c latent LSB.
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
from spikeplan.lava_procs.planning import FIXED, FLOAT


class Rollout(AbstractProcess):
    """start_in, goal_in: (D,) at the start of a plan; variables_in: (S, V, A). Every iteration, in the same step: cost_out:
    (S,); path_out: (H, S, D), latents after each step; counts_out: [messages by layer, everything clipped]."""

    def __init__(
        self, *, plan: PlanParams, rollout_steps: int, artifact: Artifact, reference: str, name: str = "rollout"
    ) -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, artifact=artifact, reference=reference, name=name)
        self.start_in = InPort(shape=(plan.latent_dim,))
        self.goal_in = InPort(shape=(plan.latent_dim,))
        self.variables_in = InPort(shape=(plan.samples, plan.variables, plan.action_dim))
        self.cost_out = OutPort(shape=(plan.samples,))
        self.path_out = OutPort(shape=(plan.horizon, plan.samples, plan.latent_dim))
        self.counts_out = OutPort(shape=(len(artifact.layers) + 1,))


class RolloutModel(LoopModel):
    start_in: Any
    goal_in: Any
    variables_in: Any
    cost_out: Any
    path_out: Any
    counts_out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        p, dtype = self.plan, self.maths.dtype
        self.network = FusedNetwork(
            proc_params["artifact"], samples=p.samples, reference=proc_params["reference"], fixed=dtype is np.int64
        )
        self.observation = self.goal = np.zeros(p.latent_dim, dtype)

    def run_spk(self) -> None:
        p, maths = self.plan, self.maths
        if self.phase.first:
            self.observation = self.start_in.recv().astype(maths.dtype)
            self.goal = self.goal_in.recv().astype(maths.dtype)
        actions = self.variables_in.recv() * 2**p.action_shift
        self.network.reset()
        self.network.count_anew()
        z = np.tile(self.observation, (p.samples, 1))
        cost = np.zeros(p.samples, maths.dtype)
        path = np.empty((p.horizon, *z.shape), maths.dtype)
        sent, clipped = np.zeros(len(self.network.layers), np.int64), 0
        for t in range(p.horizon):
            value = self.network.run(np.concatenate([z, actions[:, t // p.chunk]], axis=1))
            z, beyond = maths.advance(z, value)
            cost, far = maths.add_distance(cost, z, self.goal, p)
            path[t] = z
            sent += self.network.messages()
            clipped += beyond + far
        self.cost_out.send(cost)
        self.path_out.send(path)
        self.counts_out.send(np.array([*sent, clipped + self.network.saturated.sum() + self.network.clipped]))


@implements(proc=Rollout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RolloutFixed(RolloutModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    variables_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    path_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FIXED


@implements(proc=Rollout, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RolloutFloat(RolloutModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    variables_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    path_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    maths = FLOAT
