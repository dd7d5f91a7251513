"""Records a Var of another process, one row a time step, in a .npy file; the row is the value at the end of the step.

What lava.proc.monitor does, without its buffer of Vars: reading that takes one message an element.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol


class Watch(AbstractProcess):
    """`var_ref.connect_var(process.v)`; path: the .npy file (steps, *shape), of type `dtype`."""

    def __init__(
        self, *, path: str, steps: int, shape: tuple[int, ...], dtype: str = "int64", name: str = "watch"
    ) -> None:
        super().__init__(path=path, steps=steps, shape=shape, dtype=dtype, name=name)
        self.var_ref = RefPort(shape=shape)


@implements(proc=Watch, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "floating_pt")
class WatchModel(PyLoihiProcessModel):
    var_ref: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        shape = (proc_params["steps"], *proc_params["shape"])
        open_memmap: Any = np.lib.format.open_memmap  # numpy leaves it untyped
        self.file = open_memmap(proc_params["path"], mode="w+", dtype=proc_params["dtype"], shape=shape)

    def post_guard(self) -> bool:
        return True

    def run_post_mgmt(self) -> None:
        if self.time_step <= len(self.file):
            self.file[self.time_step - 1] = self.var_ref.read()
