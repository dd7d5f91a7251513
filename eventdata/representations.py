"""Dense arrays from events.

    histogram[b, c, y, x]      = sum of w over events in time bin b;  b = (t - t0) * bins // (t1 - t0)
    voxel_grid[b, c, y, x]     = sum of w max(0, 1 - |b - t*|);  t* = (bins - 1) (t - t_first) / (t_last - t_first)
                                 (Zhu 2019, arXiv:1812.08156, equations 1 and 2)
    last_time[p, y, x]         = stamp of the last event, NEVER where there was none
    last_time_surface[p, y, x] = exp(-(at_us - last_time) / tau_us), 0 where there was none (Lagorce 2016, HOTS)

Polarity decides channels c and weights w: "both" (0 OFF, 1 ON), "signed" (ON - OFF), "sum", "on", "off".
Bins and shares come from integer arithmetic: an event on an edge has one bin, none is lost, the sum is the event count,
and the voxel grid does not depend on the order of summation. Equal stamps all fall on t* = 0 and weigh 1.
shape: (H, W).  Empty input gives zeros: a 1 ms window without events is ordinary. A stamp that goes back and a
coordinate outside are refused by index.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.compiled import compiled
from spikeplan.eventdata.events import Events

NEVER = np.iinfo(np.int64).min
# polarity -> (channel of OFF, of ON), (weight of OFF, of ON)
POLARITY = {
    "both": ((0, 1), (1, 1)),
    "signed": ((0, 0), (-1, 1)),
    "sum": ((0, 0), (1, 1)),
    "on": ((0, 0), (0, 1)),
    "off": ((0, 0), (1, 0)),
}


def histogram(
    events: Events,
    shape: tuple[int, int],
    bins: int,
    *,
    span_us: tuple[int, int] | None = None,
    polarity: str = "both",
) -> NDArray[np.int32]:
    """(bins, C, H, W) counts over span_us = [t0, t1); by default from the first event to just after the last."""
    channel, weight, channels = _polarity("histogram", polarity, bins)
    out = np.zeros((bins, channels, *shape), np.int32)
    if not len(events):
        return out
    start_us, stop_us = _span("histogram", events, shape, span_us)
    if max(bins * (stop_us - start_us), abs(start_us), abs(stop_us)) >= 2**62:
        raise UserError(f"histogram: {bins} bins of [{start_us}, {stop_us}) us exceed 64-bit stamps; slice first")
    edges = start_us - (np.arange(bins + 1) * (start_us - stop_us) // bins)  # ceil: an event on an edge opens its bin
    fast = compiled()
    if fast is not None:
        _check(fast.scatter(*_columns(events), edges, *shape, channel, weight.astype(np.int32), out), events, shape)
        return out
    events.check(shape[1], shape[0])
    cell = _cell(events, shape, channel)
    first = np.searchsorted(events.t_us, edges)
    for b in range(bins):
        part = slice(first[b], first[b + 1])
        counted = np.bincount(cell[part], weight[events.p[part].view(np.uint8)], out[b].size)
        out[b] = counted.reshape(out[b].shape)  # whole numbers below 2^53: exact in float64
    return out


def voxel_grid(
    events: Events,
    shape: tuple[int, int],
    bins: int,
    *,
    span_us: tuple[int, int] | None = None,
    polarity: str = "signed",
) -> NDArray[np.float32]:
    """(bins, C, H, W), bilinear in time. span_us = (t_first, t_last), both included; by default those of the events.

    Tonic's n bins are the first n of our n + 1: it scales by n, and drops what falls on the last instant.
    """
    channel, weight, channels = _polarity("voxel_grid", polarity, bins)
    size = (bins, channels, *shape)
    if not len(events):
        return np.zeros(size, np.float32)
    start_us, last_us = (int(events.t_us[0]), int(events.t_us[-1])) if span_us is None else span_us
    _span("voxel_grid", events, shape, (start_us, last_us + 1))
    span = max(last_us - start_us, 1)
    if max(len(events), bins) * span >= 2**62:
        raise UserError(f"voxel_grid: {len(events)} events over {span} us exceed 64-bit sums; slice first")
    steps = bins - 1
    fast = compiled()
    if fast is not None:
        edges = np.append(start_us - (np.arange(bins) * -span // max(steps, 1)), last_us + 1)
        pair, grid = np.zeros((channels * shape[0] * shape[1], 2), np.int64), np.zeros(size, np.float32)
        args = (*_columns(events), edges, start_us, span, *shape, channel, weight, pair, grid)
        _check(fast.scatter_linear(*args), events, shape)
        return grid
    events.check(shape[1], shape[0])
    sums = np.zeros(size, np.int64)
    _share(events, shape, channel, weight, steps, start_us, span, sums)
    return np.divide(sums, span, dtype=np.float64).astype(np.float32)


def last_time(events: Events, shape: tuple[int, int]) -> NDArray[np.int64]:
    """(2, H, W) stamp of each pixel's last event; NEVER where there was none."""
    events.check(shape[1], shape[0])
    last = np.full(2 * shape[0] * shape[1], NEVER, np.int64)
    # events are in order of time, and numpy leaves the last of equal indices
    last[_cell(events, shape, np.arange(2))] = events.t_us
    return last.reshape(2, *shape)


