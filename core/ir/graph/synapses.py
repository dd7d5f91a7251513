"""Synapses: what multiplies messages with weights. They keep no state; a delay is a property of the edge.

    linear    a = (W s) << weight_exp           the input is flattened in C order
    conv      a = (K * s) << weight_exp         correlation, kernels (C_out, C_in / groups, H, W)
    pool      the sum or the largest of a window; a sum << weight_exp, so that -2 averages four

A negative exponent is an arithmetic right shift. `wrap_bits` wraps the sum before it is shifted, as Lava's stock processes do
(32 for Dense, 24 for Conv); None: the sum is exact. `weight_bits` is what a weight takes in the chip's memory, its sign
included: 2 holds -1, 0, 1 (ternary), b holds +-(2^(b-1) - 1), and 9 is Loihi's 8 bits and a sign, -256 to 255.
`sparse`: zeros are not stored and set off no synop, and each weight that is stored takes `index_bits` more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph.base import Node, Shape

WEIGHT_BITS = (2, 4, 6, 8, 9)
INDEX_BITS = 8  # of a stored sparse weight: the distance to the one before it
POOLS = ("sum", "max")


@dataclass(frozen=True, kw_only=True)
class _Weighted(Node):
    """weight: integers or real numbers; its first axis is that of the outputs."""

    weight: NDArray[Any]
    weight_exp: int = 0
    weight_bits: int = 9
    sparse: bool = False
    index_bits: int = INDEX_BITS
    wrap_bits: int | None = None

    real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.numbers("weight")
        self.within(weight_exp=(-31, 31), weight_bits=(1, 32), index_bits=(1, 32))
        if self.wrap_bits is not None:
            self.within(wrap_bits=(2, 48))
        if not self.fixed:
            if self.weight_exp or self.wrap_bits is not None:
                raise self.refuse("real weights take no weight_exp and no wrap_bits; scale the weights")
            return
        if self.weight_bits not in WEIGHT_BITS:
            raise self.refuse(f"weight_bits {self.weight_bits}; use one of {', '.join(map(str, WEIGHT_BITS))}")
        low, high = weight_range(self.weight_bits)
        if self.weight.min() < low or self.weight.max() > high:
            raise self.refuse(
                f"weights from {self.weight.min()} to {self.weight.max()} do not fit {self.weight_bits} bits, {low} to {high}; "
                "raise weight_bits or scale them"
            )

    @property
    def stored(self) -> int:
        """Weights in the chip's memory."""
        return int(np.count_nonzero(self.weight)) if self.sparse else int(self.weight.size)

    @property
    def stored_bits(self) -> int:
        """Of the weights and, where only those that are not zero are stored, of their indices."""
        return self.stored * (self.weight_bits + (self.index_bits if self.sparse else 0))

    def bound(self, before: tuple[int, ...]) -> int:
        rows = np.abs(self.weight.astype(np.int64)).reshape(len(self.weight), -1).sum(1)
        reached = int(rows.max()) * before[0]
        if self.wrap_bits is not None:
            reached = min(reached, 1 << self.wrap_bits - 1)
        return reached << self.weight_exp if self.weight_exp >= 0 else (reached >> -self.weight_exp) + 1


def weight_range(bits: int) -> tuple[int, int]:
    """Smallest and largest weight of so many bits."""
    return (-256, 255) if bits == 9 else (1 - (1 << bits - 1), (1 << bits - 1) - 1)


@dataclass(frozen=True, kw_only=True)
class Linear(_Weighted):
    """weight (n_out, n_in).

    >>> Linear(name="w", weight=np.array([[1, -1, 0]]), weight_bits=2, sparse=True).stored
    2
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight.ndim != 2:
            raise self.refuse(f"weight of shape {self.weight.shape}; expected (n_out, n_in)")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        if int(np.prod(before[0])) != self.weight.shape[1]:
            raise self.refuse(f"takes {self.weight.shape[1]} inputs, but what feeds it has shape {before[0]}")
        return (self.weight.shape[0],)


def windows_after(node: Node, before: Shape, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Shape:
    """Rows and columns that a window takes over an image."""
    size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(before[1:], kernel, stride, padding, dilation, strict=True)
    ]
    if min(size) < 1:
        raise node.refuse(f"a window of {tuple(kernel)} is larger than its padded input {before}")
    return tuple(size)


def _pairs(node: Any, least: dict[str, int]) -> None:
    for name, low in least.items():
        pair = tuple(getattr(node, name))
        if len(pair) != 2 or any(not isinstance(n, int | np.integer) or not low <= n <= 127 for n in pair):
            raise node.refuse(f"{name} {pair}; expected two integers from {low} to 127, vertical and horizontal")
        object.__setattr__(node, name, pair)


@dataclass(frozen=True, kw_only=True)
class Conv(_Weighted):
    """weight (C_out, C_in / groups, H, W); stride, padding and dilation are (vertical, horizontal)."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.weight.ndim != 4:
            raise self.refuse(f"weight of shape {self.weight.shape}; expected (C_out, C_in / groups, H, W)")
        _pairs(self, {"stride": 1, "padding": 0, "dilation": 1})
        self.within(groups=(1, 1 << 20))
        if self.weight.shape[0] % self.groups:
            raise self.refuse(f"{self.weight.shape[0]} output channels do not divide into {self.groups} groups")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        channels = self.weight.shape[1] * self.groups
        if len(before[0]) != 3 or before[0][0] != channels:
            raise self.refuse(f"takes ({channels}, H, W), but what feeds it has shape {before[0]}")
        size = windows_after(self, before[0], self.weight.shape[2:], self.stride, self.padding, self.dilation)
        return (self.weight.shape[0], *size)


@dataclass(frozen=True, kw_only=True)
class Pool(Node):
    """Windows of each channel. `kind` sum: their sum << weight_exp; max: their largest value (padding never wins)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    kind: str = "sum"
    weight_exp: int = 0

    real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _pairs(self, {"kernel": 1, "stride": 1, "padding": 0})
        self.within(weight_exp=(-31, 31))
        if self.kind not in POOLS:
            raise self.refuse(f"kind {self.kind!r:.40} is unknown; use {' or '.join(POOLS)}")
        if self.kind == "max" and self.weight_exp:
            raise self.refuse("the largest of a window takes no weight_exp; leave it 0")
        if any(2 * p > k for p, k in zip(self.padding, self.kernel, strict=True)):
            raise self.refuse(f"padding {self.padding} is more than half of the kernel {self.kernel}; lower it")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        if len(before[0]) != 3:
            raise self.refuse(f"takes (C, H, W), but what feeds it has shape {before[0]}")
        return (before[0][0], *windows_after(self, before[0], self.kernel, self.stride, self.padding, (1, 1)))

    def bound(self, before: tuple[int, ...]) -> int:
        if self.kind == "max":
            return before[0]
        reached = before[0] * self.kernel[0] * self.kernel[1]
        return reached << self.weight_exp if self.weight_exp >= 0 else (reached >> -self.weight_exp) + 1
