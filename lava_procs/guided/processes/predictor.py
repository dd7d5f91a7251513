"""The spiking predictor, all layers and all copies in one process: what an action changes in what a copy imagines.

    value[t] = predictor([z[t], a[t]])

The stored state of reference previous_step starts at zero in every plan.
Shapes: S copies, D latent, A action. Units: z and value in latent LSB, actions in action LSB.
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


class Predictor(NetworkProcess):
    """z_in: (S, D) of the step before, action_in: (S, A), value_out: (S, D), all in steps 2 t + 1; counts_out: (counted,) in
    the last step, this network's from `offset` on."""

    def __init__(self, *, params: GuidedParams, name: str = "predictor", **network: Any) -> None:
        super().__init__(params=params, name=name, **network)
        self.z_in = InPort(shape=(params.samples, params.latent_dim))
        self.action_in = InPort(shape=(params.samples, params.action_dim))
        self.value_out = OutPort(shape=(params.samples, params.latent_dim))


@implements(proc=Predictor, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PredictorModel(NetworkModel):
    z_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    action_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    value_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def run_spk(self) -> None:
        if self.phase.first:
            self.network.begin()
        if self.phase.predicts:
            self.value_out.send(self.network.run(self.z_in.recv(), self.action_in.recv()))
        if self.phase.last:
            self.send_counts()