def last_time_surface(
    events: Events, shape: tuple[int, int], tau_us: float, *, at_us: int | None = None
) -> NDArray[np.float32]:
    """(2, H, W) exponentially faded last times, read at `at_us` (default: at the last event)."""
    if not tau_us > 0:
        raise UserError(f"last_time_surface: tau_us {tau_us} must be > 0")
    last = last_time(events, shape)
    newest = int(events.t_us[-1]) if len(events) else None
    if newest is None:
        return np.zeros((2, *shape), np.float32)
    if at_us is None:
        at_us = newest
    if at_us < newest:
        raise UserError(f"last_time_surface: read at {at_us} us, before the last event at {newest} us; slice first")
    seen = last != NEVER
    age_us = at_us - np.where(seen, last, at_us)
    with np.errstate(over="ignore", under="ignore"):  # ages beyond float64 are 0, as they should be
        return np.where(seen, np.exp(-age_us / tau_us), 0.0).astype(np.float32)


def _polarity(name: str, polarity: str, bins: int) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    if bins < 1:
        raise UserError(f"{name}: {bins} bins; give at least 1")
    if polarity not in POLARITY:
        raise UserError(f"{name}: polarity {polarity!r} is unknown; use one of {', '.join(POLARITY)}")
    channel, weight = POLARITY[polarity]
    return np.array(channel), np.array(weight), max(channel) + 1


def _span(name: str, events: Events, shape: tuple[int, int], span_us: tuple[int, int] | None) -> tuple[int, int]:
    first_us, last_us = int(events.t_us[0]), int(events.t_us[-1])
    start_us, stop_us = (first_us, last_us + 1) if span_us is None else span_us
    if not start_us <= first_us <= last_us < stop_us:
        events.check(shape[1], shape[0])  # stamps out of order are the better reason
        raise UserError(
            f"{name}: events from {first_us} to {last_us} us leave the span [{start_us}, {stop_us}); slice first"
        )
    return start_us, stop_us


def _columns(events: Events) -> tuple[NDArray[Any], ...]:
    """Contiguous, so that one compiled version serves all."""
    return tuple(np.ascontiguousarray(column) for column in (events.x, events.y, events.t_us, events.p))


def _check(offender: int, events: Events, shape: tuple[int, int]) -> None:
    if offender >= 0:
        events.check(shape[1], shape[0])
        raise AssertionError(f"event {offender} stopped the loop, but the check finds nothing")


def _cell(events: Events, shape: tuple[int, int], channel: NDArray[np.int64]) -> NDArray[np.int64]:
    """Flat index into (C, H, W)."""
    height, width = shape
    return (channel[events.p.view(np.uint8)] * height + events.y) * width + events.x


def _share(
    events: Events,
    shape: tuple[int, int],
    channel: NDArray[np.int64],
    weight: NDArray[np.int64],
    steps: int,
    start_us: int,
    span: int,
    out: NDArray[np.int64],
) -> None:
    """`loops.scatter_linear` in numpy."""
    left, right = np.divmod((events.t_us - start_us) * steps, span)
    flat, frame = out.reshape(-1), out[0].size
    cell = left * frame + _cell(events, shape, channel)
    signed = weight[events.p.view(np.uint8)]
    np.add.at(flat, cell, signed * (span - right))
    inner = left < steps
    np.add.at(flat, cell[inner] + frame, (signed * right)[inner])
