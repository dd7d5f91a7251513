"""What is neither synapse nor neuron: wiring, sums, products, gates and norms, in fixed point.

    concat     inputs one after the other, flattened
    select     part of the flattened input, start to stop
    sum        sat(sum of the inputs, each << its exponent)                   a negative exponent rounds toward zero
    product    sat(trunc(x y / 2^shift))
    table      table[clip((x >> shift) + offset, 0, len - 1)]                 any pointwise function, in steps
    gated      f = clip(gate, 0, 2^F);  h = sat(trunc((f h + (2^F - f) c) / 2^F))     minGRU (f = 1 - z), MLGRU
    rms_norm   m = floor(sqrt(floor(sum x^2 / n) + eps));  y = sat(trunc(x gain 2^F / max(m, 1)))

sat clips to +-(2^(bits - 1) - 1); trunc rounds toward zero; >> is an arithmetic shift. F is `frac_bits`.
A Loihi 2 neuron's microcode can add, multiply and compare its own registers; a norm needs a sum over a whole layer, so it
takes a neuron that collects and one step more. Shapes: all elementwise but concat, select and the norm's sum.
Sources: minGRU, Feng et al. 2024, eq. 8; MLGRU, Zhu et al. 2024, section 3.3; RMSNorm in fixed point, Abreu et al. 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir.graph.base import MAX_PORTS, Node, Shape

MAX_TABLE = 1 << 16


def _one_shape(node: Node, before: tuple[Shape, ...]) -> Shape:
    if len(set(before)) != 1:
        raise node.refuse(f"inputs of shapes {', '.join(map(str, before))}; expected one shape")
    return before[0]


@dataclass(frozen=True, kw_only=True)
class Concat(Node):
    """Inputs in the order of their ports, each flattened in C order."""

    ports: ClassVar[int | None] = None
    real: ClassVar[bool] = True

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        return (sum(int(np.prod(shape)) for shape in before),)

    def bound(self, before: tuple[int, ...]) -> int:
        return max(before)


@dataclass(frozen=True, kw_only=True)
class Select(Node):
    """Numbers `start` to `stop` (not included) of the flattened input."""

    start: int
    stop: int

    real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.within(start=(0, 1 << 40), stop=(1, 1 << 40))
        if self.stop <= self.start:
            raise self.refuse(f"stop {self.stop} must be above start {self.start}")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        if self.stop > int(np.prod(before[0])):
            raise self.refuse(f"stop {self.stop} is beyond the {int(np.prod(before[0]))} values that feed it")
        return (self.stop - self.start,)

    def bound(self, before: tuple[int, ...]) -> int:
        return before[0]


@dataclass(frozen=True, kw_only=True)
class Sum(Node):
    """`exps`: one exponent an input; () for none. `bits`: to which the sum saturates; None: it stays exact."""

    exps: tuple[int, ...] = ()
    bits: int | None = STATE_BITS

    ports: ClassVar[int | None] = None
    real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "exps", tuple(self.exps))
        if any(not isinstance(e, int) or not -40 <= e <= 31 for e in self.exps) or len(self.exps) > MAX_PORTS:
            raise self.refuse(f"exponents {self.exps} must be up to {MAX_PORTS} integers from -40 to 31")
        if self.bits is not None:
            self.within(bits=(2, 48))

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        if self.exps and len(self.exps) != len(before):
            raise self.refuse(f"{len(self.exps)} exponents for {len(before)} inputs")
        return _one_shape(self, before)

    def bound(self, before: tuple[int, ...]) -> int:
        if self.bits is not None:
            return limit(self.bits)
        exps = self.exps or (0,) * len(before)
        return sum(b << e if e >= 0 else b >> -e for b, e in zip(before, exps, strict=True))

    @property
    def limit(self) -> int | None:
        return None if self.bits is None else limit(self.bits)


@dataclass(frozen=True, kw_only=True)
class _Saturating(Node):
    bits: int = STATE_BITS

    def bound(self, before: tuple[int, ...]) -> int:
        return limit(self.bits)

    @property
    def limit(self) -> int | None:
        return limit(self.bits)


@dataclass(frozen=True, kw_only=True)
class Product(_Saturating):
    """Of two inputs, element by element."""

    shift: int = 0

    ports: ClassVar[int | None] = 2

    def __post_init__(self) -> None:
        self.within(shift=(0, 60), bits=(2, 48))

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        return _one_shape(self, before)

    def widest(self, before: tuple[int, ...], shapes: tuple[Shape, ...]) -> int:
        return before[0] * before[1]


@dataclass(frozen=True, kw_only=True)
class Table(Node):
    """values (entries,): integers, the same for every neuron."""

    values: NDArray[Any]
    offset: int
    shift: int = 0

    def __post_init__(self) -> None:
        self.numbers("values", whole=True)
        self.within(offset=(-(1 << 40), 1 << 40), shift=(0, 60))
        if self.values.ndim != 1 or len(self.values) > MAX_TABLE:
            raise self.refuse(f"values of shape {self.values.shape}; expected one row of at most {MAX_TABLE:,}")

    def bound(self, before: tuple[int, ...]) -> int:
        return int(np.abs(self.values.astype(np.int64)).max())

    @property
    def limit(self) -> int | None:
        return self.bound(())


@dataclass(frozen=True, kw_only=True)
class GatedRecurrence(_Saturating):
    """Ports: gate (2^frac_bits keeps the state, 0 replaces it), candidate. Sends its state."""

    frac_bits: int = 12

    ports: ClassVar[int | None] = 2
    stateful: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.within(frac_bits=(1, 20), bits=(2, 32))

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        return _one_shape(self, before)

    def widest(self, before: tuple[int, ...], shapes: tuple[Shape, ...]) -> int:
        return max(before[0], limit(self.bits) + before[1] << self.frac_bits)


@dataclass(frozen=True, kw_only=True)
class RMSNorm(_Saturating):
    """gain: broadcasts to the input. eps in LSB^2 of the input, at least 1 so that a layer of zeros stays zero."""

    gain: NDArray[Any]
    frac_bits: int = 8
    eps: int = 1

    def __post_init__(self) -> None:
        self.numbers("gain", whole=True)
        self.within(frac_bits=(0, 20), eps=(1, 1 << 40), bits=(2, 48))
        if np.abs(self.gain.astype(np.int64)).max() >= 1 << 16:
            raise self.refuse(f"gain {self.gain.max()} is beyond 16 bits; scale it down")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        self.spread("gain", before[0])
        return before[0]

    def widest(self, before: tuple[int, ...], shapes: tuple[Shape, ...]) -> int:
        squares = before[0] ** 2 * int(np.prod(shapes[0])) + self.eps
        return max(squares, before[0] * int(np.abs(self.gain.astype(np.int64)).max()) << self.frac_bits)
