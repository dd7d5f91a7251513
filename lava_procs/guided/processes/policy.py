"""The spiking policy, all layers and all copies in one process: proposes an action for where each copy imagines to be.

    b[t] = policy([z[t], told])

The stored state of reference previous_step starts at zero in every plan. A batch of copies in one process is a convenience of
the simulation, as in processes/predictor.py of the planning loop.
Shapes: S copies, D latent, A action, M latents that it is told, K places. Units: z, told in latent LSB; b in action LSB.
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


class Policy(NetworkProcess):
    """goal_in: (M + K, D) in step 0, of which the places are left aside; z_in, proposal_out: (S, D), (S, A) in steps 2 t;
    counts_out: (counted,) in the last step, this network's from `offset` on."""

    def __init__(self, *, params: GuidedParams, name: str = "policy", **network: Any) -> None:
        super().__init__(params=params, name=name, **network)
        self.goal_in = InPort(shape=(params.told + params.places, params.latent_dim))
        self.z_in = InPort(shape=(params.samples, params.latent_dim))
        self.proposal_out = OutPort(shape=(params.samples, params.action_dim))


@implements(proc=Policy, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PolicyModel(NetworkModel):
    goal_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    z_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    proposal_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.told = np.zeros((self.params.samples, self.params.told * self.params.latent_dim), np.int64)

    def run_spk(self) -> None:
        if self.phase.first:
            self.told = np.tile(self.goal_in.recv()[: self.params.told].reshape(-1), (self.params.samples, 1))
            self.network.begin()
        if self.phase.proposes:
            self.proposal_out.send(self.network.run(self.z_in.recv(), self.told))
        if self.phase.last:
            self.send_counts()
