"""Compiled wiring, sums, products, gates and norms of the fused executor (fused.py)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph.base import Node, Shape
from spikeplan.core.ir.graph.functions import Concat, GatedRecurrence, Product, RMSNorm, Select, Sum, Table

if TYPE_CHECKING:
    from spikeplan.lava_procs.graph.fused import Compiled

Array = NDArray[Any]
Reads = list[Callable[[], Array]]


def toward_zero(x: Array, bits: int) -> Array:
    """x / 2^bits without the fraction: an arithmetic shift, after adding what makes negative numbers round up."""
    shifted: Array = (x + ((x < 0) * ((1 << bits) - 1))) >> bits
    return shifted


def _select(run: Compiled, node: Select, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    return lambda: reads[0]().reshape(-1)[node.start : node.stop].copy()


def _concat(run: Compiled, node: Concat, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    return lambda: np.concatenate([read().reshape(-1) for read in reads])


def _sum(run: Compiled, node: Sum, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    exps = node.exps or (0,) * len(reads)

    def part(x: Array, e: int) -> Array:
        if not run.graph.fixed:
            return np.ldexp(x, e) if e else x
        return x << e if e >= 0 else toward_zero(x, -e)

    def compute() -> Array:
        total = part(reads[0](), exps[0]).copy()
        for read, e in zip(reads[1:], exps[1:], strict=True):
            total += part(read(), e)
        return total if node.bits is None or not run.graph.fixed else run.clip(node.name, total, node.bits)

    return compute


def _product(run: Compiled, node: Product, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    x, y = reads
    return lambda: run.clip(node.name, toward_zero(x() * y(), node.shift), node.bits)


def _table(run: Compiled, node: Table, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    values, last = node.values.astype(np.int64), len(node.values) - 1
    return lambda: values.take(np.minimum(np.maximum((reads[0]() >> node.shift) + node.offset, 0), last))


def _gated(
    run: Compiled, node: GatedRecurrence, reads: Reads, shapes: list[Shape], reach: list[int]
) -> Callable[[], Array]:
    gate, candidate = reads
    (h,) = run.keep(node, "h")
    one = 1 << node.frac_bits

    def compute() -> Array:
        keep, c = np.minimum(np.maximum(gate(), 0), one), candidate()
        mixed = keep * (h - c) + (c << node.frac_bits)  # keep h + (1 - keep) c
        h[:] = run.clip(node.name, toward_zero(mixed, node.frac_bits), node.bits)
        return h.copy()

    return compute


def _root(x: int) -> int:
    """floor(sqrt(x)) of an integer below 2^62: float64's root, moved by the last step that it may be off."""
    root = int(np.sqrt(float(x)))
    while root * root > x:
        root -= 1
    while (root + 1) * (root + 1) <= x:
        root += 1
    return root


def _rms_norm(run: Compiled, node: RMSNorm, reads: Reads, shapes: list[Shape], reach: list[int]) -> Callable[[], Array]:
    gain = node.gain.astype(np.int64)

    def compute() -> Array:
        x = reads[0]()
        flat = x.reshape(-1)
        size = max(_root(int(np.dot(flat, flat)) // flat.size + node.eps), 1)
        scaled = (x * gain) << node.frac_bits
        quotient = np.floor_divide(np.abs(scaled), size)
        return run.clip(node.name, np.where(scaled < 0, -quotient, quotient), node.bits)

    return compute


COMPILERS: dict[type[Node], Callable[..., Callable[[], Array]]] = {
    Concat: _concat,
    Select: _select,
    Sum: _sum,
    Product: _product,
    Table: _table,
    GatedRecurrence: _gated,
    RMSNorm: _rms_norm,
}
