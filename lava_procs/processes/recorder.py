"""Writes the probe rows of one layer to a .npy file, row number - 1 for pass number; bubbles are dropped.

The file is mapped memory of the recorder's own process: `Var.get` would send one message an element. One model serves
both precisions, the rows keep the type of the port that sends them.
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


class Recorder(AbstractProcess):
    """path: the .npy file, created with `rows` rows of `width` numbers of type `dtype`."""

    def __init__(self, *, path: str, rows: int, width: int, dtype: str, name: str) -> None:
        super().__init__(path=path, rows=rows, width=width, dtype=dtype, name=name)
        self.probe_in = InPort(shape=(width,))


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class RecorderModel(PyLoihiProcessModel):
    probe_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        shape = (proc_params["rows"], proc_params["width"])
        open_memmap: Any = np.lib.format.open_memmap  # numpy leaves it untyped
        self.file = open_memmap(proc_params["path"], mode="w+", dtype=proc_params["dtype"], shape=shape)

    def run_spk(self) -> None:
        row = self.probe_in.recv()
        number = int(row[0])
        if number > 0:
            self.file[number - 1] = row
