"""Latent state: holds z of every copy and adds the predictor's change once an imagined step.

    z[0] = observation;   z[t+1] = sat24(z[t] + value[t])

Shapes: S copies, D latent. Units: latent LSB.
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
from spikeplan.lava_procs.guided.model import GuidedModel
from spikeplan.lava_procs.planning import advance


class Latent(AbstractProcess):
    """start_in: (D,) in step 0; z_out: (S, D) to policy and predictor in steps 2 t; value_in: (S, D) of the step before and
    moved_out: (S, D), in the same steps but the first, and in the last; counts_out: (counted,) in the last step, how many
    latents were clipped."""

    def __init__(self, *, params: GuidedParams, layout: str, counted: int, name: str = "latent") -> None:
        super().__init__(params=params, layout=layout, counted=counted, name=name)
        shape = (params.samples, params.latent_dim)
        self.start_in = InPort(shape=(params.latent_dim,))
        self.value_in = InPort(shape=shape)
        self.z_out = OutPort(shape=shape)
        self.moved_out = OutPort(shape=shape)
        self.counts_out = OutPort(shape=(counted,))


@implements(proc=Latent, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LatentModel(GuidedModel):
    start_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    value_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    z_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    moved_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.z = np.zeros((self.params.samples, self.params.latent_dim), np.int64)
        self.counts = np.zeros(proc_params["counted"], np.int64)

    def run_spk(self) -> None:
        if self.phase.predicts:
            return
        if self.phase.first:
            self.z = np.tile(self.start_in.recv(), (self.params.samples, 1))
            self.counts[-1] = 0
        else:
            self.z, clipped = advance(self.z, self.value_in.recv())
            self.counts[-1] += clipped
            self.moved_out.send(self.z)
        if self.phase.proposes:
            self.z_out.send(self.z)
        if self.phase.last:
            self.counts_out.send(self.counts)
