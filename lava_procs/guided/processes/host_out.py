"""Action out, and a record of everything that a plan computed, in files that the host maps.

One .npy file a quantity, written over by the next plan: cost (S,), winner (1,), action (A,), actions (H, S, A), path (H, S, D),
counts (layers + 1,); `done` (1,) holds the number of finished plans.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeplan.core.guided_params import GuidedParams
from spikeplan.lava_procs.guided.model import GuidedModel


class HostOut(AbstractProcess):
    """cost_in: (S,); winner_in: (1,); action_in: (A,); counts_in: (counted,), of all senders together; in the last Lava step
    of a plan. Stepwise: taken_in: (S, A) in steps 2 t + 1, moved_in: (S, D) one step later; fused: actions_in: (H, S, A),
    path_in: (H, S, D). `paths`: name -> file."""

    def __init__(
        self, *, params: GuidedParams, layout: str, counted: int, paths: dict[str, str], name: str = "host_out"
    ) -> None:
        super().__init__(params=params, layout=layout, paths=paths, name=name)
        h, s, a, d = params.horizon, params.samples, params.action_dim, params.latent_dim
        self.cost_in = InPort(shape=(s,))
        self.winner_in = InPort(shape=(1,))
        self.action_in = InPort(shape=(a,))
        self.counts_in = InPort(shape=(counted,))
        self.taken_in = InPort(shape=(s, a))
        self.moved_in = InPort(shape=(s, d))
        self.actions_in = InPort(shape=(h, s, a))
        self.path_in = InPort(shape=(h, s, d))


@implements(proc=HostOut, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class HostOutModel(GuidedModel):
    cost_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    winner_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    action_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    counts_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    taken_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    actions_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    path_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.files = {name: np.load(path, mmap_mode="r+") for name, path in proc_params["paths"].items()}

    def run_spk(self) -> None:
        phase = self.phase
        if phase.predicts:
            self.files["actions"][phase.imagined] = self.taken_in.recv()
        elif not phase.first:
            self.files["path"][phase.imagined - 1] = self.moved_in.recv()
        if not phase.last:
            return
        if phase.first:  # layout fused: one Lava step a plan
            self.files["actions"][:] = self.actions_in.recv()
            self.files["path"][:] = self.path_in.recv()
        for name, port in (
            ("cost", self.cost_in),
            ("winner", self.winner_in),
            ("action", self.action_in),
            ("counts", self.counts_in),
        ):
            self.files[name][:] = port.recv()
        self.files["done"][0] = phase.plan + 1
