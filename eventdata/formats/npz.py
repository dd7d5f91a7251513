"""Our own .npz: everything a Recording holds, without pickles, not compressed.

    header                    uint8, JSON: {format, version, width, height, origin_us, offset_us, span_us}
    x, y uint16; t_us int64; p bool            events on the recording's clock
    frames (N, H, W) uint8, frame_t_us, exposure_us; imu (M, 6) float32, imu_t_us; trigger_t_us int64, trigger_source uint8

Members that are missing are empty streams. numpy.load would allocate what a damaged header asks for: here a member's
size must agree with the archive's directory, and that with what its compressed bytes can hold.
Format of .npy: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats.base import Format, magic
from spikeplan.eventdata.formats.fixed import npy_header
from spikeplan.eventdata.formats.stream import CHUNK_EVENTS, COPY_AGAIN, RawStream, check_absolute, decoding
from spikeplan.eventdata.recording import MAX_STAMP_US, TRIGGER, Recording

MAGIC = b"PK\x03\x04"
FILE_FORMAT, VERSION = "spikeplan-recording", 1
MAX_RATIO = 1032  # of deflate: a directory that promises more is damaged
COLUMNS: dict[str, Any] = {"x": np.uint16, "y": np.uint16, "t_us": np.int64, "p": np.bool_}
STREAMS: dict[str, Any] = {
    "frames": np.uint8,
    "frame_t_us": np.int64,
    "exposure_us": np.int64,
    "imu": np.float32,
    "imu_t_us": np.int64,
    "trigger_t_us": np.int64,
    "trigger_source": np.uint8,
}


def header_of(recording: Recording) -> dict[str, Any]:
    check_absolute(recording.events, recording.origin_us)  # what could not be read back is not written
    return {
        "format": FILE_FORMAT,
        "version": VERSION,
        "width": recording.width,
        "height": recording.height,
        "origin_us": recording.origin_us,
        "offset_us": dict(recording.offset_us),
        "span_us": list(recording.span_us),
    }


def streams_of(recording: Recording) -> dict[str, NDArray[Any]]:
    """Every stream but the events, by member name."""
    found = {
        "frame_t_us": recording.frame_t_us,
        "exposure_us": recording.exposure_us,
        "imu_t_us": recording.imu_t_us,
        "trigger_t_us": recording.triggers["t_us"],
        "trigger_source": recording.triggers["source"],
    }
    held = {"frames": recording.frames, "imu": recording.imu}
    return found | {name: array for name, array in held.items() if array is not None}


def rebuild(header: dict[str, Any], events: Events, streams: dict[str, NDArray[Any]]) -> Recording:
    """The inverse of header_of and streams_of."""
    triggers = np.empty(len(streams.get("trigger_t_us", ())), TRIGGER)
    if len(streams.get("trigger_source", ())) != len(triggers):
        raise UserError(f"{len(triggers)} trigger stamps with another number of sources; {COPY_AGAIN}")
    if len(triggers):
        triggers["t_us"], triggers["source"] = streams["trigger_t_us"], streams["trigger_source"]
    empty = np.empty(0, np.int64)
    return Recording(
        events=events,
        width=header["width"],
        height=header["height"],
        frames=streams.get("frames"),
        frame_t_us=streams.get("frame_t_us", empty),
        exposure_us=streams.get("exposure_us", empty),
        imu=streams.get("imu"),
        imu_t_us=streams.get("imu_t_us", empty),
        triggers=triggers,
        origin_us=header["origin_us"],
        offset_us=header["offset_us"],
        span_us=header["span_us"],
    )


def checked_header(text: bytes | str) -> dict[str, Any]:
    """The JSON header with every field of its type."""
    try:
        header = json.loads(text)
        if header["format"] != FILE_FORMAT or header["version"] != VERSION:
            raise ValueError(f"{header['format']!r} version {header['version']!r}")
        header["span_us"] = tuple(int(t) for t in header["span_us"])
        numbers = [*(header[key] for key in ("width", "height", "origin_us")), *header["offset_us"].values()]
        if len(header["span_us"]) != 2 or not all(
            type(n) is int and abs(n) <= MAX_STAMP_US for n in (*numbers, *header["span_us"])
        ):
            raise ValueError("a number is no integer of 63 bits")
        return dict(header)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise UserError(
            f"the header is no {FILE_FORMAT} version {VERSION} ({error}); convert the recording again"
        ) from error


def write_npz(recording: Recording, target: Path) -> None:
    header = np.frombuffer(json.dumps(header_of(recording)).encode(), np.uint8)
    events = recording.events
    columns = {name: getattr(events, name) for name in COLUMNS}
    with target.open("wb") as handle:
        np.savez(handle, header=header, **columns, **dict[str, Any](streams_of(recording)))


def open_npz(source: Path, *, sort: bool = False) -> Recording:
    with decoding(source), ZipFile(source) as archive:
        header = _header(source, archive)
        held = {name: _whole(source, archive, name, dtype) for name, dtype in (COLUMNS | STREAMS).items()}
    found = {name: array for name, array in held.items() if array is not None}
    if lacking := COLUMNS.keys() - found.keys():
        raise UserError(f"{source}: lacks {', '.join(sorted(lacking))}; {COPY_AGAIN}")
    events = Events(**{name: found.pop(name) for name in COLUMNS})
    return rebuild(header, events.sorted() if sort else events, found)


def raw_npz(source: Path) -> RawStream:
    with decoding(source), ZipFile(source) as archive:
        header = _header(source, archive)
    origin_us = header["origin_us"]
    return RawStream(
        width=header["width"], height=header["height"], parts=_parts(source, origin_us), origin_us=origin_us
    )


def _header(source: Path, archive: ZipFile) -> dict[str, Any]:
    text = _whole(source, archive, "header", np.uint8)
    if text is None:
        raise UserError(
            f"{source}: no recording of ours ({', '.join(archive.namelist())[:80]}); expected a header member"
        )
    return checked_header(text.tobytes())


def _parts(source: Path, origin_us: int) -> Iterator[Events]:
    """The four columns side by side, a chunk at a time."""
    with decoding(source), ExitStack() as stack:
        archive = stack.enter_context(ZipFile(source))
        handles, lengths = {}, set()
        for name, dtype in COLUMNS.items():
            handle, shape = _open(source, archive, name, dtype)
            handles[name] = stack.enter_context(handle)
            lengths.add(shape)
        if len(lengths) != 1:
            raise UserError(f"{source}: columns of different lengths {sorted(lengths)}; {COPY_AGAIN}")
        left = lengths.pop()[0]
        while left:
            count = min(left, CHUNK_EVENTS)
            columns = {
                name: np.frombuffer(_exactly(handle, count * np.dtype(COLUMNS[name]).itemsize), COLUMNS[name])
                for name, handle in handles.items()
            }
            columns["t_us"] = columns["t_us"] + origin_us
            yield Events(**columns)
            left -= count


def _exactly(handle: Any, count: int) -> bytes:
    data: bytes = handle.read(count)
    if len(data) != count:
        raise ValueError(f"{count - len(data)} bytes are missing")
    return data


def _whole(source: Path, archive: ZipFile, name: str, dtype: Any) -> NDArray[Any] | None:
    if f"{name}.npy" not in archive.namelist():
        return None
    handle, shape = _open(source, archive, name, dtype)
    with handle:
        data = bytearray(int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize)
        view = memoryview(data)
        while len(view) and (got := handle.readinto(view)):
            view = view[got:]
        if len(view) or handle.read(1):
            raise ValueError(f"member {name} has another length than its header says")
    return np.frombuffer(data, dtype).reshape(shape)


def _open(source: Path, archive: ZipFile, name: str, dtype: Any) -> tuple[Any, tuple[int, ...]]:
    """The member behind its .npy header, and its shape."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.file_size > MAX_RATIO * entry.compress_size + 1024 or entry.compress_size > source.stat().st_size:
        raise UserError(
            f"{source}: member {name} claims {entry.file_size} bytes in {entry.compress_size}; {COPY_AGAIN}"
        )
    handle: Any = archive.open(entry)
    shape, found, column_major = npy_header(source, handle)
    size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
    if found != np.dtype(dtype) or column_major or size != entry.file_size - handle.tell():
        raise UserError(f"{source}: member {name} is {found} {shape}, expected {np.dtype(dtype)}; {COPY_AGAIN}")
    return handle, shape


FORMAT = Format(name="npz", suffixes=("npz",), is_it=magic(MAGIC), open=open_npz, raw=raw_npz, write=write_npz)
