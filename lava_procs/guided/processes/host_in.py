"""Injects one plan's observation: what the host wrote into a file before it let the graph run.

File: int64 [seed, z (D), told (M D), places (K D)], mapped by both sides; the first that the policy is told is its goal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeplan.core.guided_params import GuidedParams
from spikeplan.lava_procs.guided.model import GuidedModel


class HostIn(AbstractProcess):
    """seed_out: (1,); z_out: (D,); goal_out: (M + K, D), what the policy is told, its goal first, and then the places to keep
    out of; latent LSB. All in the first Lava step of a plan."""

    def __init__(self, *, params: GuidedParams, layout: str, path: str, name: str = "host_in") -> None:
        super().__init__(params=params, layout=layout, path=path, name=name)
        self.seed_out = OutPort(shape=(1,))
        self.z_out = OutPort(shape=(params.latent_dim,))
        self.goal_out = OutPort(shape=(params.told + params.places, params.latent_dim))


@implements(proc=HostIn, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class HostInModel(GuidedModel):
    seed_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    z_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    goal_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.words = np.load(proc_params["path"], mmap_mode="r")

    def run_spk(self) -> None:
        if not self.phase.first:
            return
        d = self.params.latent_dim
        self.seed_out.send(np.array(self.words[:1]))
        self.z_out.send(np.array(self.words[1 : 1 + d]))
        self.goal_out.send(np.array(self.words[1 + d :]).reshape(-1, d))
