"""The cost-to-go: what the policy would still pay from where each copy ends, told once a plan by a spiking network of its own.

    V = network([z[H], g])

Shapes: S copies, D latent, M latents that the policy is told, K places. Units: z, g in latent LSB; V in its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeplan.core.guided_params import GuidedParams
from spikeplan.lava_procs.guided.processes.network import NetworkModel, NetworkProcess


class ToGo(NetworkProcess):
    """goal_in: (M + K, D) in step 0, of which the goal alone is used; moved_in: (S, D) in steps 2, 4, ..., 2 H; told_out: (S,)
    and counts_out: (counted,), this network's from `offset` on, in the last step."""

    def __init__(self, *, params: GuidedParams, name: str = "to_go", **network: Any) -> None:
        super().__init__(params=params, name=name, **network)
        self.goal_in = InPort(shape=(params.told + params.places, params.latent_dim))
        self.moved_in = InPort(shape=(params.samples, params.latent_dim))
        self.told_out = OutPort(shape=(params.samples,))


@implements(proc=ToGo, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ToGoModel(NetworkModel):
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    told_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.goal = np.zeros((self.params.samples, self.params.latent_dim), np.int64)

    def run_spk(self) -> None:
        if self.phase.predicts:
            return
        if self.phase.first:
            self.goal = np.tile(self.goal_in.recv()[0], (self.params.samples, 1))
            self.network.begin()
            return
        z = self.moved_in.recv()
        if self.phase.last:
            self.told_out.send(self.network.run(z, self.goal)[:, 0])
            self.send_counts()
