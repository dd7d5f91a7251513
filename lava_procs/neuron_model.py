"""What the three neuron families have in common on Lava: ports, stored contexts and the pipe.

A pass enters the chain at every time step and moves on by one layer per step, because Dense sends what it summed in
the step before. The token of a pass (core/ir/contexts.py) has to arrive together with its data, so a neuron group
passes tokens on in the same way: first it sends the token it received in the step before, then it receives. Layer l
of the chain thus works on pass t - l at step t, and no process needs to know how deep in the chain it sits.

Probe row, for the recorder: [number, saturated neurons, out (n), sigma (n), ref (n)].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from numpy.typing import NDArray

from spikeplan.core.ir import contexts as control
from spikeplan.lava_procs.neurons import NeuronParams


def probe_width(n: int) -> int:
    return 2 + 3 * n


class NeuronGroup(AbstractProcess):
    """n neurons with `contexts` stored contexts. a_in: activation; s_out: messages; probe_out: see above."""

    def __init__(self, *, params: NeuronParams, contexts: int, name: str) -> None:
        super().__init__(params=params, name=name)
        n = params.n
        self.control_in = InPort(shape=(control.TOKEN,))
        self.a_in = InPort(shape=(n,))
        self.control_out = OutPort(shape=(control.TOKEN,))
        self.s_out = OutPort(shape=(n,))
        self.probe_out = OutPort(shape=(probe_width(n),))
        self.token = Var(shape=(control.TOKEN,), init=0)
        self.state = Var(shape=(2, n), init=0)
        self.slots = Var(shape=(contexts, 2, n), init=0)


class NeuronModel(PyLoihiProcessModel):
    """One time step of any family; `step` is the family's arithmetic. Lava fills in the ports and Vars by name."""

    control_in: Any
    a_in: Any
    control_out: Any
    s_out: Any
    probe_out: Any
    token: Any
    state: Any
    slots: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.params: NeuronParams = proc_params["params"]

    def step(self, a: NDArray[Any], sigma: NDArray[Any], ref: NDArray[Any]) -> tuple[Any, Any, Any, int]:
        """(activation, sigma, ref) -> (out, sigma, ref, saturated neurons)."""
        raise NotImplementedError

    def run_spk(self) -> None:
        self.control_out.send(self.token)
        self.token = self.control_in.recv()
        a = self.a_in.recv()
        number, load, save = (int(entry) for entry in self.token)
        if number == 0:  # a bubble; Dense sums zeros for it
            out, saturated = np.zeros_like(a), 0
        else:
            sigma, ref = control.enter(self.state, self.slots, load)
            out, sigma, ref, saturated = self.step(a, sigma, ref)
            self.state = np.stack([sigma, ref])
            control.leave(self.state, self.slots, save)
        self.s_out.send(out)
        self.probe_out.send(np.concatenate([[number, saturated], out, *self.state]))


class FixedModel(NeuronModel):
    """Ports and state in integers. Messages are int32 because Dense multiplies them with int32 weights."""

    control_in = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    a_in = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    control_out = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    s_out = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    probe_out = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    token = LavaPyType(np.ndarray, np.int64)
    state = LavaPyType(np.ndarray, np.int64)
    slots = LavaPyType(np.ndarray, np.int64)


class FloatModel(NeuronModel):
    """Ports and state in float64; tokens stay integers."""

    control_in = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    a_in = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    control_out = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    s_out = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    probe_out = LavaPyType(PyOutPort.VEC_DENSE, np.float64)
    token = LavaPyType(np.ndarray, np.int64)
    state = LavaPyType(np.ndarray, np.float64)
    slots = LavaPyType(np.ndarray, np.float64)
