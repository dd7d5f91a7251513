"""A whole sigma-delta network, Dense and Conv layers, in one process (lava_procs/network.py).

Sends what its last layer computes from the messages of the step before, then receives: like lava.proc's Dense it may stand
in a loop, and an input reaches the output after one step a layer of synapses, as in a chain of Lava's own processes.
Ports have Lava's order, (W, H, C) or (n,); the Vars hold the layers' states one after the other, each (C, H, W) flattened.
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

from spikeplan.core.ir import network as description
from spikeplan.lava_procs.network import SigmaDeltaNetwork, check


class Network(AbstractProcess):
    """a_in: the input; s_out: the last layer's messages; counts_out (layers + 1,): messages of every layer that were not
    zero, and the values that overflowed since the start. sigma, ref: Vars (neurons,) for Lava's monitors.
    residue: "owed", or "lost" as in lava.proc.sdn."""

    def __init__(self, *, network: description.Network, residue: str = "owed", name: str = "network") -> None:
        check(network, residue)  # here, since Lava waits for ever when a model raises
        super().__init__(network=network, residue=residue, name=name)
        neurons = sum(layer.n for layer in network.layers)
        self.a_in = InPort(shape=network.input_shape[::-1])
        self.s_out = OutPort(shape=network.output_shape[::-1])
        self.counts_out = OutPort(shape=(len(network.layers) + 1,))
        self.sigma = Var(shape=(neurons,), init=0)
        self.ref = Var(shape=(neurons,), init=0)


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NetworkFixed(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    counts_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    sigma: NDArray[np.int64] = LavaPyType(np.ndarray, np.int64)
    ref: NDArray[np.int64] = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.network = SigmaDeltaNetwork(proc_params["network"], residue=proc_params["residue"])

    def run_spk(self) -> None:
        self.s_out.send(self.network.output().transpose())
        self.network.input(self.a_in.recv().transpose())
        self.sigma, self.ref = self.network.all_sigma, self.network.all_ref
        self.counts_out.send(np.array([*self.network.messages, self.network.overflows]))
