"""Opens a recording of any known format, by its magic bytes first and its suffix second.

A renamed file is read for what it is; a file with a known suffix and foreign content is refused by its own reader,
which can say what is wrong with it. N-MNIST's .bin has no magic and goes by its suffix alone. Directories are refused:
a data set is not a recording.

`open_recording` reads everything, `open_events` the events alone in chunks (bounded memory), `open_slice` what was
stamped in an interval, without keeping the rest.
"""

from __future__ import annotations

import os
from pathlib import Path

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats import FORMATS, hdf5
from spikeplan.eventdata.formats.stream import CHUNK_EVENTS, EventStream, blame, in_chunks
from spikeplan.eventdata.recording import Recording, check_span

HEAD_BYTES = 4096


def detect_format(path: str | os.PathLike[str]) -> str:
    """Name of the format of an existing file, by its first bytes and then by its suffix.

    Raises UserError for no file, an empty file, and a format that nothing here reads.

    >>> detect_format("drive.aedat4")
    'aedat4'
    """
    source = Path(path)
    if not source.exists():
        raise UserError(f"{source}: no such file; give the path of a recording")
    if not source.is_file():
        raise UserError(f"{source}: not a regular file; give the path of a recording")
    with blame(source), source.open("rb") as handle:
        head = handle.read(HEAD_BYTES)
    for name, format_ in FORMATS.items():
        if format_.is_it is not None and format_.is_it(head):
            return name
    suffix = source.suffix.lower().removeprefix(".")
    for name, format_ in FORMATS.items():
        if suffix in format_.suffixes:
            if not head:
                raise UserError(f"{source}: the file is empty (0 bytes); copy or record it again")
            return name
    known = ", ".join(f".{suffix}" for format_ in FORMATS.values() for suffix in format_.suffixes)
    raise UserError(f"{source}: unknown recording format; this build reads {known}")


def open_recording(path: str | os.PathLike[str], *, sort: bool = False) -> Recording:
    """Read a whole recording: events, frames, IMU and triggers on one clock in microseconds.

    Args:
        path: a file of any format in `eventdata.formats`, or of a plug-in.
        sort: put streams whose stamps go back in order, instead of refusing them.

    Raises UserError, in one line, for a file that is missing, damaged or of no known format.

    >>> recording = open_recording("drive.aedat4")
    >>> recording.events.t_us[0], recording.width
    """
    source = Path(path)
    format_ = FORMATS[detect_format(source)]
    with blame(source):
        return format_.open(source, sort=sort)


def open_events(path: str | os.PathLike[str], *, chunk: int = CHUNK_EVENTS) -> EventStream:
    """The events alone, `chunk` at a time and in bounded memory, on the clock of `open_recording`.

    The chunks can be walked once. Raises UserError as `open_recording` does; damage further on is found on the way.

    >>> for events in open_events("drive.aedat4", chunk=100_000).chunks:
    ...     print(len(events))
    """
    source = Path(path)
    format_ = FORMATS[detect_format(source)]
    with blame(source):
        return in_chunks(source, format_.raw(source), chunk)


def open_slice(path: str | os.PathLike[str], start_us: int, stop_us: int) -> Recording:
    """Events stamped in [start_us, stop_us), as open_recording(path).slice_us(...) has them, other streams left out.

    Keeps nothing else in memory. An HDF5 file with ms_to_idx is read from the right row on; the others from the start.
    Raises UserError as `open_recording` does, and for an interval that ends before it starts.

    >>> second = open_slice("drive.aedat4", 1_000_000, 2_000_000)
    """
    check_span("slice", start_us, stop_us)
    source = Path(path)
    kept: list[Events] = []
    stream = open_events(source)
    origin_us = stream.origin_us
    rows = hdf5.rows_between(source, start_us, stop_us) if detect_format(source) == "hdf5" else None
    if rows is not None:
        stream = in_chunks(source, hdf5.raw_hdf5(source, *rows))
    shift = stream.origin_us - origin_us
    for chunk in stream.chunks:
        t_us = chunk.t_us + shift
        first, last = (int(row) for row in t_us.searchsorted((start_us, stop_us)))
        kept.append(Events(x=chunk.x, y=chunk.y, t_us=t_us, p=chunk.p)[first:last])
        if last < len(t_us):
            break
    return Recording(
        events=Events.concat(kept),
        width=stream.width,
        height=stream.height,
        origin_us=origin_us,
        span_us=(start_us, stop_us),
    )
