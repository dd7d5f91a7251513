"""Events of a file in chunks, and the checks that every reader shares.

A reader hands over a `RawStream`: the sensor's size and an iterator of parts with *absolute* stamps, of any length,
unchecked. From there one path leads to a whole Recording (`whole`) and one to bounded memory (`in_chunks`); both refuse
the same things in the same words.

    t_us = t_absolute - origin_us          origin_us: absolute stamp of the first event
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.recording import MAX_SIDE, MAX_STAMP_US, Recording

COPY_AGAIN = "copy or record it again"
INSTALL = "pip install 'spikeplan[events]'"
CHUNK_EVENTS = 1 << 18  # 13 bytes an event: 3.4 MB


def check_sensor(width: int, height: int) -> None:
    for name, side in (("width", width), ("height", height)):
        if not 1 <= side <= MAX_SIDE:
            raise UserError(f"the header says {name} {side}; a sensor has 1 to {MAX_SIDE} pixels a side; {COPY_AGAIN}")


@dataclass(frozen=True, eq=False, kw_only=True)
class RawStream:
    """Parts with absolute stamps, as the file has them. `t_us` of a part is int64 and may be out of order. `most`: about how
    many events there are."""

    width: int
    height: int
    parts: Iterator[Events]
    most: int = CHUNK_EVENTS
    origin_us: int | None = None  # where the file says it (a slice of ours); else the first event's stamp

    def __post_init__(self) -> None:
        check_sensor(self.width, self.height)


@dataclass(frozen=True, eq=False, kw_only=True)
class EventStream:
    """Events of a file on the recording's clock, chunk by chunk. `chunks` can be walked once and checks as it goes."""

    width: int
    height: int
    origin_us: int
    chunks: Iterator[Events]


def whole(raw: RawStream, *, sort: bool = False) -> Recording:
    """A recording of events only."""
    events = Events.gather(raw.parts, raw.most)
    if sort:
        events = events.sorted()
    origin_us = int(events.t_us[0]) if len(events) else 0
    return Recording(events=rebased(events, origin_us), width=raw.width, height=raw.height, origin_us=origin_us)


def in_chunks(source: Path, raw: RawStream, size: int = CHUNK_EVENTS) -> EventStream:
    """The stream in chunks of `size` events (the last one shorter); memory stays at a few chunks."""
    if size < 1:
        raise UserError(f"chunks of {size} events: give at least 1")
    parts = _rebatched(raw.parts, size)
    with blame(source):
        first = next(parts, None)
    origin_us = raw.origin_us if raw.origin_us is not None else 0 if first is None else int(first.t_us[0])
    return EventStream(
        width=raw.width,
        height=raw.height,
        origin_us=origin_us,
        chunks=_checked(source, raw, origin_us, first, parts),
    )


def rebased(events: Events, origin_us: int) -> Events:
    """Stamps relative to `origin_us`, in place: the caller owns `events` and gives it up.

    Refuses a first or last stamp that int64 could not subtract safely; one between them that wraps is out of order, which
    the checks of order see.
    """
    check_absolute(events, 0)
    if origin_us:
        np.subtract(events.t_us, origin_us, out=events.t_us)
    return events


def check_absolute(events: Events, origin_us: int) -> None:
    """Refuse a first or last stamp that is no time of a clock that counts from zero."""
    for row in (0, len(events) - 1) if len(events) else ():
        if not 0 <= (t_us := origin_us + int(events.t_us[row])) <= MAX_STAMP_US:
            raise UserError(f"event {row}: absolute stamp {t_us} us is no time; {COPY_AGAIN}")


def _rebatched(parts: Iterator[Events], size: int) -> Iterator[Events]:
    waiting: list[Events] = []
    count = 0
    for part in parts:
        waiting.append(part)
        count += len(part)
        if count < size:
            continue
        joined = Events.concat(waiting)
        for start in range(0, count - size + 1, size):
            yield joined[start : start + size]
        waiting = [joined[count - count % size :]]
        count %= size
    if count:
        yield Events.concat(waiting)


def _checked(
    source: Path, raw: RawStream, origin_us: int, first: Events | None, rest: Iterator[Events]
) -> Iterator[Events]:
    row, last_us = 0, -MAX_STAMP_US
    with blame(source):
        chunk = first
        while chunk is not None:
            chunk = rebased(chunk, origin_us)
            if int(chunk.t_us[0]) < last_us:
                raise UserError(
                    f"event {row}: stamp {int(chunk.t_us[0])} us follows {last_us} us; read it whole and sort it "
                    "(open_recording(path, sort=True))"
                )
            chunk.check(raw.width, raw.height, row)
            yield chunk
            row, last_us = row + len(chunk), int(chunk.t_us[-1])
            chunk = next(rest, None)


@contextmanager
def blame(source: Path) -> Iterator[None]:
    """Put the file's name before what is refused inside; what the system or the memory refuses is one line too."""
    try:
        yield
    except UserError as error:
        if str(error).startswith(f"{source}: "):
            raise
        raise UserError(f"{source}: {error}") from error
    except OSError as error:
        raise UserError(f"{source}: {error.strerror or error}; check its permissions and the disk") from error
    except MemoryError as error:
        raise UserError(f"{source}: does not fit into memory ({error}); read it in chunks (open_events)") from error


@contextmanager
def decoding(source: Path) -> Iterator[None]:
    """Around a decoder library on a file that may be damaged: whatever it raises is one UserError.

    pyo3's PanicException derives from BaseException: it would pass every `except Exception` above us.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UserError(f"{source}: truncated or damaged ({reason}); {COPY_AGAIN}") from error
        raise


def missing(source: Path, library: str, error: ImportError) -> UserError:
    """The one line that says which library a format needs."""
    return UserError(f"{source}: {library}, which reads this format, is missing; {INSTALL} ({error})")
