"""The simulated sensor over a sequence of frames: one at a time, state carried along, so a video of any length streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.recording import Recording
from spikeplan.eventdata.simulation.simulator import BatchEvents, DvsParams, start, step

Stamped = Iterable[tuple[int, NDArray[np.float32]]]  # (t_us, radiance (B, H, W))


def simulate(stamped: Stamped, params: DvsParams, rng: np.random.Generator) -> Iterator[BatchEvents]:
    """Events between each frame and the one before; linear radiance in [0, 1]. Yields once per frame after the first."""
    state = None
    for t_us, radiance_BHW in stamped:
        if state is None:
            state = start(radiance_BHW, t_us, params, rng)
        else:
            state, events = step(state, radiance_BHW, t_us, params, rng)
            yield events


def record(
    frames_THW: Iterable[NDArray[np.float32]], rate_hz: float, params: DvsParams, rng: np.random.Generator
) -> Recording:
    """One sensor's recording of frames at `rate_hz`, the first at t_us = 0."""
    if not 1e-6 <= rate_hz <= 1e6:
        raise UserError(f"simulate: rate {rate_hz} Hz must be in [1e-6, 1e6]; frames are stamped in whole microseconds")
    frames = iter(frames_THW)
    first = next(frames, None)
    if first is None:
        raise UserError("simulate: no frame; give at least two")
    stamped = ((round(k * 1e6 / rate_hz), frame[None]) for k, frame in enumerate(chain([first], frames)))
    parts = [batch.events for batch in simulate(stamped, params, rng)]
    if not parts:
        raise UserError("simulate: one frame; events come from what changes between frames, give at least two")
    height, width = first.shape
    stop_us = round(len(parts) * 1e6 / rate_hz) + 1
    return Recording(events=Events.concat(parts), width=width, height=height, span_us=(0, stop_us))
