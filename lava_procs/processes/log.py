"""Records whatever a port sends, one row a time step, in a .npy file: messages, spikes, counts, of any shape.

The file is mapped memory of the process itself: `Var.get` would send one message an element. Steps beyond `steps` are
received and dropped. One model serves both precisions, the rows have the type of the file.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Log(AbstractProcess):
    """a_in: `shape`. path: the .npy file (steps, *shape), of type `dtype`; zeros where no step has run."""

    def __init__(
        self, *, path: str, steps: int, shape: tuple[int, ...], dtype: str = "int64", name: str = "log"
    ) -> None:
        super().__init__(path=path, steps=steps, shape=shape, dtype=dtype, name=name)
        self.a_in = InPort(shape=shape)


@implements(proc=Log, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class LogModel(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        shape = (proc_params["steps"], *proc_params["shape"])
        open_memmap: Any = np.lib.format.open_memmap  # numpy leaves it untyped
        self.file = open_memmap(proc_params["path"], mode="w+", dtype=proc_params["dtype"], shape=shape)

    def run_spk(self) -> None:
        row = self.a_in.recv()
        if self.time_step <= len(self.file):
            self.file[self.time_step - 1] = row
