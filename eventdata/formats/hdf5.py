"""HDF5 in the layout of DSEC, read; ours, the same with more in it, read and written. Through `h5py` (BSD-3-Clause).

    events/x, y uint16; events/p uint8; events/t integer us;   t_offset: scalar, absolute us of events/t == 0
    ms_to_idx[m]: first row with t >= 1000 m                   lets a slice be read without what is before it
Ours adds the dataset `header`, uint8, JSON (see spikeplan.eventdata.formats.npz), and those under `streams`; t starts at
0 and t_offset is
origin_us. Our datasets carry a checksum (fletcher32), so that damage is seen; DSEC's (Blosc, through `hdf5plugin`) do
not. DSEC states no geometry: 640x480. Source: https://dsec.ifi.uzh.ch/data-format/

What libhdf5 (h5py 3.16.0) does with damaged files, found by fuzzing: it allocates what a header asks for, so a dataset
must not promise more than MAX_RATIO times the bytes stored for it, nor chunks over MAX_CHUNK bytes; it can loop for
ever in the heap of variable-length data, so nothing of variable length and no attribute is read; and Blosc's filter
reads parameters that are not there (a crash), so filters are checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats.base import Format, magic
from spikeplan.eventdata.formats.npz import STREAMS, checked_header, header_of, rebuild, streams_of
from spikeplan.eventdata.formats.stream import CHUNK_EVENTS, COPY_AGAIN, RawStream, decoding, missing, whole
from spikeplan.eventdata.recording import Recording

MAGIC = b"\x89HDF\r\n\x1a\n"
DSEC_SIZE = (640, 480)
MAX_RATIO = 4096
MAX_CHUNK = 1 << 28
COLUMNS = ("x", "y", "t", "p")
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf", 32001: "blosc"}
OURS = {"shuffle": True, "fletcher32": True, "compression": "lzf"}


def raw_hdf5(source: Path, first: int = 0, stop: int | None = None) -> RawStream:
    """Rows [first, stop) of the events."""
    with _open(source) as file:
        header = _header(source, file)
        _columns(source, file)
    parts = _parts(source, first, stop)
    if header is None:
        return RawStream(width=DSEC_SIZE[0], height=DSEC_SIZE[1], parts=parts)
    return RawStream(width=header["width"], height=header["height"], parts=parts, origin_us=header["origin_us"])


def open_hdf5(source: Path, *, sort: bool = False) -> Recording:
    with _open(source) as file:
        header = _header(source, file)
        if header is None:
            return whole(raw_hdf5(source), sort=sort)
        streams = {}
        for name, dtype in STREAMS.items():
            if f"streams/{name}" in file:
                streams[name] = _dataset(source, file, f"streams/{name}")[...].astype(dtype, copy=False)
    recording = whole(raw_hdf5(source), sort=sort)
    events = recording.events
    shift = recording.origin_us - header["origin_us"] if len(events) else 0
    kept = Events(x=events.x, y=events.y, t_us=events.t_us + shift, p=events.p)
    return rebuild(header, kept, streams)


def rows_between(source: Path, start_us: int, stop_us: int) -> tuple[int, int] | None:
    """Rows that surely hold [start_us, stop_us) of the recording's clock, from ms_to_idx; None without that index."""
    with _open(source) as file:
        columns = _columns(source, file)
        rows = len(columns["t"])
        if "ms_to_idx" not in file or not rows:
            return None
        index = _dataset(source, file, "ms_to_idx")[...].astype(np.int64)
        zero_us = 0 if "header" in file else int(columns["t"][0])
    if not len(index) or index[0] < 0 or index[-1] > rows or bool((np.diff(index) < 0).any()):
        raise UserError(f"{source}: ms_to_idx does not fit {rows} events; {COPY_AGAIN}")
    first_ms, stop_ms = (start_us + zero_us) // 1000, -(-(stop_us + zero_us) // 1000)
    first = 0 if first_ms < 0 else int(index[first_ms]) if first_ms < len(index) else int(index[-1])
    stop = 0 if stop_ms < 0 else int(index[stop_ms]) if stop_ms < len(index) else rows
    return min(first, stop), stop


def write_hdf5(recording: Recording, target: Path) -> None:
    import h5py

    events = recording.events
    columns: dict[str, NDArray[Any]] = {"x": events.x, "y": events.y, "t": events.t_us, "p": events.p.astype(np.uint8)}
    with h5py.File(target, "w") as file:
        text = np.frombuffer(json.dumps(header_of(recording)).encode(), np.uint8)
        file.create_dataset("header", data=text, chunks=text.shape, fletcher32=True)
        for name, column in columns.items():
            file.create_dataset(
                f"events/{name}", data=column, chunks=_chunks(column), maxshape=_open_end(column), **OURS
            )
        last_ms = int(events.t_us[-1]) // 1000 if len(events) else -1
        if last_ms < 10 * len(events) + 10_000:  # a stamp that jumps by a year gets no index of a year
            marks = np.searchsorted(events.t_us, np.arange(last_ms + 1) * 1000)
            file.create_dataset("ms_to_idx", data=marks.astype(np.uint64))
        file["t_offset"] = recording.origin_us
        for name, stream in streams_of(recording).items():
            file.create_dataset(
                f"streams/{name}", data=stream, chunks=_chunks(stream), maxshape=_open_end(stream), **OURS
            )


