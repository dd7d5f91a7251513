"""What every node of a network graph has: a name, ports, the shape it makes, the largest number it sends.

Arrays are in PyTorch's order: (n,) or (C, H, W). Integers are int64 while they are computed with; a graph of real numbers
runs in float64. `bound` is static: it tells before any run that no sum leaves 64 bits, and where float64 products are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS

Shape = tuple[int, ...]
MAX_VALUES = 1 << 27  # of one array: 1 GB in int64; a file that asks for more is taken for damaged
MAX_PORTS = 8
WORD = 1 << 31  # parameters stay below it


@dataclass(frozen=True, kw_only=True)
class Node:
    """`ports`: inputs that the node takes; None: any number from 1 to MAX_PORTS. `stateful`: whether a step depends on earlier
    ones. `real`: whether it has a form in real numbers."""

    name: str

    ports: ClassVar[int | None] = 1
    stateful: ClassVar[bool] = False
    real: ClassVar[bool] = False

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        """Shape of the output. Raises UserError for inputs that do not fit."""
        return before[0]

    def bound(self, before: tuple[int, ...]) -> int:
        """Largest magnitude of an output whose inputs reach `before`."""
        raise NotImplementedError

    @property
    def limit(self) -> int | None:
        """Largest magnitude of an output whatever comes in; None: it depends on the inputs."""
        return None

    def widest(self, before: tuple[int, ...], shapes: tuple[Shape, ...]) -> int:
        """Largest magnitude on the way to the output; a membrane shifts what it takes in by up to 6 bits."""
        return max((*before, self.bound(before))) << 7

    def arrays(self) -> Iterator[tuple[str, NDArray[Any]]]:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, np.ndarray):
                yield item.name, value

    @property
    def fixed(self) -> bool:
        """Whether every array holds integers."""
        return all(array.dtype.kind in "iu" for _, array in self.arrays())

    def refuse(self, what: str) -> UserError:
        return UserError(f"node '{self.name}' ({type(self).__name__}): {what}")

    def within(self, **limits: tuple[int, int]) -> None:
        """Raises UserError for a field that is no integer from the first number to the second."""
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not low <= value <= high:
                raise self.refuse(f"{name} {str(value)[:40]} must be an integer from {low} to {high}")

    def numbers(self, *names: str, whole: bool = False) -> None:
        """Raises UserError for an array that holds no finite numbers, or (`whole`) no integers within 32 bits."""
        for name in names:
            array = getattr(self, name)
            kinds = "iu" if whole else "iuf"
            if not isinstance(array, np.ndarray) or array.dtype.kind not in kinds or not array.size:
                found = f"{array.dtype}{array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
                raise self.refuse(f"{name} is {found}, expected {'integers' if whole else 'numbers'}")
            if array.size > MAX_VALUES:
                raise self.refuse(f"{name} has {array.size:,} values, at most {MAX_VALUES:,}; split the layer")
            if not np.isfinite(array).all() or np.abs(array.astype(np.float64)).max() >= WORD:
                raise self.refuse(f"{name} holds a value that is not finite or beyond 32 bits")

    def spread(self, name: str, shape: Shape) -> NDArray[Any]:
        """The array of a parameter, broadcast to the neurons of the node."""
        try:
            return np.broadcast_to(getattr(self, name), shape)
        except ValueError as error:
            found = getattr(self, name).shape
            raise self.refuse(f"{name} of shape {found} does not fit neurons of shape {shape}") from error


@dataclass(frozen=True, kw_only=True)
class Input(Node):
    """What comes from outside, one array a step. `spikes`: everything that is not 0 counts as 1. `bits`: of an integer, its
    sign included; one that does not fit is refused when it is given."""

    shape: Shape
    spikes: bool = False
    bits: int = STATE_BITS

    ports: ClassVar[int | None] = 0
    real: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(self.shape))
        whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in self.shape)
        if len(self.shape) not in (1, 3) or not whole or min(self.shape) < 1:
            raise self.refuse(f"shape {self.shape}; expected (n,) or (C, H, W)")
        self.within(bits=(2, 32))
        if np.prod(np.array(self.shape, float)) > MAX_VALUES:
            raise self.refuse(f"shape {self.shape} has more than {MAX_VALUES:,} values; split the input")

    def shape_after(self, before: tuple[Shape, ...]) -> Shape:
        return self.shape

    def bound(self, before: tuple[int, ...]) -> int:
        return 1 if self.spikes else (1 << self.bits - 1) - 1

    @property
    def limit(self) -> int | None:
        return self.bound(())


def taken(node: Input, given: Mapping[str, NDArray[Any]], dtype: Any) -> NDArray[Any]:
    """What an input node sends. Raises UserError for a missing array, another shape, and numbers beyond its width."""
    if node.name not in given:
        raise UserError(f"input '{node.name}' is missing; give one array for each of the network's inputs")
    x = np.asarray(given[node.name])
    check_input(node, x, x.shape, dtype)
    return (x != 0).astype(dtype) if node.spikes else x.astype(dtype)


def check_input(node: Input, x: NDArray[Any], shape: Shape, dtype: Any) -> None:
    """Numbers that an input is given; `shape`: of one step of them."""
    if shape != node.shape:
        raise UserError(f"input '{node.name}' has shape {shape}; expected {node.shape}")
    if dtype == np.int64 and x.dtype.kind not in "iub":
        raise UserError(f"input '{node.name}' is {x.dtype}; a fixed-point network takes integers, quantise it first")
    if not np.isfinite(x).all() or (
        dtype == np.int64 and np.abs(x.astype(np.int64)).max(initial=0) >= 1 << node.bits - 1
    ):
        raise UserError(
            f"input '{node.name}' holds a value that is not finite or beyond {node.bits} bits; scale it down"
        )
