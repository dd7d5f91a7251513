"""What happens to every pixel of the simulated sensor between two frames, before any of them fires.

    level   the low-pass: tau dy/dt = x - y, exact for x running straight between the frames; tau = 1 / (2 pi cutoff)
    slope   (change of level + leak_hz theta_on span) / span           ln per us; the gap follows it from event to event
    gap     gap + slope (span - held)                                  at the end of the span, if nothing fires
    could   the gap's end reaches a threshold, within NEAR

One compiled pass where numba is installed, else numpy: the same operations in the same order, so equal to the bit.
Shapes: (B, H, W) in the state, flat here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikeplan.eventdata.compiled import compiled

NEAR = 1 - 1e-9  # of a threshold: far more than the rounding of a crossing time, far less than a pixel that matters
FloatBHW = NDArray[np.float64]
Flat = NDArray[np.float64]


class DvsState(NamedTuple):
    """Everything a step needs; float64, so that hours of steps do not drift."""

    t_us: int
    log_BHW: FloatBHW  # ln of the last frame
    level_BHW: FloatBHW  # after the low-pass
    gap_BHW: FloatBHW  # level minus the pixel's reference, leak included
    release_us_BHW: NDArray[np.int64]  # end of the dead time
    theta_on_BHW: FloatBHW
    theta_off_BHW: FloatBHW
    leak_hz_BHW: FloatBHW


class Glide(NamedTuple):
    level: Flat
    slope: Flat
    gap: Flat
    could: NDArray[np.bool_]


def glide(state: DvsState, log_BHW: FloatBHW, span_us: int, cutoff_hz: float | None) -> Glide:
    """The new arrays; `state` and `log_BHW` stay as they are."""
    size = log_BHW.size
    tau_us = 0.0 if cutoff_hz is None else 1e6 / (2 * np.pi * cutoff_hz)
    trail = tau_us / span_us  # how far y trails a ramp once settled, in units of the ramp's rise
    decay = 0.0 if cutoff_hz is None else float(np.exp(-span_us / tau_us))
    fast = compiled()
    if fast is None:
        return _glide(state, log_BHW, span_us, cutoff_hz is not None, trail, decay)
    new = Glide(np.empty(size), np.empty(size), np.empty(size), np.empty(size, bool))
    before = (
        state.log_BHW,
        log_BHW,
        state.level_BHW,
        state.gap_BHW,
        state.release_us_BHW,
        state.theta_on_BHW,
        state.theta_off_BHW,
        state.leak_hz_BHW,
    )
    flat = (np.ascontiguousarray(array).reshape(-1) for array in before)
    fast.glide(*flat, state.t_us, span_us, cutoff_hz is not None, trail, decay, NEAR, *new)
    return new


def _glide(state: DvsState, log_BHW: FloatBHW, span_us: int, low_pass: bool, trail: float, decay: float) -> Glide:
    level = log_BHW
    if low_pass:
        lag = (log_BHW - state.log_BHW) * trail
        level = log_BHW - lag + (state.level_BHW - state.log_BHW + lag) * decay
    rise = level - state.level_BHW + state.leak_hz_BHW * state.theta_on_BHW * (span_us * 1e-6)
    slope = rise / span_us
    held_us = np.clip(state.release_us_BHW - state.t_us, 0, span_us)
    gap = state.gap_BHW + slope * (span_us - held_us)
    could = (gap >= state.theta_on_BHW * NEAR) | (gap <= -state.theta_off_BHW * NEAR)
    return Glide(level.flatten(), slope.flatten(), gap.flatten(), could.flatten())
