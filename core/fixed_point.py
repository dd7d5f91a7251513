"""Fixed-point rules of a Loihi 2 neurocore, in numpy.

    trunc_shift(x, k) = sign(x) * (|x| >> k)        toward zero: Loihi decays magnitude, not value
    saturate(x, bits) = clip to +-(2**(bits-1) - 1) symmetric, so that negation is exact

An arithmetic right shift would round negative numbers down and bias every negative state.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

STATE_BITS = 24
MESSAGE_BITS = 8
WEIGHT_BITS = 8


def limit(bits: int) -> int:
    """Largest magnitude of a signed symmetric number of `bits` bits."""
    return (1 << (bits - 1)) - 1


def trunc_shift(x: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Divide by 2**k, rounding toward zero. x: any shape, int64."""
    if k < 0:
        raise ValueError(f"shift {k}: a right shift must be >= 0")
    quotient: NDArray[np.int64] = np.sign(x) * (np.abs(x) >> k)
    return quotient


def saturate(x: NDArray[np.int64], bits: int) -> tuple[NDArray[np.int64], int]:
    """Clip to a signed symmetric width; returns the clipped values and how many were clipped."""
    top = limit(bits)
    clipped = np.clip(x, -top, top)
    return clipped, int(np.count_nonzero(clipped != x))
