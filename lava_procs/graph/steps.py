"""What one node computes in one step, for the readable Lava graph: one process a node.

Written from the definitions in core/ir/graph and from neither the reference nor the fused executor, with which it is compared.
Arithmetic is sign and magnitude: a number is its sign times its size, and sizes are shifted. A model is a small class with its
state as attributes; `step(x, t)` takes what its ports received. Units and shapes: core/ir/graph.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph.base import Node, Shape
from spikeplan.core.ir.graph.functions import Concat, GatedRecurrence, Product, RMSNorm, Select, Sum, Table
from spikeplan.core.ir.graph.neurons import LIF, Delta, Integrator, Readout, SigmaDelta
from spikeplan.core.ir.graph.synapses import Conv, Linear, Pool

Array = NDArray[Any]


def fraction_off(x: Array, bits: int) -> Array:
    """sgn(x) (|x| >> bits)."""
    found: Array = np.sign(x) * (np.abs(x) >> bits)
    return found


def up_or_down(x: Array, exp: int) -> Array:
    """x 2^exp; what falls below the point is floored."""
    return np.floor_divide(x, 1 << -exp) if exp < 0 else x * (1 << exp)


def inside(x: Array, bits: int) -> Array:
    most = 2 ** (bits - 1) - 1
    found: Array = np.minimum(np.maximum(x, -most), most)
    return found


def around(x: Array, bits: int) -> Array:
    """Two's complement: the same number modulo 2^bits, from -2^(bits-1) up."""
    found: Array = np.mod(x + 2 ** (bits - 1), 2**bits) - 2 ** (bits - 1)
    return found


class Model:
    """`keeps`: names of the attributes that are state."""

    keeps: tuple[str, ...] = ()

    def __init__(self, node: Any, shape: Shape, dtype: Any) -> None:
        self.node, self.shape, self.dtype = node, shape, dtype
        self.whole = dtype == np.int64
        for name in self.keeps:
            setattr(self, name, np.zeros(shape, dtype))

    def step(self, x: list[Array], t: int) -> Array:
        raise NotImplementedError

    def _weighted(self, a: Array) -> Array:
        if not self.whole:
            return a
        if self.node.wrap_bits is not None:
            a = around(a, self.node.wrap_bits)
        return up_or_down(a, self.node.weight_exp)

    def _bias(self, name: str, t: int) -> Any:
        if t < self.node.bias_start:
            return 0
        mant = getattr(self.node, name)
        return up_or_down(mant.astype(np.int64), self.node.bias_exp) if self.whole else mant


class LinearModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        weight = self.node.weight.astype(self.dtype)
        return self._weighted(weight.dot(x[0].ravel()))


class ConvModel(Model):
    """Every tap of the kernel once, over the whole image."""

    def step(self, x: list[Array], t: int) -> Array:
        node, (_, rows, columns) = self.node, self.shape
        (ph, pw), (sh, sw), (dh, dw) = node.padding, node.stride, node.dilation
        image = np.pad(x[0], ((0, 0), (ph, ph), (pw, pw)))
        outs, ins = len(node.weight) // node.groups, node.weight.shape[1]
        a = np.zeros(self.shape, self.dtype)
        for group in range(node.groups):
            channels = image[group * ins : (group + 1) * ins]
            kernel = node.weight[group * outs : (group + 1) * outs].astype(self.dtype)
            for i in range(kernel.shape[2]):
                for j in range(kernel.shape[3]):
                    seen = channels[:, i * dh : i * dh + sh * rows : sh, j * dw : j * dw + sw * columns : sw]
                    a[group * outs : (group + 1) * outs] += np.tensordot(kernel[:, :, i, j], seen, 1)
        return self._weighted(a)


class PoolModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        node, (_, rows, columns) = self.node, self.shape
        (ph, pw), (sh, sw) = node.padding, node.stride
        image = np.pad(x[0], ((0, 0), (ph, ph), (pw, pw)))
        real = np.pad(np.ones(x[0].shape, bool), ((0, 0), (ph, ph), (pw, pw)))
        found: Array | None = None
        for i in range(node.kernel[0]):
            for j in range(node.kernel[1]):
                window = (slice(None), slice(i, i + sh * rows, sh), slice(j, j + sw * columns, sw))
                tap = image[window]
                if node.kind == "max":
                    lowest = np.iinfo(np.int64).min if self.whole else -np.inf
                    tap = np.where(real[window], tap, lowest)
                    found = tap if found is None else np.maximum(found, tap)
                else:
                    found = tap if found is None else found + tap
        assert found is not None  # a kernel has at least one tap
        if node.kind == "max":
            return found
        return up_or_down(found, node.weight_exp) if self.whole else found * 2.0**node.weight_exp


class _Sender(Model):
    ref: Array

    def _send(self, target: Array) -> Array:
        node = self.node
        owed = target - self.ref
        if node.residue == "lost":
            owed = around(owed, 32)
            loud = (np.abs(owed) >= node.threshold_lsb) & (owed != -(2**31))
            self.ref = np.where(loud, target, self.ref)
            return np.where(loud, up_or_down(owed, -node.shift), 0)
        message = np.where(np.abs(owed) < node.threshold_lsb, 0, fraction_off(owed, node.shift))
        if node.message_bits > 0:
            message = inside(message, node.message_bits)
        self.ref = self.ref + message * 2**node.shift
        return message

    def _fit(self, x: Array, bits: int) -> Array:
        return around(x, 32) if self.node.residue == "lost" else inside(x, bits)


