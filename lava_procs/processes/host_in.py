"""Injects one plan's observation: what the host wrote into a file before it let the loop run.

File: int64 [seed, fresh, z (D), goal (D)]; fresh 1: an episode begins, the old plan is not warm-started from.
The file is mapped by both sides: 2 D + 2 words a plan, no `Var.set`, which sends one message an element.
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

from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.loop_model import LoopModel


class HostIn(AbstractProcess):
    """start_out: [seed, fresh]; z_out, goal_out: (D,), latent LSB; all in the first step of a plan."""

    def __init__(self, *, plan: PlanParams, rollout_steps: int, path: str, name: str = "host_in") -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, path=path, name=name)
        self.start_out = OutPort(shape=(2,))
        self.z_out = OutPort(shape=(plan.latent_dim,))
        self.goal_out = OutPort(shape=(plan.latent_dim,))


@implements(proc=HostIn, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class HostInModel(LoopModel):
    start_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    z_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    goal_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.words = np.load(proc_params["path"], mmap_mode="r")

    def run_spk(self) -> None:
        if not self.phase.first:
            return
        d = self.plan.latent_dim
        self.start_out.send(np.array(self.words[:2]))
        self.z_out.send(np.array(self.words[2 : 2 + d]))
        self.goal_out.send(np.array(self.words[2 + d :]))
