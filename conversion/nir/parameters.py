"""Shapes and parameters of NIR's nodes as ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import Shape

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Value:
    """What a NIR node makes: the sum that node `name` of ours sends, times `gain`, plus `offset`."""

    name: str
    shape: Shape
    gain: float = 1.0
    offset: Floats | None = None


def shape_of(size: NDArray[Any]) -> Shape:
    """Ours of NIR's: leading axes of one (a batch) are dropped, (C, L) is an image of one row."""
    shape = [int(n) for n in size]
    while len(shape) > 3 or (len(shape) > 1 and shape[0] == 1 and len(shape) != 3):
        if shape[0] != 1:
            raise UserError(f"shape {tuple(shape)}; expected (n,), (C, L) or (C, H, W)")
        shape = shape[1:]
    if len(shape) == 3 and shape[:2] == [1, 1]:
        shape = shape[2:]
    return (shape[0], 1, shape[1]) if len(shape) == 2 else tuple(shape)


def against(factor: Floats, shape: Shape) -> tuple[int, ...]:
    """Axes of a factor of an image: one a channel, or one a pixel."""
    if factor.size in (1, shape[0]) and factor.ndim <= 1:
        return (factor.size, 1, 1)
    return factor.shape


def per_neuron(node: Any, key: str, shape: Shape) -> Floats:
    """A parameter, broadcast to the neurons."""
    found = numbers(getattr(node, key), key)
    if found.size == 1:
        return np.broadcast_to(found.reshape(()), shape).copy()
    if found.size == int(np.prod(shape)):
        return found.reshape(shape)
    try:
        return np.broadcast_to(found, shape).copy()
    except ValueError as error:
        raise UserError(f"{found.size} values of {key} for neurons of shape {shape}") from error


def narrow(array: Floats, shape: Shape) -> Floats:
    """One number where all neurons have the same."""
    whole = np.broadcast_to(array, shape)
    return whole.reshape(-1)[:1].copy() if (whole == whole.reshape(-1)[0]).all() else whole.copy()


def numbers(value: Any, what: str) -> Floats:
    """Raises UserError for what holds no finite numbers."""
    found = np.asarray(value)
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise UserError(f"{what} is {found.dtype} and must be finite numbers")
    return found.astype(np.float64)
