"""Compiled synapses and windows of the fused executor (fused.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph.base import Node, Shape
from spikeplan.core.ir.graph.graph import EXACT
from spikeplan.core.ir.graph.synapses import Conv, Linear, Pool

if TYPE_CHECKING:
    from spikeplan.lava_procs.graph.fused import Compiled

Array = NDArray[Any]
Reads = list[Callable[[], Array]]
SPARSE = 0.25  # share of active inputs below which only their rows are read


def _scaled(run: Compiled, node: Any, a: Array) -> Array:
    if node.wrap_bits is not None:
        a = run.turn(node.name, a, node.wrap_bits)
    if node.weight_exp > 0:
        a = a << node.weight_exp
    elif node.weight_exp < 0:
        a = a >> -node.weight_exp
    return a


def _exact(weight: Array, reach: list[int]) -> bool:
    """Whether float64 holds every partial sum."""
    rows = np.abs(weight.astype(np.int64)).reshape(len(weight), -1).sum(1)
    return int(rows.max()) * reach[0] < EXACT


def _linear(run: Compiled, node: Linear, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    (read,) = reads
    if not node.fixed:
        weight = node.weight.astype(np.float64)
        return lambda: weight @ read().reshape(-1)
    kind: Any = np.float64 if _exact(node.weight, reach) else np.int64
    weight_IO = np.ascontiguousarray(node.weight.T.astype(kind))

    def compute() -> Array:
        flat = read().reshape(-1)
        active = np.flatnonzero(flat)
        few = len(active) < SPARSE * len(flat)
        a = flat[active].astype(kind) @ weight_IO[active] if few else flat.astype(kind) @ weight_IO
        return _scaled(run, node, a.astype(np.int64))

    return compute


def _padded(shape: Shape, padding: tuple[int, int], kind: Any, fill: float = 0) -> tuple[Array, Array]:
    """A buffer with a border, and the view of its inside."""
    (c, h, w), (ph, pw) = shape, padding
    buffer: Array = np.full((c, h + 2 * ph, w + 2 * pw), fill, kind)
    return buffer, buffer[:, ph : ph + h, pw : pw + w]


def _windows(buffer: Array, kernel: Any, stride: Any, dilation: Any) -> Array:
    """(C, kh, kw, H', W'), a view."""
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    sliding: Any = np.lib.stride_tricks.sliding_window_view
    found: Array = sliding(buffer, reach, axis=(1, 2))
    return found[:, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]].transpose(0, 3, 4, 1, 2)


def _conv(run: Compiled, node: Conv, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    (read,) = reads
    kind: Any = np.float64 if not node.fixed or _exact(node.weight, reach) else np.int64
    buffer, inside = _padded(shapes[0], node.padding, kind)
    windows = _windows(buffer, node.weight.shape[2:], node.stride, node.dilation)
    gathered = np.empty(windows.shape, kind)
    after = run.graph.shapes[node.name]
    rows = gathered.reshape(node.groups, -1, after[1] * after[2])
    kernels = node.weight.reshape(node.groups, after[0] // node.groups, -1).astype(kind)

    def compute() -> Array:
        inside[:] = read()
        gathered[:] = windows
        a: Array = np.matmul(kernels, rows).reshape(after)
        return _scaled(run, node, a.astype(np.int64)) if node.fixed else a

    return compute


def _pool(run: Compiled, node: Pool, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    (read,) = reads
    lowest = np.iinfo(np.int64).min if run.graph.fixed else -np.inf
    buffer, inside = _padded(shapes[0], node.padding, run.dtype, 0 if node.kind == "sum" else lowest)
    windows = _windows(buffer, node.kernel, node.stride, (1, 1))

    def compute() -> Array:
        inside[:] = read()
        a: Array = windows.max((1, 2)) if node.kind == "max" else windows.sum((1, 2))
        if not node.weight_exp:
            return a
        if not run.graph.fixed:
            return np.ldexp(a, node.weight_exp)
        return a << node.weight_exp if node.weight_exp > 0 else a >> -node.weight_exp

    return compute


COMPILERS: dict[type[Node], Callable[..., Callable[[], Array]]] = {Linear: _linear, Conv: _conv, Pool: _pool}
