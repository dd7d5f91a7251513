"""Random changes of events, where Tonic's own go wrong: the generator is passed in, and the clock may start anywhere.

drop_time      drops an interval of `ratio` of the span, uniformly placed   (Tonic's DropEventByTime starts at 0)
uniform_noise  adds `count` events, uniform over pixels, span and polarity  (Tonic's are all ON with bool polarity)
"""

from __future__ import annotations

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events


def drop_time(events: Events, ratio: float, rng: np.random.Generator) -> Events:
    if not 0 <= ratio < 1:
        raise UserError(f"drop_time: ratio {ratio} must be in [0, 1)")
    if not len(events):
        return events
    start_us, stop_us = int(events.t_us[0]), int(events.t_us[-1]) + 1
    length_us = round((stop_us - start_us) * ratio)
    first_us = int(rng.integers(start_us, stop_us - length_us, endpoint=True))
    first, last = np.searchsorted(events.t_us, (first_us, first_us + length_us))
    return Events.concat([events[: int(first)], events[int(last) :]])


def uniform_noise(
    events: Events,
    shape: tuple[int, int],
    count: int,
    rng: np.random.Generator,
    *,
    span_us: tuple[int, int] | None = None,
) -> Events:
    """Noise over span_us = [t0, t1); by default from the first event to just after the last."""
    if count < 0:
        raise UserError(f"uniform_noise: count {count} must be >= 0")
    if span_us is None:
        if not len(events):
            raise UserError("uniform_noise: no event, so no span; pass span_us=(t0, t1)")
        span_us = int(events.t_us[0]), int(events.t_us[-1]) + 1
    noise = Events(
        x=rng.integers(0, shape[1], count).astype(np.uint16),
        y=rng.integers(0, shape[0], count).astype(np.uint16),
        t_us=rng.integers(*span_us, count),
        p=rng.random(count) < 0.5,
    )
    return Events.concat([events, noise]).sorted()