def _chunks(array: NDArray[Any]) -> tuple[int, ...]:
    row = max(1, int(np.prod(array.shape[1:])))
    return (max(1, min(len(array), (1 << 16) // row)), *array.shape[1:])


def _open_end(array: NDArray[Any]) -> tuple[int | None, ...]:
    """An empty stream can only be stored in chunks where it may grow."""
    return (None, *array.shape[1:])


@contextmanager
def _open(source: Path) -> Iterator[Any]:
    try:
        import h5py
        import hdf5plugin  # noqa: F401   registers Blosc
    except ImportError as error:
        raise missing(source, "h5py with hdf5plugin", error) from error
    with decoding(source), h5py.File(source, "r") as file:
        yield file


def _header(source: Path, file: Any) -> dict[str, Any] | None:
    if "header" not in file:
        return None
    return checked_header(_dataset(source, file, "header")[...].astype(np.uint8).tobytes())


def _columns(source: Path, file: Any) -> dict[str, Any]:
    columns = {name: _dataset(source, file, f"events/{name}") for name in COLUMNS}
    lengths = {name: column.shape for name, column in columns.items()}
    if len(set(lengths.values())) != 1 or len(columns["t"].shape) != 1:
        raise UserError(f"{source}: columns of different lengths {lengths}; {COPY_AGAIN}")
    if columns["t"].dtype.kind not in "iu":
        raise UserError(f"{source}: events/t is {columns['t'].dtype}; expected whole microseconds; {COPY_AGAIN}")
    return columns


def _dataset(source: Path, file: Any, name: str) -> Any:
    import h5py

    data = file.get(name)
    if not isinstance(data, h5py.Dataset):
        raise UserError(f"{source}: has no dataset {name}; expected DSEC's layout: events/x, y, t, p")
    if data.dtype.kind not in "iufb" or data.dtype.itemsize > 8:
        raise UserError(f"{source}: {name} is {data.dtype}; expected numbers; {COPY_AGAIN}")
    stored = data.id.get_storage_size()
    if data.nbytes > MAX_RATIO * stored or stored > source.stat().st_size:
        raise UserError(f"{source}: {name} promises {data.nbytes} bytes in {stored} stored; {COPY_AGAIN}")
    _check_filters(source, name, data)
    if data.chunks and int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize > MAX_CHUNK:
        raise UserError(f"{source}: {name} has chunks of {data.chunks}; {COPY_AGAIN}")
    return data


def _check_filters(source: Path, name: str, data: Any) -> None:
    """Only known filters with the parameters that they read: Blosc's takes seven and does not count them."""
    stack = data.id.get_create_plist()
    for place in range(stack.get_nfilters()):
        code, _, values, _ = stack.get_filter(place)
        if code not in FILTERS:
            raise UserError(
                f"{source}: {name} is packed with filter {code}; this build reads {', '.join(FILTERS.values())}"
            )
        size = int(np.prod(data.chunks, dtype=object)) * data.dtype.itemsize
        sane = {
            "blosc": len(values) >= 7 and values[2:4] == (data.dtype.itemsize, size),
            "lzf": values[2:3] in ((), (size,)),
        }
        if not sane.get(FILTERS[code], True):
            raise UserError(f"{source}: {name} has {FILTERS[code]} parameters {values}, no such; {COPY_AGAIN}")


def _parts(source: Path, first: int, stop: int | None) -> Iterator[Events]:
    with _open(source) as file:
        columns = _columns(source, file)
        offset = _dataset(source, file, "t_offset")[()] if "t_offset" in file else 0
        if np.ndim(offset) or not -(1 << 62) < int(offset) < 1 << 62:
            raise UserError(f"{source}: t_offset is {offset!s:.40}, no time in us; {COPY_AGAIN}")
        stop = len(columns["t"]) if stop is None else min(stop, len(columns["t"]))
        for start in range(first, stop, CHUNK_EVENTS):
            rows = slice(start, min(start + CHUNK_EVENTS, stop))
            yield Events(
                x=_coordinate(source, "x", columns["x"][rows], start),
                y=_coordinate(source, "y", columns["y"][rows], start),
                t_us=columns["t"][rows].astype(np.int64) + int(offset),
                p=columns["p"][rows] > 0,
            )


def _coordinate(source: Path, name: str, column: NDArray[Any], start: int) -> NDArray[np.uint16]:
    if column.dtype == np.uint16:
        return column
    outside = np.flatnonzero(~((column >= 0) & (column <= 0xFFFF)))
    if outside.size:
        raise UserError(f"{source}: event {start + int(outside[0])}: {name} = {column[outside[0]]}; {COPY_AGAIN}")
    return column.astype(np.uint16)


FORMAT = Format(
    name="hdf5", suffixes=("h5", "hdf5"), is_it=magic(MAGIC), open=open_hdf5, raw=raw_hdf5, write=write_hdf5
)
