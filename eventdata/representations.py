"""Dense arrays from events.

    histogram[b, p, y, x]      = number of events of polarity p in time bin b;  b = (t - t0) * bins // (t1 - t0)
    last_time[p, y, x]         = stamp of the last event, NEVER where there was none
    last_time_surface[p, y, x] = exp(-(at_us - last_time) / tau_us), 0 where there was none

Bins come from integer arithmetic, so an event on an edge has one bin and none is lost: the sum is the event count.
p: 0 OFF, 1 ON.  shape: (H, W).  Empty input gives zeros: a 1 ms window without events is ordinary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eventdata.events import Events
from spec.errors import UserError

NEVER = np.iinfo(np.int64).min


def histogram(
    events: Events, shape: tuple[int, int], bins: int, *, span_us: tuple[int, int] | None = None
) -> NDArray[np.int32]:
    """(bins, 2, H, W) counts over span_us = [t0, t1); by default from the first event to just after the last."""
    if bins < 1:
        raise UserError(f"histogram: {bins} bins; give at least 1")
    size = bins * 2 * shape[0] * shape[1]
    bin_of = _bin(events.t_us, bins, span_us)
    flat = bin_of * (2 * shape[0] * shape[1]) + _cell(events, shape)
    return np.bincount(flat, minlength=size).astype(np.int32).reshape(bins, 2, *shape)


def last_time(events: Events, shape: tuple[int, int]) -> NDArray[np.int64]:
    """(2, H, W) stamp of each pixel's last event; NEVER where there was none."""
    last = np.full(2 * shape[0] * shape[1], NEVER, np.int64)
    last[_cell(events, shape)] = events.t_us  # events are in order of time, and numpy leaves the last of equal indices
    return last.reshape(2, *shape)


def last_time_surface(
    events: Events, shape: tuple[int, int], tau_us: float, *, at_us: int | None = None
) -> NDArray[np.float32]:
    """(2, H, W) exponentially faded last times, read at `at_us` (default: at the last event)."""
    if tau_us <= 0:
        raise UserError(f"last_time_surface: tau_us {tau_us} must be > 0")
    newest = int(events.t_us[-1]) if len(events) else None
    if newest is None:
        return np.zeros((2, *shape), np.float32)
    if at_us is None:
        at_us = newest
    if at_us < newest:
        raise UserError(f"last_time_surface: read at {at_us} us, before the last event at {newest} us; slice first")
    last = last_time(events, shape)
    age_us = at_us - np.where(last == NEVER, at_us, last)
    return np.where(last == NEVER, 0.0, np.exp(-age_us / tau_us)).astype(np.float32)


def _cell(events: Events, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Flat index into (2, H, W). A coordinate outside would land in another pixel, so it is refused."""
    height, width = shape
    if len(events) and (int(events.x.max()) >= width or int(events.y.max()) >= height):
        raise UserError(f"events reach x {events.x.max()}, y {events.y.max()}: outside (H, W) = {shape}; fix the shape")
    return (events.p * np.int64(height) + events.y) * width + events.x


def _bin(t_us: NDArray[np.int64], bins: int, span_us: tuple[int, int] | None) -> NDArray[np.int64]:
    if not len(t_us):
        return np.empty(0, np.int64)
    start_us, stop_us = (int(t_us[0]), int(t_us[-1]) + 1) if span_us is None else span_us
    if t_us[0] < start_us or t_us[-1] >= stop_us:
        raise UserError(
            f"histogram: events from {t_us[0]} to {t_us[-1]} us leave the span [{start_us}, {stop_us}); slice first"
        )
    return (t_us - start_us) * bins // (stop_us - start_us)
