"""Events of a sensor as a struct of arrays.

Four flat arrays rather than one structured array: each representation reads only the columns it needs, and a column
slice is contiguous. Polarity is bool (True: brighter); anything that does arithmetic on it converts it first.

Units: x, y in pixels; t_us in microseconds on the recording's clock, in non-decreasing order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError


@dataclass(frozen=True, eq=False, kw_only=True)
class Events:
    """Events of one sensor: four flat columns of equal length E.

    Args:
        x, y: (E,) uint16, pixels.
        t_us: (E,) int64, microseconds on the recording's clock, never going back.
        p: (E,) bool, True where the pixel became brighter.

    Raises UserError for another dtype or shape. The order of time is checked by `check`, which `Recording` calls.

    >>> events = recording.events[recording.events.p]
    >>> len(events)
    """

    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    t_us: NDArray[np.int64]
    p: NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name, dtype in (("x", np.uint16), ("y", np.uint16), ("t_us", np.int64), ("p", np.bool_)):
            column = getattr(self, name)
            if column.dtype != dtype:
                raise UserError(f"events: column {name} is {column.dtype}; convert it to {np.dtype(dtype).name}")
            if column.shape != (len(self.t_us),):
                raise UserError(
                    f"events: column {name} has shape {column.shape}, t_us has {len(self.t_us)} rows; "
                    "give four flat columns of equal length"
                )

    def __len__(self) -> int:
        return len(self.t_us)

    def __getitem__(self, rows: slice | NDArray[np.bool_] | NDArray[np.intp]) -> Events:
        return Events(x=self.x[rows], y=self.y[rows], t_us=self.t_us[rows], p=self.p[rows])

    @classmethod
    def empty(cls) -> Events:
        return cls(x=np.empty(0, np.uint16), y=np.empty(0, np.uint16), t_us=np.empty(0, np.int64), p=np.empty(0, bool))

    @classmethod
    def concat(cls, parts: Sequence[Events]) -> Events:
        """Parts one after another; the caller knows that they follow each other in time."""
        if not parts:
            return cls.empty()
        columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("x", "y", "t_us", "p")}
        return cls(**columns)

    @classmethod
    def gather(cls, parts: Iterable[Events], most: int) -> Events:
        """As `concat`, but each part is copied while it is in the cache and then let go. `most`: about how many events come;
        memory that is not written takes no room, and more is found where there are more."""
        kept, n = _room(max(most, 1)), 0
        for part in parts:
            end = n + len(part)
            if end > len(kept.t_us):
                more = _room(2 * end)
                for old, new in zip(kept._columns, more._columns, strict=True):
                    new[:n] = old[:n]
                kept = more
            for column, values in zip(kept._columns, part._columns, strict=True):
                column[n:end] = values
            n = end
        return kept[:n]

    @property
    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self.x, self.y, self.t_us, self.p

    def sorted(self) -> Events:
        """In order of time; stable, so that events of equal stamp keep their order."""
        return self[np.argsort(self.t_us, kind="stable")]

    def check(self, width: int, height: int, start: int = 0) -> None:
        """Refuse stamps that go back and coordinates outside the sensor, naming the first offender.

        `start` is the row number of the first event, where these are one chunk of a longer stream.
        """
        check_monotonic("event", self.t_us, start)
        for name, column, size in (("x", self.x, width), ("y", self.y, height)):
            if len(column) and column.max() >= size:
                outside = np.flatnonzero(column >= size)
                first = int(outside[0])
                raise UserError(
                    f"event {start + first}: {name} = {int(column[first])} lies outside the {width}x{height} sensor "
                    f"({outside.size} such); correct the geometry or drop these events"
                )


def _room(n: int) -> Events:
    return Events(x=np.empty(n, np.uint16), y=np.empty(n, np.uint16), t_us=np.empty(n, np.int64), p=np.empty(n, bool))


def check_monotonic(name: str, t_us: NDArray[np.int64], start: int = 0) -> None:
    """Stamps never go back. Equal stamps are normal: a sensor reads out several pixels in one microsecond."""
    back = np.flatnonzero(t_us[1:] < t_us[:-1])
    if back.size:
        first = int(back[0]) + 1
        raise UserError(
            f"{name} {start + first}: stamp {int(t_us[first])} us follows {int(t_us[first - 1])} us ({back.size} steps back); "
            "sort the stream (Events.sorted(), or open_recording(path, sort=True)) or record again"
        )
