"""Leaky integrate-and-fire arithmetic of a neurocore, as lava.proc.lif defines it, for any shape.

    u    = decay(u, du + 1) + (a << 6)                    current; a beyond 24 bit wraps around once
    v    = sat24(decay(v, dv) + u + bias),  bias = mant << exp (exp < 0: floor shift)
    s    = v > vth << 6;   v = 0 where s                  u is kept
    decay(x, d) = sgn(x) (|x| (4096 - d) >> 12)

Floating form: u = u (1 - du) + a;  v = v (1 - dv) + u + bias;  s = v > vth;  v = 0 where s.
Units: u, v in state LSB (2^6 per unit of activation); du, dv in 1/4096, or shares in the floating form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit

DECAY_BITS = 12
ALIGN = 6  # activations and thresholds are aligned to the state's top by 6 bits
WRAP = 1 << (STATE_BITS - 1)


class LIFState(NamedTuple):
    u: NDArray[Any]
    v: NDArray[Any]


Number = float | NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class LIFParams:
    """`du`, `dv` are integers out of 4096 for the fixed form and shares for the floating one. Each is one number for all
    neurons, or an array of the population's shape."""

    du: Number = 0
    dv: Number = 0
    vth: Number = 10
    bias_mant: Number = 0
    bias_exp: int = 0

    def check_fixed(self) -> None:
        for name in ("du", "dv"):
            value = np.asarray(getattr(self, name))
            if (value != np.trunc(value)).any() or value.min() < 0 or value.max() >= 1 << DECAY_BITS:
                raise UserError(f"LIF: {name} {getattr(self, name)} must be an integer in [0, 4096) in fixed point")
        if any((np.asarray(value) != np.trunc(value)).any() for value in (self.vth, self.bias_mant)):
            raise UserError(f"LIF: vth {self.vth} and bias_mant {self.bias_mant} must be integers in fixed point")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Refuse parameters that do not fit a population: inside Lava a model that raises is waited for without end."""
        for name in ("du", "dv", "vth", "bias_mant"):
            own = np.asarray(getattr(self, name)).shape
            try:
                fits = np.broadcast_shapes(own, shape) == shape
            except ValueError:
                fits = False
            if not fits:
                raise UserError(
                    f"LIF: {name} of shape {own} does not fit neurons of shape {shape}; give one number, or one each"
                )

    @property
    def bias(self) -> NDArray[np.int64]:
        mant = whole(self.bias_mant)
        return mant << self.bias_exp if self.bias_exp >= 0 else mant >> -self.bias_exp


def whole(x: Number) -> NDArray[np.int64]:
    return np.asarray(x).astype(np.int64)


def decay(x: NDArray[np.int64], d: NDArray[np.int64]) -> NDArray[np.int64]:
    left: NDArray[np.int64] = np.sign(x) * ((np.abs(x) * ((1 << DECAY_BITS) - d)) >> DECAY_BITS)
    return left


def lif_fixed(a: NDArray[np.int64], state: LIFState, p: LIFParams) -> tuple[NDArray[np.bool_], LIFState]:
    u = decay(state.u, whole(p.du) + 1) + (a << ALIGN)
    u = np.where(u > WRAP, u - 2 * WRAP, np.where(u <= -WRAP, u + 2 * WRAP, u))
    top = limit(STATE_BITS)
    v = np.clip(decay(state.v, whole(p.dv)) + u + p.bias, -top, top)
    fired = v > whole(p.vth) << ALIGN
    return fired, LIFState(u, np.where(fired, 0, v))


def lif_float(a: NDArray[np.float64], state: LIFState, p: LIFParams) -> tuple[NDArray[np.bool_], LIFState]:
    u = state.u * (1 - p.du) + a
    v = state.v * (1 - p.dv) + u + p.bias_mant
    fired = v > p.vth
    return fired, LIFState(u, np.where(fired, 0.0, v))
