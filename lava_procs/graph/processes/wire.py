"""What connects nodes and watches them: sources of inputs, delays of an edge, and records of what a port sends."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeplan.core.ir.graph.base import Shape


class Given(AbstractProcess):
    """Sends one row a step of the .npy file at `path`, (steps, *shape); zeros once they are all sent. tied_in and tied_out
    connect the inputs of a graph with each other: Lava runs what is connected with the process that is started."""

    def __init__(self, *, path: str, shape: Shape, name: str) -> None:
        super().__init__(path=path, shape=shape, name=name)
        self.tied_in = InPort(shape=(1,))
        self.tied_out = OutPort(shape=(1,))
        self.out = OutPort(shape=shape)


class Delay(AbstractProcess):
    """Sends what it received `steps` steps before, zeros until then. It sends first, so it may close a loop."""

    def __init__(self, *, steps: int, shape: Shape, name: str) -> None:
        super().__init__(steps=steps, shape=shape, name=name)
        self.a_in = InPort(shape=shape)
        self.out = OutPort(shape=shape)


class Record(AbstractProcess):
    """Writes one row a step to the .npy file at `path`, (steps, *shape)."""

    def __init__(self, *, path: str, steps: int, shape: Shape, name: str) -> None:
        super().__init__(path=path, steps=steps, shape=shape, name=name)
        self.a_in = InPort(shape=shape)


class GivenModel(PyLoihiProcessModel):
    tied_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    tied_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    out: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.rows = np.load(proc_params["path"], mmap_mode="r")

    def run_spk(self) -> None:
        row = self.time_step - 1
        self.tied_out.send(self.tied_in.recv())
        self.out.send(np.array(self.rows[row]) if row < len(self.rows) else np.zeros_like(self.rows[0]))


class DelayModel(PyLoihiProcessModel):
    a_in: Any
    out: Any
    dtype: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.line = [np.zeros(proc_params["shape"], self.dtype) for _ in range(proc_params["steps"])]

    def run_spk(self) -> None:
        self.out.send(self.line.pop(0))
        self.line.append(self.a_in.recv())


class RecordModel(PyLoihiProcessModel):
    a_in: Any
    dtype: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        shape = (proc_params["steps"], *proc_params["shape"])
        open_memmap: Any = np.lib.format.open_memmap  # numpy leaves it untyped
        self.file = open_memmap(proc_params["path"], mode="w+", dtype=self.dtype, shape=shape)

    def run_spk(self) -> None:
        row = self.a_in.recv()
        if self.time_step <= len(self.file):
            self.file[self.time_step - 1] = row


@implements(proc=Given, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class GivenFixed(GivenModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)


@implements(proc=Given, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class GivenFloat(GivenModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class DelayFixed(DelayModel):
    dtype = np.int64
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)


@implements(proc=Delay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class DelayFloat(DelayModel):
    dtype = np.float64
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.float64)


@implements(proc=Record, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecordFixed(RecordModel):
    dtype = np.int64
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)


@implements(proc=Record, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class RecordFloat(RecordModel):
    dtype = np.float64
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
