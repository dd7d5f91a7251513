"""Formats of fixed-size records, read with numpy: Prophesee DAT, N-MNIST .bin, DVS128 Gesture .npy.

    DAT     text header of lines that start with %, then u8 event type, u8 event size (8), then events of two u32:
            t_us, and x:14 | y:14 << 14 | p:4 << 28.   Type 0x00 or 0x0C: change detection; 0x0E: triggers (refused).
            DAT 1 (Version 1) packs x:9 | y:8 << 9 | p << 17.
    N-MNIST 5 bytes an event, no header: x, y, then big-endian 24 bits p:1 << 23 | t_us:23.  y == 240 is no event:
            t_us wrapped, add 2^13. Sensor 34x34.
    Gesture .npy of shape (E, 4), columns x, y, p, t in ms. Sensor 128x128.

Sources: https://docs.prophesee.ai/stable/data/file_formats/dat.html; https://www.garrickorchard.com/datasets/n-mnist
with tonic's read_mnist_file; tonic.datasets.DVSGesture. DAT goes through numpy because faery 0.7.1 flattens stamps that go
back without a word; a u32 stamp that falls by more than half its range is a wrap, as in Prophesee's own reader.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats.base import Format, events_only, magic
from spikeplan.eventdata.formats.prophesee_header import read_header
from spikeplan.eventdata.formats.stream import CHUNK_EVENTS, COPY_AGAIN, RawStream, decoding

DAT_EVENT = np.dtype([("t", "<u4"), ("address", "<u4")])
DAT_CHANGE_DETECTION = (0x00, 0x0C)
NMNIST_EVENT = np.dtype([("x", "u1"), ("y", "u1"), ("t", "u1", 3)])
NMNIST_SIDE, NMNIST_WRAP_ROW, NMNIST_WRAP_US = 34, 240, 1 << 13
GESTURE_SIDE, NPY_MAGIC = 128, b"\x93NUMPY"


def raw_dat(source: Path) -> RawStream:
    with source.open("rb") as handle:
        header = read_header(source, handle)
        kind = handle.read(2)
    start = header.end + 2
    if len(kind) < 2:
        raise UserError(f"{source}: truncated at byte {header.end}, after the header; {COPY_AGAIN}")
    if kind[1] != DAT_EVENT.itemsize or kind[0] not in DAT_CHANGE_DETECTION:
        raise UserError(
            f"{source}: events of type {kind[0]:#04x} and {kind[1]} bytes at byte {header.end}; "
            "this build reads change detection (0x00, 0x0c) of 8 bytes: give a DAT file of CD events"
        )
    version = header.fields.get("Version", "2")
    if version not in ("1", "2"):
        raise UserError(f"{source}: DAT version {version!r}; this build reads 1 and 2: export it again")
    width, height = header.geometry or (304, 240) if version == "1" else header.size()
    return RawStream(width=width, height=height, parts=_dat_parts(source, start, version))


def _dat_parts(source: Path, start: int, version: str) -> Iterator[Events]:
    x_bits, y_bits = (9, 8) if version == "1" else (14, 14)
    offset_us, last = 0, 0
    for records in records_of(source, start, DAT_EVENT):
        stamp = records["t"].astype(np.int64)
        fall = np.diff(stamp, prepend=last) < -(1 << 31)
        address = records["address"]
        yield Events(
            x=(address & ((1 << x_bits) - 1)).astype(np.uint16),
            y=(address >> x_bits & ((1 << y_bits) - 1)).astype(np.uint16),
            t_us=stamp + (offset_us + (np.cumsum(fall) << 32) if fall.any() else offset_us),
            p=(address >> (x_bits + y_bits) & 1).astype(bool),
        )
        offset_us, last = offset_us + (int(fall.sum()) << 32), int(stamp[-1])


def raw_nmnist(source: Path) -> RawStream:
    return RawStream(width=NMNIST_SIDE, height=NMNIST_SIDE, parts=_nmnist_parts(source))


def _nmnist_parts(source: Path) -> Iterator[Events]:
    wraps = 0
    for records in records_of(source, 0, NMNIST_EVENT):
        high, middle, low = (records["t"][:, i].astype(np.int64) for i in range(3))
        is_wrap = records["y"] == NMNIST_WRAP_ROW
        stamp = ((high & 0x7F) << 16 | middle << 8 | low) + NMNIST_WRAP_US * (wraps + np.cumsum(is_wrap))
        wraps += int(is_wrap.sum())
        seen = ~is_wrap
        yield Events(
            x=records["x"][seen].astype(np.uint16),
            y=records["y"][seen].astype(np.uint16),
            t_us=stamp[seen],
            p=high[seen] >> 7 == 1,
        )


def raw_gesture(source: Path) -> RawStream:
    return RawStream(width=GESTURE_SIDE, height=GESTURE_SIDE, parts=_gesture_parts(source))


def _gesture_parts(source: Path) -> Iterator[Events]:
    with source.open("rb") as handle:
        shape, dtype, column_major = npy_header(source, handle)
        start = handle.tell()
    if len(shape) != 2 or shape[1] != 4 or dtype.kind not in "iuf" or column_major:
        order = "column" if column_major else "row"
        raise UserError(
            f"{source}: array of shape {shape}, {dtype}, {order} by {order}; expected (events, 4) numbers x, y, p, t in ms"
        )
    stored = source.stat().st_size - start
    if shape[0] * 4 * dtype.itemsize != stored:
        raise UserError(
            f"{source}: the header says {shape[0]} events, byte {start} on holds {stored} bytes; {COPY_AGAIN}"
        )
    row = 0
    for records in records_of(source, start, np.dtype((dtype, 4))):
        with np.errstate(invalid="ignore"):  # a signalling NaN
            table = records.astype(np.float64)
        odd = ~((table >= 0) & (table < [1 << 16, 1 << 16, 2, 1e15]))  # also true for NaN
        if odd.any():
            at, column = (int(i) for i in np.argwhere(odd)[0])
            raise UserError(f"{source}: event {row + at}: {'xypt'[column]} = {table[at, column]}; {COPY_AGAIN}")
        x, y = (table[:, i].astype(np.uint16) for i in (0, 1))
        yield Events(x=x, y=y, t_us=np.rint(table[:, 3] * 1000).astype(np.int64), p=table[:, 2] > 0)
        row += len(table)


def npy_header(source: Path, handle: BinaryIO) -> tuple[tuple[int, ...], np.dtype[np.void], bool]:
    """Shape, dtype and whether columns come first. Never unpickles; numpy parses at most 10,000 bytes of header."""
    with decoding(source):
        version = np.lib.format.read_magic(handle)
        read: dict[tuple[int, int], Callable[[BinaryIO], tuple[tuple[int, ...], bool, np.dtype[np.void]]]] = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in read:
            raise ValueError(f"npy version {version}")
        shape, column_major, dtype = read[version](handle)
    if dtype.hasobject or dtype.itemsize == 0 or min(shape, default=0) < 0:
        raise UserError(f"{source}: npy of {dtype} {shape}; expected plain numbers; {COPY_AGAIN}")
    return shape, dtype, column_major


def records_of(source: Path, start: int, dtype: np.dtype[np.void]) -> Iterator[NDArray[np.void]]:
    """Blocks of records from byte `start` to the end, which must fall between two records."""
    size = source.stat().st_size
    if rest := (size - start) % dtype.itemsize:
        raise UserError(
            f"{source}: truncated, {rest} of {dtype.itemsize} bytes of an event at byte {size - rest}; {COPY_AGAIN}"
        )
    with source.open("rb") as handle:
        handle.seek(start)
        while block := handle.read(CHUNK_EVENTS * dtype.itemsize):
            yield np.frombuffer(block, dtype)


def _is_dat(head: bytes) -> bool:
    return head.startswith(b"%") and (b"% Version" in head or b"% Data file" in head)


FORMAT = (
    Format(name="dat", suffixes=("dat",), is_it=_is_dat, open=events_only(raw_dat), raw=raw_dat),
    Format(name="gesture", suffixes=("npy",), is_it=magic(NPY_MAGIC), open=events_only(raw_gesture), raw=raw_gesture),
    Format(name="nmnist", suffixes=("bin",), is_it=None, open=events_only(raw_nmnist), raw=raw_nmnist),
)
