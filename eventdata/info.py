"""What a recording holds, in numbers that fit in JSON.

    rate_mean   events / duration                       events/s, None for fewer than two stamps
    rate_peak   most events in one 1 ms bin of the clock * 1000
    hot pixel   count > HOT_RATIO * (mean count of its 8 neighbours + 1): a moving edge fires a row, a fault fires alone
Rates of frames and IMU are (n - 1) / (last - first). Stamps are on the recording's clock; add origin_us for absolute.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.eventdata.events import Events
from spikeplan.eventdata.readers import detect_format
from spikeplan.eventdata.recording import Recording

HOT_RATIO = 10
PEAK_BIN_US = 1000


def info(recording: Recording, path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
    """Summary of a recording, in numbers that fit in JSON: counts, rates, span, hot pixels.

    `path`, where given, names the file that the format is read from.

    >>> info(open_recording("drive.aedat4"))["rate_mean"]
    """
    events = recording.events
    first, last = (int(events.t_us[0]), int(events.t_us[-1])) if len(events) else (None, None)
    duration_us = 0 if first is None or last is None else last - first
    return {
        "format": None if path is None else detect_format(path),
        "width": recording.width,
        "height": recording.height,
        "events": len(events),
        "frames": len(recording.frame_t_us),
        "imu": len(recording.imu_t_us),
        "triggers": len(recording.triggers),
        "origin_us": recording.origin_us,
        "offset_us": dict(recording.offset_us),
        "first_t_us": first,
        "last_t_us": last,
        "duration_us": duration_us,
        "monotonic": bool(np.all(events.t_us[1:] >= events.t_us[:-1])),
        "rate_mean": len(events) * 1e6 / duration_us if duration_us else None,
        "rate_peak": _peak_rate(events.t_us),
        "on_fraction": float(events.p.mean()) if len(events) else None,
        "hot_pixels": int(np.count_nonzero(hot_pixels(events, recording.height, recording.width))),
        "frame_rate": _sample_rate(recording.frame_t_us),
        "imu_rate": _sample_rate(recording.imu_t_us),
    }


def hot_pixels(events: Events, height: int, width: int) -> NDArray[np.bool_]:
    """(H, W) mask of pixels that fire far more than their neighbours do."""
    flat = events.y.astype(np.int64) * width + events.x
    count = np.bincount(flat, minlength=height * width).reshape(height, width)
    ring = np.pad(count, 1)
    inside = np.pad(np.ones_like(count), 1)
    around, neighbours = -count, -np.ones_like(count)
    for row in range(3):
        for column in range(3):
            window = np.s_[row : row + height, column : column + width]
            around = around + ring[window]
            neighbours = neighbours + inside[window]
    hot: NDArray[np.bool_] = count > HOT_RATIO * (around / np.maximum(neighbours, 1) + 1)
    return hot


def _peak_rate(t_us: NDArray[np.int64]) -> float:
    """Runs of equal bin number, not a bincount: a stamp that jumps by a day must not allocate a day of bins."""
    if not len(t_us):
        return 0.0
    _, counts = np.unique(t_us // PEAK_BIN_US, return_counts=True)
    return float(counts.max() * 1e6 / PEAK_BIN_US)


def _sample_rate(t_us: NDArray[np.int64]) -> float | None:
    if len(t_us) < 2 or t_us[-1] == t_us[0]:
        return None
    return float((len(t_us) - 1) * 1e6 / (t_us[-1] - t_us[0]))