class DeltaModel(_Sender):
    keeps = ("ref",)

    def step(self, x: list[Array], t: int) -> Array:
        return self._send(self._fit(x[0] * 2**self.node.input_exp, self.node.state_bits))


class SigmaDeltaModel(_Sender):
    keeps = ("sigma", "ref")
    sigma: Array

    def step(self, x: list[Array], t: int) -> Array:
        node = self.node
        self.sigma = self._fit(self.sigma + x[0], node.state_bits)
        target = self.sigma + (node.bias if t >= node.bias_start else 0)
        if node.target_bits is not None:
            target = self._fit(target, node.target_bits)
        return self._send(np.where(target < 0, 0, target) if node.act == "relu" else target)


class ReadoutModel(Model):
    keeps = ("sigma",)
    sigma: Array

    def step(self, x: list[Array], t: int) -> Array:
        reached = self.sigma + x[0]
        self.sigma = around(reached, 32) if self.node.wrap else inside(reached, self.node.state_bits)
        return fraction_off(self.sigma + self.node.bias, self.node.shift)


class LIFModel(Model):
    keeps = ("u", "v")
    u: Array
    v: Array

    def step(self, x: list[Array], t: int) -> Array:
        node = self.node
        if self.whole:
            u = fraction_off(self.u * (4095 - node.du.astype(np.int64)), 12) + x[0] * 64 + self._bias("current_bias", t)
            u = np.where(u > 2**23, u - 2**24, u)
            self.u = np.where(u <= -(2**23), u + 2**24, u)
            v = fraction_off(self.v * (4096 - node.dv.astype(np.int64)), 12) + self.u + self._bias("bias", t)
            v, theta, back = inside(v, 24), node.vth.astype(np.int64) * 64, node.v_reset.astype(np.int64) * 64
        else:
            self.u = self.u * (1 - node.du) + x[0] + self._bias("current_bias", t)
            v, theta, back = self.v * (1 - node.dv) + self.u + self._bias("bias", t), node.vth, node.v_reset
        fired: Array = v > theta
        after = v - theta if node.reset == "subtract" else back
        self.v = np.where(fired, after, v)
        return fired.astype(self.dtype)


class IntegratorModel(Model):
    keeps = ("v",)
    v: Array

    def step(self, x: list[Array], t: int) -> Array:
        node = self.node
        if not self.whole:
            self.v = self.v * (1 - node.dv) + x[0] + self._bias("bias", t)
            return self.v
        left = fraction_off(self.v * (4096 - node.dv.astype(np.int64)), 12)
        self.v = inside(left + x[0] * 64 + self._bias("bias", t), 24)
        return fraction_off(self.v, node.shift)


class ConcatModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        return np.hstack([part.ravel() for part in x])


class SelectModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        return x[0].ravel()[np.arange(self.node.start, self.node.stop)]


class SumModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        exps = self.node.exps or (0,) * len(x)
        if not self.whole:
            parts = [part * 2.0**e for part, e in zip(x, exps, strict=True)]
        else:
            parts = [part * 2**e if e >= 0 else fraction_off(part, -e) for part, e in zip(x, exps, strict=True)]
        total: Array = np.add.reduce(parts)
        return inside(total, self.node.bits) if self.whole and self.node.bits is not None else total


class ProductModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        return inside(fraction_off(x[0] * x[1], self.node.shift), self.node.bits)


class TableModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        entry = up_or_down(x[0], -self.node.shift) + self.node.offset
        entry = np.where(entry < 0, 0, np.where(entry >= len(self.node.values), len(self.node.values) - 1, entry))
        found: Array = self.node.values[entry].astype(np.int64)
        return found


class GatedModel(Model):
    keeps = ("h",)
    h: Array

    def step(self, x: list[Array], t: int) -> Array:
        whole = 2**self.node.frac_bits
        keep = np.where(x[0] < 0, 0, np.where(x[0] > whole, whole, x[0]))
        mixed = keep * self.h + (whole - keep) * x[1]
        self.h = inside(fraction_off(mixed, self.node.frac_bits), self.node.bits)
        return self.h


class RMSNormModel(Model):
    def step(self, x: list[Array], t: int) -> Array:
        node = self.node
        mean = int(np.sum(x[0] * x[0])) // x[0].size
        size = isqrt(mean + node.eps) or 1
        scaled = x[0] * node.gain.astype(np.int64) * 2**node.frac_bits
        return inside(np.sign(scaled) * (np.abs(scaled) // size), node.bits)


MODELS: dict[type[Node], Callable[..., Model]] = {
    Linear: LinearModel,
    Conv: ConvModel,
    Pool: PoolModel,
    Delta: DeltaModel,
    SigmaDelta: SigmaDeltaModel,
    Readout: ReadoutModel,
    LIF: LIFModel,
    Integrator: IntegratorModel,
    Concat: ConcatModel,
    Select: SelectModel,
    Sum: SumModel,
    Product: ProductModel,
    Table: TableModel,
    GatedRecurrence: GatedModel,
    RMSNorm: RMSNormModel,
}


def model_of(node: Node, shape: Shape, dtype: Any) -> Model:
    return MODELS[type(node)](node, shape, dtype)
