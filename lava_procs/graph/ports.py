"""Ports of a process that takes any number of inputs up to MAX_PORTS, in integers and in real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.model.py.ports import PyInPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort

from spikeplan.core.ir.graph.base import MAX_PORTS, Shape


def open_ports(process: Any, before: tuple[Shape, ...]) -> None:
    """in0, in1, ... of a Lava process, with the shapes of what feeds them; one that nothing feeds takes a single number."""
    for port in range(MAX_PORTS):
        setattr(process, f"in{port}", InPort(shape=before[port] if port < len(before) else (1,)))


class IntegerPorts:
    dtype: Any = np.int64
    in0: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in3: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in4: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in5: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in6: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    in7: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)


class RealPorts:
    dtype: Any = np.float64
    in0: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    in1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    in2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    in3: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    in4: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    in5: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    in6: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
    in7: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.float64)
