"""A recording: events, frames, IMU and triggers of one sensor on one int64-microsecond clock.

    t_absolute = origin_us + t_us          origin_us: absolute stamp of the first event, so events start at t_us = 0

Streams are never re-zeroed on their own first stamp (importRosbag-style readers do, and lose milliseconds between
events and frames). `offset_us[stream]` keeps what such a reader would lose: the stream's first stamp, as the file
states it, minus the first event's. A frame's stamp in the file is mid-exposure on a DAVIS, whereas `frame_t_us` is the
start of exposure: offset_us["frames"] == frame_t_us[0] + exposure_us[0] // 2 there (2954 = 568 + 2386 in davis.aedat4).

Units: t_us, exposure_us in microseconds; imu in m/s^2 and rad/s; frames in grey levels.
Shapes: E events, N frames (N, H, W), M IMU samples (M, 6) in the order of IMU_COLUMNS, T triggers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events, check_monotonic

MAX_SIDE = 4096  # pixels; twice what EVT can address. A picture of counts must not take gigabytes
MAX_STAMP_US = 1 << 62  # half of int64: differences of two stamps cannot overflow
IMU_COLUMNS = ("accel_x", "accel_y", "accel_z", "gyro_x", "gyro_y", "gyro_z")
# source: 1 rising, 2 falling, 3 pulse (external pin); 6 frame start, 7 frame end, 8 exposure start, 9 exposure end
TRIGGER = np.dtype([("t_us", np.int64), ("source", np.uint8)])


@dataclass(frozen=True, eq=False, kw_only=True)
class Recording:
    """One sensor's streams on one clock. The module's docstring has the units and shapes.

    Args:
        events: in order of time.
        width, height: of the sensor, in pixels.
        frames: (N, H, W), with the start of exposure `frame_t_us` and its length `exposure_us`.
        imu: (M, 6) in the order of IMU_COLUMNS, with `imu_t_us`.
        triggers: of dtype TRIGGER.
        origin_us: absolute stamp of the first event.
        span_us: the half-open interval covered, known even where no sample fell into it.

    Raises UserError for streams that go back, leave the sensor or the span, or have unequal lengths.

    >>> recording = Recording(events=events, width=346, height=260)
    >>> counts = [len(window.events) for window in recording.windows(10_000)]
    """

    events: Events
    width: int
    height: int
    frames: NDArray[np.uint8] | None = None
    frame_t_us: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    exposure_us: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    imu: NDArray[np.float32] | None = None
    imu_t_us: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    triggers: NDArray[np.void] = field(default_factory=lambda: np.empty(0, TRIGGER))
    origin_us: int = 0
    offset_us: Mapping[str, int] = field(default_factory=dict)
    span_us: tuple[int, int] = (0, -1)  # (0, -1): from the stamps of the streams

    def __post_init__(self) -> None:
        if not (1 <= self.width <= MAX_SIDE and 1 <= self.height <= MAX_SIDE):
            raise UserError(
                f"recording: sensor is {self.width}x{self.height}; give the width and height in pixels, 1 to {MAX_SIDE}"
            )
        self.events.check(self.width, self.height)
        _check_stream("frame", self.frames, 3, self.frame_t_us)
        _check_stream("imu", self.imu, 2, self.imu_t_us)
        if len(self.exposure_us) != len(self.frame_t_us):
            raise UserError(
                f"recording: {len(self.exposure_us)} exposures for {len(self.frame_t_us)} frames; give one per frame"
            )
        if self.triggers.dtype != TRIGGER:
            raise UserError(f"recording: triggers are {self.triggers.dtype}; use spikeplan.eventdata.recording.TRIGGER")
        check_monotonic("trigger", self.triggers["t_us"])
        seen = self.span_of_stamps()
        if self.span_us == (0, -1):
            object.__setattr__(self, "span_us", seen)
        check_span("recording: span", *self.span_us)
        if seen != (0, 0) and not self.span_us[0] <= seen[0] < seen[1] <= self.span_us[1]:
            raise UserError(f"recording: stamps in [{seen[0]}, {seen[1]}) us leave the span {self.span_us}; widen it")

    def slice_us(self, start_us: int, stop_us: int) -> Recording:
        """Everything stamped in [start_us, stop_us), a frame by its exposure start. The clock stays the recording's."""
        check_span("slice", start_us, stop_us)
        frame = _between(self.frame_t_us, start_us, stop_us)
        imu = _between(self.imu_t_us, start_us, stop_us)
        return replace(
            self,
            events=self.events[_between(self.events.t_us, start_us, stop_us)],
            frames=None if self.frames is None else self.frames[frame],
            frame_t_us=self.frame_t_us[frame],
            exposure_us=self.exposure_us[frame],
            imu=None if self.imu is None else self.imu[imu],
            imu_t_us=self.imu_t_us[imu],
            triggers=self.triggers[_between(self.triggers["t_us"], start_us, stop_us)],
            span_us=(start_us, stop_us),
        )

    def windows(self, period_us: int) -> Iterator[Recording]:
        """Consecutive windows of `period_us` that cover the span exactly once, empty ones too; the last may be short.

        Window k is [span_us[0] + k period_us, + period_us): silence is data to a controller, so it is not skipped.
        """
        if period_us < 1:
            raise UserError(f"windows of {period_us} us: the period must be at least 1 us")
        start_us, stop_us = self.span_us
        return (self.slice_us(t_us, min(t_us + period_us, stop_us)) for t_us in range(start_us, stop_us, period_us))

    def span_of_stamps(self) -> tuple[int, int]:
        """From the first stamp of all streams to just after the last; (0, 0) without any."""
        stamps = (self.events.t_us, self.frame_t_us, self.imu_t_us, self.triggers["t_us"])
        seen = [stamp for stamp in stamps if len(stamp)]
        if not seen:
            return (0, 0)
        return int(min(stamp[0] for stamp in seen)), int(max(stamp[-1] for stamp in seen)) + 1


def check_span(name: str, start_us: int, stop_us: int) -> None:
    """Refuse [start_us, stop_us) that goes back, and stamps whose differences int64 could not hold."""
    if stop_us < start_us:
        raise UserError(f"{name} [{start_us}, {stop_us}) us ends before it starts; give start_us <= stop_us")
    for t_us in (start_us, stop_us):
        if abs(t_us) > MAX_STAMP_US:
            raise UserError(f"{name} [{start_us}, {stop_us}) us: {t_us} us is no time; give microseconds below 2^62")


def _between(t_us: NDArray[np.int64], start_us: int, stop_us: int) -> slice:
    first, last = np.searchsorted(t_us, (start_us, stop_us))
    return slice(int(first), int(last))


def _check_stream(name: str, samples: NDArray[Any] | None, ndim: int, t_us: NDArray[np.int64]) -> None:
    count = 0 if samples is None else len(samples)
    if count != len(t_us):
        raise UserError(f"recording: {count} {name} samples but {len(t_us)} {name} stamps; give one stamp per sample")
    if samples is not None and samples.ndim != ndim:
        raise UserError(f"recording: {name} array has shape {samples.shape}; expected {ndim} dimensions")
    check_monotonic(name, t_us)
