"""Winner takes all: the copy of least cost, the least number among equals; its first action leaves the graph.

Shapes: S copies, A action. Units: cost in 2^cost_shift latent LSB, actions in action LSB.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeplan.core.guided_params import GuidedParams
from spikeplan.lava_procs.guided.arithmetic import least
from spikeplan.lava_procs.guided.model import GuidedModel


class Winner(AbstractProcess):
    """cost_in: (S,); action_in: (S, A), what each copy did first; winner_out: (1,), its number; action_out: (A,). All in the
    last Lava step of a plan."""

    def __init__(self, *, params: GuidedParams, layout: str, name: str = "winner") -> None:
        super().__init__(params=params, layout=layout, name=name)
        self.cost_in = InPort(shape=(params.samples,))
        self.action_in = InPort(shape=(params.samples, params.action_dim))
        self.winner_out = OutPort(shape=(1,))
        self.action_out = OutPort(shape=(params.action_dim,))


@implements(proc=Winner, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class WinnerModel(GuidedModel):
    cost_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    action_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    winner_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    action_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def run_spk(self) -> None:
        if not self.phase.last:
            return
        winner = least(self.cost_in.recv())
        self.winner_out.send(np.array([winner]))
        self.action_out.send(self.action_in.recv()[winner])
