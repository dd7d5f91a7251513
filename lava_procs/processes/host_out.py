"""Action out, and a record of everything that a plan computed, in files that the host maps.

One .npy file a quantity, a row an iteration, written over by the next plan: cost (I, S), elite (I, S), fit (I, 2, V, A),
path (I, H, S, D), counts (I, layers + 1). The action is fit[-1, 0, 0]; `done` (1,) holds the number of finished plans.
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

from spikeplan.core.planning import PlanParams
from spikeplan.lava_procs.loop_model import LoopModel


class HostOut(AbstractProcess):
    """cost_in, elite_in: (S,); fit_in: (2, V, A); counts_in: (layers + 1,), all when an iteration ends. Stepwise: moved_in:
    (S, D) in steps 1..H and saturated_in: (1,), of all senders together; fused: path_in: (H, S, D). `paths`: name -> file."""

    def __init__(
        self, *, plan: PlanParams, rollout_steps: int, layers: int, paths: dict[str, str], name: str = "host_out"
    ) -> None:
        super().__init__(plan=plan, rollout_steps=rollout_steps, paths=paths, name=name)
        self.cost_in = InPort(shape=(plan.samples,))
        self.elite_in = InPort(shape=(plan.samples,))
        self.fit_in = InPort(shape=(2, plan.variables, plan.action_dim))
        self.moved_in = InPort(shape=(plan.samples, plan.latent_dim))
        self.path_in = InPort(shape=(plan.horizon, plan.samples, plan.latent_dim))
        self.counts_in = InPort(shape=(layers + 1,))
        self.saturated_in = InPort(shape=(1,))


class HostOutModel(LoopModel):
    cost_in: Any
    elite_in: Any
    fit_in: Any
    moved_in: Any
    path_in: Any
    counts_in: Any
    saturated_in: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.files = {name: np.load(path, mmap_mode="r+") for name, path in proc_params["paths"].items()}

    def run_spk(self) -> None:
        plan, i, step = self.phase
        if step > 0:
            self.files["path"][i, step - 1] = self.moved_in.recv()
        if not self.selecting:
            return
        self.files["counts"][i] = self.counts_in.recv()
        if self.rollout_steps:
            self.files["counts"][i, -1] += self.saturated_in.recv()[0]
        else:
            self.files["path"][i] = self.path_in.recv()
        self.files["cost"][i] = self.cost_in.recv()
        self.files["elite"][i] = self.elite_in.recv()
        self.files["fit"][i] = self.fit_in.recv()
        if i == self.plan.iterations - 1:
            self.files["done"][0] = plan + 1


@implements(proc=HostOut, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class HostOutFixed(HostOutModel):
    cost_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    elite_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fit_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    path_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    counts_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    saturated_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)


@implements(proc=HostOut, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class HostOutFloat(HostOutModel):
    cost_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    elite_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    fit_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    moved_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    path_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    counts_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    saturated_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
