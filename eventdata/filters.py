"""Filters that keep some of the events, and say which: each returns the filtered events.

    denoise      keep i if one of its 8 (or 4) neighbours fired less than window_us before   (Delbruck 2008, BAF)
    refractory   keep i if the pixel kept nothing in the last dead_us: t_i - t_kept >= dead_us
    drop_pixels  keep i unless its pixel is in a mask (info.hot_pixels finds the mask)

Only earlier events support later ones, so a filter is causal and streams; an event's own pixel does not support it. The
very first event of a pair is therefore always lost. `refractory` does not restart on events that it drops: a pixel
that fires forever still comes through once per dead time, as in the sensor (and in spikeplan.eventdata.simulation.simulator).
Differs from Tonic's Denoise: isolated events of the first window_us do not pass. From its RefractoryPeriod: it restarts
on dropped events and loses events at t = 0.
Units: us. shape: (H, W). No Python loop per event: one numba pass, or sorts and searches in numpy with equal results.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.compiled import compiled
from spikeplan.eventdata.events import Events

AROUND_4 = ((-1, 0), (0, -1), (0, 1), (1, 0))
AROUND_8 = (*AROUND_4, (-1, -1), (-1, 1), (1, -1), (1, 1))


def denoise(events: Events, shape: tuple[int, int], window_us: int, *, neighbours: int = 8) -> Events:
    """Background-activity filter."""
    return events[np.flatnonzero(denoise_mask(events, shape, window_us, neighbours=neighbours))]


def denoise_mask(events: Events, shape: tuple[int, int], window_us: int, *, neighbours: int = 8) -> NDArray[np.bool_]:
    if window_us < 1:
        raise UserError(f"denoise: window_us {window_us} must be at least 1")
    if neighbours not in (4, 8):
        raise UserError(f"denoise: {neighbours} neighbours; use 4 or 8")
    keep = np.zeros(len(events), bool)
    if not len(events):
        return keep
    _refuse_far("denoise", events, window_us)
    fast = compiled()
    if fast is not None:
        last = np.full((shape[0] + 2, shape[1] + 2), int(events.t_us[0]) - window_us, np.int64)
        columns = (np.ascontiguousarray(column) for column in (events.x, events.y, events.t_us))
        if fast.supported(*columns, window_us, neighbours == 8, last, keep) >= 0:
            events.check(shape[1], shape[0])
        return keep
    events.check(shape[1], shape[0])
    return _supported(events, shape, window_us, AROUND_8 if neighbours == 8 else AROUND_4)


def refractory(events: Events, shape: tuple[int, int], dead_us: int) -> Events:
    """Dead time per pixel, both polarities together."""
    return events[np.flatnonzero(refractory_mask(events, shape, dead_us))]


def refractory_mask(events: Events, shape: tuple[int, int], dead_us: int) -> NDArray[np.bool_]:
    if dead_us < 0:
        raise UserError(f"refractory: dead_us {dead_us} must be >= 0")
    keep = np.zeros(len(events), bool)
    if not len(events):
        return keep
    _refuse_far("refractory", events, dead_us)
    fast = compiled()
    if fast is not None:
        last = np.full(shape, int(events.t_us[0]) - dead_us, np.int64)
        columns = (np.ascontiguousarray(column) for column in (events.x, events.y, events.t_us))
        if fast.rested(*columns, dead_us, last, keep) >= 0:
            events.check(shape[1], shape[0])
        return keep
    events.check(shape[1], shape[0])
    return _rested(events, shape, dead_us)


def drop_pixels(events: Events, mask_HW: NDArray[np.bool_]) -> Events:
    """Without the pixels of the mask."""
    events.check(mask_HW.shape[1], mask_HW.shape[0])
    return events[np.flatnonzero(~mask_HW[events.y, events.x])]


def _refuse_far(name: str, events: Events, window_us: int) -> None:
    """The loops subtract stamps and the window in int64."""
    first_us, last_us = int(events.t_us[0]), int(events.t_us[-1])  # out of order: the loop stops there
    if max(window_us, last_us - first_us + window_us, window_us - first_us, last_us + window_us) >= 1 << 63:
        raise UserError(
            f"{name}: {window_us} us around stamps from {first_us} to {last_us} us exceed 64 bits; slice first"
        )


def _supported(
    events: Events, shape: tuple[int, int], window_us: int, around: tuple[tuple[int, int], ...]
) -> NDArray[np.bool_]:
    """The last event of pixel q before event i is the predecessor of (q, i) among the sorted pairs (pixel, index)."""
    count, width = len(events), shape[1] + 2  # a border of one, so that no neighbour wraps into the next row
    pixel = (events.y.astype(np.int64) + 1) * width + events.x + 1
    order = np.argsort(pixel, kind="stable")
    pairs = pixel[order] * count + order
    found = np.zeros(count, bool)
    for down, right in around:
        wanted = pixel[order] + down * width + right
        before = np.searchsorted(pairs, wanted * count + order) - 1  # the queries are sorted too: cheap
        hit = order[before]
        found |= (before >= 0) & (pixel[hit] == wanted) & (events.t_us[order] - events.t_us[hit] < window_us)
    keep = np.empty(count, bool)
    keep[order] = found
    return keep


def _rested(events: Events, shape: tuple[int, int], dead_us: int) -> NDArray[np.bool_]:
    """Each event names the next one that its pixel could keep; what the pixels' first events reach is kept.

    Reached sets by doubling: after round k they hold all that lies up to 2^k - 1 jumps on.
    """
    count = len(events)
    pixel = events.y.astype(np.int64) * shape[1] + events.x
    order = np.argsort(pixel, kind="stable")
    pixel, t_us = pixel[order], events.t_us[order]
    stamps, rank = np.unique(t_us, return_inverse=True)  # ranks, because pixel * stamp does not fit 64 bits
    base = pixel * (len(stamps) + 1)
    jump = np.searchsorted(base + rank, base + np.searchsorted(stamps, stamps + dead_us)[rank])
    jump = np.maximum(jump, np.arange(count) + 1)  # dead_us = 0: every event leads to the next
    leaves = (jump >= count) | (pixel[np.minimum(jump, count - 1)] != pixel)
    jump = np.append(np.where(leaves, count, jump), count)
    reached = np.zeros(count + 1, bool)
    reached[:count] = np.append(True, pixel[1:] != pixel[:-1])
    while (jump[:-1] < count).any():
        reached[jump[reached]] = True
        jump = jump[jump]
    keep = np.empty(count, bool)
    keep[order] = reached[:count]
    return keep
