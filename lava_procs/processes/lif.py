"""Leaky integrate-and-fire neurons (lava_procs/lif.py), of any shape: (n,) for one network, (S, n) for a batch.

Ports like lava.proc.lif's: a_in takes what a Dense sends, s_out sends spikes 0 or 1 in the same step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from numpy.typing import NDArray

from spikeplan.lava_procs.lif import LIFParams, LIFState, lif_fixed, lif_float


class LIF(AbstractProcess):
    """a_in, s_out: `shape`; u and v are Vars, so that Lava's monitors can watch them."""

    def __init__(self, *, shape: tuple[int, ...], params: LIFParams, name: str = "lif") -> None:
        super().__init__(params=params, name=name)
        params.check_shape(shape)  # after Lava's own part, which its destructor needs
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)


class LIFModel(PyLoihiProcessModel):
    a_in: Any
    s_out: Any
    u: Any
    v: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.params: LIFParams = proc_params["params"]

    def step(self, a: NDArray[Any], state: LIFState) -> tuple[NDArray[np.bool_], LIFState]:
        raise NotImplementedError

    def run_spk(self) -> None:
        fired, state = self.step(self.a_in.recv(), LIFState(self.u, self.v))
        self.u[:], self.v[:] = state
        self.s_out.send(fired)


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class LIFFixed(LIFModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    u: NDArray[np.int64] = LavaPyType(np.ndarray, np.int64)
    v: NDArray[np.int64] = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.params.check_fixed()

    def step(self, a: NDArray[Any], state: LIFState) -> tuple[NDArray[np.bool_], LIFState]:
        return lif_fixed(a, state, self.params)


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class LIFFloat(LIFModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool)
    u: NDArray[np.float64] = LavaPyType(np.ndarray, np.float64)
    v: NDArray[np.float64] = LavaPyType(np.ndarray, np.float64)

    def step(self, a: NDArray[Any], state: LIFState) -> tuple[NDArray[np.bool_], LIFState]:
        return lif_float(a, state, self.params)
