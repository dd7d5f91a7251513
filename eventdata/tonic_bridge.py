"""The one module that imports Tonic, and only inside functions: Tonic is GPL-3 and takes a second to import.

Tonic's own dtype has bool polarity, and several of its functions then go wrong without a word: ToVoxelGrid writes -1
into a bool (OFF becomes ON), UniformNoise draws only ON. With int8 both are right, and int16 x, y let the crops and
jitters go negative before they clip. ToVoxelGrid also overwrites its input's polarity with -1 / +1, so every call gets
its own copy and `from_tonic` reads p > 0 as ON.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.recording import Recording
from spikeplan.eventdata.structured import from_structured

DTYPE = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
REMEDY = "pip install 'spikeplan[events]'"


def to_tonic(events: Events) -> NDArray[np.void]:
    """A fresh structured array (x, y, t, p in {0, 1}) that Tonic's functions treat correctly. t in microseconds."""
    limit = np.iinfo(np.int16).max
    if len(events) and max(int(events.x.max()), int(events.y.max())) > limit:
        raise UserError(f"events: a coordinate exceeds {limit}, the largest that Tonic's int16 holds; crop first")
    out = np.empty(len(events), DTYPE)
    out["x"], out["y"], out["t"], out["p"] = events.x, events.y, events.t_us, events.p
    return out


def from_tonic(array: NDArray[np.void], sensor_size: tuple[int, int, int]) -> Recording:
    """A recording of events only, from Tonic's (width, height, polarities). origin_us is the first stamp."""
    if len(sensor_size) != 3:
        raise UserError(f"sensor_size {sensor_size}: give Tonic's (width, height, polarities)")
    events = from_structured(array)
    origin_us = int(events.t_us[0]) if len(events) else 0
    events = Events(x=events.x, y=events.y, t_us=events.t_us - origin_us, p=events.p)
    return Recording(events=events, width=sensor_size[0], height=sensor_size[1], origin_us=origin_us)


def apply(
    transform: Callable[[NDArray[np.void]], Any],
    recording: Recording,
    *,
    sensor_size: tuple[int, int, int] | None = None,
) -> Recording | NDArray[Any]:
    """Run a Tonic transform on the events; the clock and the other streams stay as they are.

    A transform that returns events gives a Recording (pass `sensor_size` if it changes the geometry); one that builds
    frames or grids gives its array. Tonic's crash on an empty slice and its silent NaN become a UserError.
    """
    tonic()  # a transform is useless without Tonic: say so first
    name = type(transform).__name__
    try:
        with np.errstate(all="ignore"):  # a division by zero shows as NaN below
            result = transform(to_tonic(recording.events))
    except (IndexError, ValueError, ZeroDivisionError, OverflowError) as error:
        what = "an empty slice" if not len(recording.events) else f"{len(recording.events)} events"
        raise UserError(
            f"tonic {name} failed on {what} ({error}); use spikeplan.eventdata.representations instead"
        ) from error
    if not isinstance(result, np.ndarray):
        raise UserError(f"tonic {name} returned {type(result).__name__}; apply() takes transforms that return an array")
    if result.dtype.names is None:
        if np.issubdtype(result.dtype, np.floating) and np.isnan(result).any():
            raise UserError(f"tonic {name} returned NaN (all stamps equal?); give a longer slice")
        return result
    width, height = (recording.width, recording.height) if sensor_size is None else sensor_size[:2]
    events = from_structured(result)
    stamps = events.t_us if len(events) else np.array(recording.span_us[:1])
    span_us = min(recording.span_us[0], int(stamps[0])), max(recording.span_us[1], int(stamps[-1]) + bool(len(events)))
    return replace(recording, events=events, width=width, height=height, span_us=span_us)


def tonic() -> Any:
    """The tonic package, or a UserError with the remedy."""
    try:
        import tonic as package
    except ImportError as error:
        raise UserError(f"tonic is not installed; {REMEDY}") from error
    return package
