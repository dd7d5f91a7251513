"""Statistics of an event stream that a picture of it does not show. All numbers fit in JSON.

    rates           per bin of `period_us`: start_us, events, on;  at most MAX_BINS bins (the period grows to fit)
    pixel_counts    events a pixel over all pixels of the sensor; `silent` is the share without any
    hot_pixels      see spikeplan.eventdata.info: the HOT_SHOWN most active, and how many there are
    intervals_us    between consecutive events of the whole sensor, and of one and the same pixel
Percentiles are of the intervals, not of time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.info import hot_pixels
from spikeplan.eventdata.recording import MAX_STAMP_US, Recording

MAX_BINS = 1000
HOT_SHOWN = 20
PERCENTILES = (1, 50, 99)


def stats(recording: Recording, period_us: int = 10_000) -> dict[str, Any]:
    if not 1 <= period_us <= MAX_STAMP_US:
        raise UserError(f"stats: bins of {period_us} us; give at least 1 and less than 2^62")
    events = recording.events
    on = int(np.count_nonzero(events.p))
    counts = count_map(recording)
    hot = hot_pixels(events, recording.height, recording.width)
    hottest = sorted(np.argwhere(hot).tolist(), key=lambda at: -int(counts[at[0], at[1]]))[:HOT_SHOWN]
    return {
        "events": len(events),
        "on": on,
        "off": len(events) - on,
        "on_fraction": on / len(events) if len(events) else None,
        "rates": _rates(recording, period_us),
        "pixel_counts": {
            "mean": float(counts.mean()),
            "median": float(np.median(counts)),
            "p99": float(np.percentile(counts, 99)),
            "max": int(counts.max()),
            "silent": float(np.mean(counts == 0)),
        },
        "hot_pixels": int(np.count_nonzero(hot)),
        "hottest": [{"x": x, "y": y, "events": int(counts[y, x])} for y, x in hottest],
        "intervals_us": {"sensor": _spread(np.diff(events.t_us)), "pixel": _spread(pixel_intervals(events))},
    }


def count_map(recording: Recording) -> NDArray[np.int64]:
    """(H, W) events of each pixel."""
    flat = recording.events.y.astype(np.int64) * recording.width + recording.events.x
    return np.bincount(flat, minlength=recording.height * recording.width).reshape(recording.height, recording.width)


def pixel_intervals(events: Events) -> NDArray[np.int64]:
    """us between consecutive events of the same pixel, of all pixels."""
    pixel = events.y.astype(np.int64) << 16 | events.x
    order = np.argsort(pixel, kind="stable")
    same = np.diff(pixel[order]) == 0
    between_us: NDArray[np.int64] = np.diff(events.t_us[order])[same]
    return between_us


def _rates(recording: Recording, period_us: int) -> dict[str, Any]:
    start_us, stop_us = recording.span_us
    period_us = max(period_us, -(-(stop_us - start_us) // MAX_BINS))
    bins = -(-(stop_us - start_us) // period_us)
    place = (recording.events.t_us - start_us) // period_us
    return {
        "start_us": start_us,
        "period_us": period_us,
        "events": np.bincount(place, minlength=bins).tolist(),
        "on": np.bincount(place[recording.events.p], minlength=bins).tolist(),
    }


def _spread(interval_us: NDArray[np.int64]) -> dict[str, float] | None:
    if not len(interval_us):
        return None
    low, middle, high = (float(value) for value in np.percentile(interval_us, PERCENTILES))
    return {"count": len(interval_us), "mean": float(interval_us.mean()), "p1": low, "median": middle, "p99": high}
