"""One pass over the events in machine code (numba), for `representations`, `filters` and the simulator.

Each function has an exact numpy twin beside its caller, and the tests hold the two to `==`. A coordinate outside the
sensor or a stamp that goes back stops the loop with its index; the caller words the error. This module imports numba at
its top, so it is imported only by `compiled()` in spikeplan.eventdata.compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numpy.typing import NDArray

DONE = -1  # no offender


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """Kept on disk beside the package or in the user's cache; where neither can be written, compiled anew each run."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:
        return numba.njit(nogil=True)(function)


@_compile
def scatter(
    x: NDArray[Any],
    y: NDArray[Any],
    t: NDArray[Any],
    p: NDArray[Any],
    edges: NDArray[Any],
    height: int,
    width: int,
    channel: NDArray[Any],
    weight: NDArray[Any],
    out: NDArray[Any],
) -> int:
    """out[bin, channel[p], y, x] += weight[p]. Event times lie in [edges[0], edges[-1]), edges rise: no division."""
    flat = out.reshape(-1)
    area = height * width
    frame = out.shape[1] * area
    last_bin = len(edges) - 2
    bin_, previous = 0, edges[0]
    for i in range(len(t)):
        at, column, row = t[i], int(x[i]), int(y[i])
        if at < previous or column >= width or row >= height:
            return i
        previous = at
        while bin_ < last_bin and at >= edges[bin_ + 1]:
            bin_ += 1
        on = int(p[i])
        flat[bin_ * frame + channel[on] * area + row * width + column] += weight[on]
    return DONE


@_compile
def scatter_linear(
    x: NDArray[Any],
    y: NDArray[Any],
    t: NDArray[Any],
    p: NDArray[Any],
    edges: NDArray[Any],
    start: int,
    span: int,
    height: int,
    width: int,
    channel: NDArray[Any],
    weight: NDArray[Any],
    pair: NDArray[Any],
    out: NDArray[Any],
) -> int:
    """Share each event between two bins: span - r to the left one, r to the right, in integers; out = sums / span.

    Only the open bin and its right neighbour are at work, side by side in `pair` (cells, 2): half the cache misses.
    """
    flat = out.reshape(-1)
    area = height * width
    cells = len(pair)
    steps = len(edges) - 2  # bins - 1 intervals; the last edge closes the one that holds t = start + span alone
    bin_, previous = 0, start
    for i in range(len(t)):
        at, column, row = t[i], int(x[i]), int(y[i])
        if at < previous or column >= width or row >= height:
            return i
        previous = at
        while bin_ < steps and at >= edges[bin_ + 1]:
            for cell in range(cells):
                flat[bin_ * cells + cell] = pair[cell, 0] / span
                pair[cell, 0] = pair[cell, 1]
                pair[cell, 1] = 0
            bin_ += 1
        on = int(p[i])
        cell = channel[on] * area + row * width + column
        right = (at - start) * steps - bin_ * span
        pair[cell, 0] += weight[on] * (span - right)
        pair[cell, 1] += weight[on] * right
    for cell in range(cells):
        flat[bin_ * cells + cell] = pair[cell, 0] / span
    if bin_ < steps:
        for cell in range(cells):
            flat[(bin_ + 1) * cells + cell] = pair[cell, 1] / span
    return DONE


@_compile
def supported(
    x: NDArray[Any],
    y: NDArray[Any],
    t: NDArray[Any],
    window: int,
    diagonal: bool,
    last: NDArray[Any],
    keep: NDArray[Any],
) -> int:
    """keep[i]: a neighbour's last event is younger than `window`. `last` has a border of one, filled with "long ago"."""
    height, width = last.shape[0] - 2, last.shape[1] - 2
    previous = t[0] if len(t) else 0
    for i in range(len(t)):
        at, column, row = t[i], int(x[i]) + 1, int(y[i]) + 1
        if at < previous or column > width or row > height:
            return i
        previous = at
        newest = max(
            max(last[row - 1, column], last[row + 1, column]), max(last[row, column - 1], last[row, column + 1])
        )
        if diagonal:
            above = max(last[row - 1, column - 1], last[row - 1, column + 1])
            newest = max(newest, max(above, max(last[row + 1, column - 1], last[row + 1, column + 1])))
        keep[i] = at - newest < window
        last[row, column] = at
    return DONE


@_compile
def rested(x: NDArray[Any], y: NDArray[Any], t: NDArray[Any], dead: int, last: NDArray[Any], keep: NDArray[Any]) -> int:
    """keep[i]: `dead` or more has passed since the pixel's last *kept* event. `last` is filled with "long ago"."""
    height, width = last.shape
    previous = t[0] if len(t) else 0
    for i in range(len(t)):
        at, column, row = t[i], int(x[i]), int(y[i])
        if at < previous or column >= width or row >= height:
            return i
        previous = at
        ready = at - last[row, column] >= dead
        keep[i] = ready
        if ready:
            last[row, column] = at
    return DONE


@_compile
def glide(
    log_before: NDArray[Any],
    log_after: NDArray[Any],
    level: NDArray[Any],
    gap: NDArray[Any],
    release: NDArray[Any],
    theta_on: NDArray[Any],
    theta_off: NDArray[Any],
    leak_hz: NDArray[Any],
    start: int,
    span: int,
    low_pass: bool,
    trail: float,
    decay: float,
    near: float,
    new_level: NDArray[Any],
    slope: NDArray[Any],
    new_gap: NDArray[Any],
    could: NDArray[Any],
) -> None:
    """spikeplan.eventdata.simulation.glide, pixel by pixel; the order of operations is that of its numpy twin."""
    for i in range(len(level)):
        y = log_after[i]
        if low_pass:
            lag = (log_after[i] - log_before[i]) * trail
            y = log_after[i] - lag + (level[i] - log_before[i] + lag) * decay
        new_level[i] = y
        slope[i] = (y - level[i] + leak_hz[i] * theta_on[i] * (span * 1e-6)) / span
        held = min(max(release[i] - start, 0), span)
        end = gap[i] + slope[i] * (span - held)
        new_gap[i] = end
        could[i] = end >= theta_on[i] * near or end <= -theta_off[i] * near
