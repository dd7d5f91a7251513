"""All that the copies imagine, in one process and one Lava step: policy, perturbation, predictor, latent and cost, H times.

    a[t] = clip(policy([z[t], told]) + noise);   z[t+1] = sat24(z[t] + predictor([z[t], a[t]]));   J = sat24(J + prices)

The fast form of those five processes, whose arithmetic it calls in their order. Nothing outside needs what happens between the
steps, so several imagined steps in one Lava step change no value.
Shapes: S copies, A action, H steps, D latent, M told, K places. Units: z, told and places in latent LSB; a in action LSB.
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
from spikeplan.core.ir.artifact import Artifact
from spikeplan.lava_procs.guided.arithmetic import charge, charge_end, draw_noise, goal_and_places, perturb, terms_of
from spikeplan.lava_procs.guided.graph import counted
from spikeplan.lava_procs.guided.model import GuidedModel
from spikeplan.lava_procs.guided.network import CountedNetwork
from spikeplan.lava_procs.planning import advance


class Rollout(AbstractProcess):
    """seed_in: (1,); start_in: (D,); goal_in: (M + K, D); and in the same Lava step cost_out: (S,); actions_out: (H, S, A);
    first_out: (S, A), its first row, for the winner; path_out: (H, S, D), latents after each step; counts_out: [messages by
    layer of policy, predictor and cost-to-go, everything clipped]."""

    def __init__(
        self,
        *,
        params: GuidedParams,
        layout: str,
        policy: Artifact,
        predictor: Artifact,
        value: Artifact | None,
        reference: str,
        name: str = "rollout",
    ) -> None:
        super().__init__(
            params=params,
            layout=layout,
            policy=policy,
            predictor=predictor,
            value=value,
            reference=reference,
            name=name,
        )
        h, s, a, d = params.horizon, params.samples, params.action_dim, params.latent_dim
        self.seed_in = InPort(shape=(1,))
        self.start_in = InPort(shape=(d,))
        self.goal_in = InPort(shape=(params.told + params.places, d))
        self.cost_out = OutPort(shape=(s,))
        self.first_out = OutPort(shape=(s, a))
        self.actions_out = OutPort(shape=(h, s, a))
        self.path_out = OutPort(shape=(h, s, d))
        self.counts_out = OutPort(shape=(counted(policy, predictor, value),))


@implements(proc=Rollout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RolloutModel(GuidedModel):
    seed_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    cost_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    first_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    actions_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    path_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.policy = CountedNetwork(proc_params["policy"], self.params, proc_params["reference"])
        self.predictor = CountedNetwork(proc_params["predictor"], self.params, proc_params["reference"])
        self.networks = [self.policy, self.predictor]
        self.value = None
        if proc_params["value"] is not None:
            self.value = CountedNetwork(proc_params["value"], self.params, proc_params["reference"])
            self.networks.append(self.value)
        self.terms = terms_of(self.params)

    def run_spk(self) -> None:
        p = self.params
        noise = draw_noise(int(self.seed_in.recv()[0]), p)
        z = np.tile(self.start_in.recv(), (p.samples, 1))
        given = self.goal_in.recv()
        told, goal = np.tile(given[: p.told].reshape(-1), (p.samples, 1)), goal_and_places(given, p)
        for network in self.networks:
            network.begin()
        cost, clipped = np.zeros(p.samples, np.int64), 0
        actions = np.empty((p.horizon, p.samples, p.action_dim), np.int64)
        path = np.empty((p.horizon, p.samples, p.latent_dim), np.int64)
        for t in range(p.horizon):
            actions[t] = perturb(self.policy.run(z, told), noise, t, p)
            z, beyond = advance(z, self.predictor.run(z, actions[t]))
            cost, over = charge(cost, z, actions[t], goal, self.terms, p)
            path[t] = z
            clipped += beyond + over
        if self.value is not None:
            cost, over = charge_end(cost, self.value.run(z, np.tile(goal[0], (p.samples, 1)))[:, 0], p)
            clipped += over
        self.cost_out.send(cost)
        self.first_out.send(actions[0])
        self.actions_out.send(actions)
        self.path_out.send(path)
        length, offset = sum(len(network.sent) for network in self.networks) + 1, 0
        counts = np.zeros(length, np.int64)
        for network in self.networks:
            counts += network.counts(offset, length)
            offset += len(network.sent)
        counts[-1] += clipped
        self.counts_out.send(counts)
