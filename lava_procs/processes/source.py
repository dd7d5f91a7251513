"""Feeds the chain: at every time step one pass, its input vector x and its token; bubbles when the list is at its end.

One model serves both precisions: inputs are integers by contract, and the float coder adds them to float zeros.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray


class Source(AbstractProcess):
    """x: (P, n) int64; tokens: (P, 3) int64."""

    def __init__(self, *, x: NDArray[np.int64], tokens: NDArray[np.int64], name: str = "source") -> None:
        super().__init__(name=name)
        self.x_out = OutPort(shape=(x.shape[1],))
        self.control_out = OutPort(shape=(tokens.shape[1],))
        self.x = Var(shape=x.shape, init=x)
        self.tokens = Var(shape=tokens.shape, init=tokens)


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class SourceModel(PyLoihiProcessModel):
    x_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    control_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    x: NDArray[np.int64] = LavaPyType(np.ndarray, np.int64)
    tokens: NDArray[np.int64] = LavaPyType(np.ndarray, np.int64)

    def run_spk(self) -> None:
        row = self.time_step - 1  # Lava counts time steps from 1
        if row < len(self.x):
            self.x_out.send(self.x[row])
            self.control_out.send(self.tokens[row])
        else:
            self.x_out.send(np.zeros_like(self.x[0]))
            self.control_out.send(np.zeros_like(self.tokens[0]))
