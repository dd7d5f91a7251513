"""Tiny encoders of every format, written from the formats' specifications and sharing no code with eventdata/.

An encoder takes columns (x, y, t_us, p) with absolute stamps and a path. `SUFFIX` names the file of each format.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

WIDTH = HEIGHT = 34  # N-MNIST's sensor, so that one set of events fits every format
SEC0 = 1_600_000_000  # ROS bags carry wall-clock time


class Columns(NamedTuple):
    x: np.ndarray
    y: np.ndarray
    t_us: np.ndarray
    p: np.ndarray


Encoder = Callable[[Columns, Path], None]


def some_events(count: int, seed: int = 0, span_us: int = 100_000) -> Columns:
    rng = np.random.default_rng(seed)
    t_us = np.sort(rng.integers(0, span_us, count)) // 1000 * 1000  # DVS Gesture counts in ms: float32 holds them
    return Columns(rng.integers(0, WIDTH, count), rng.integers(0, HEIGHT, count), t_us, rng.integers(0, 2, count))


def evt2(events: Columns, path: Path) -> None:
    words, high = [], -1
    for x, y, t, p in zip(*events, strict=True):
        if t >> 6 != high:
            high = t >> 6
            words.append(0x8 << 28 | high)
        words.append(int(p) << 28 | (t & 63) << 22 | x << 11 | y)
    head = f"% date 2024-01-01 10:00:00\n% evt 2.0\n% geometry {WIDTH}x{HEIGHT}\n% end\n"
    path.write_bytes(head.encode() + np.array(words, "<u4").tobytes())


def evt3(events: Columns, path: Path) -> None:
    """Single events as x words, three in a row at one moment as a vector of 12."""
    words: list[int] = []
    high = low = row = -1
    rows = list(zip(*events, strict=True))
    for x, y, t, p in rows:
        if t >> 12 & 0xFFF != high:
            high, low = t >> 12 & 0xFFF, -1
            words.append(0x8 << 12 | high)
        if t & 0xFFF != low:
            low = t & 0xFFF
            words.append(0x6 << 12 | low)
        if y != row:
            row = y
            words.append(0x0 << 12 | y)
        words.append(0x2 << 12 | int(p) << 11 | x)
    head = f"% camera_integration_name test\n% format EVT3;height={HEIGHT};width={WIDTH}\n% end\n"
    path.write_bytes(head.encode() + np.array(words, "<u2").tobytes())


def dat(events: Columns, path: Path) -> None:
    head = f"% Data file containing CD events.\n% Version 2\n% Height {HEIGHT}\n% Width {WIDTH}\n".encode()
    address = events.x | events.y << 14 | events.p << 28
    body = np.stack([events.t_us & 0xFFFFFFFF, address], axis=1).astype("<u4")
    path.write_bytes(head + b"\x0c\x08" + body.tobytes())


def es(events: Columns, path: Path) -> None:
    out = bytearray(b"Event Stream\x02\x00\x00\x01" + struct.pack("<HH", WIDTH, HEIGHT))
    last = 0
    for x, y, t, p in zip(*events, strict=True):
        pauses, rest = divmod(int(t) - last, 127)
        out += b"\xff" * pauses + struct.pack("<BHH", rest << 1 | int(p), x, HEIGHT - 1 - y)
        last = int(t)
    path.write_bytes(out)


def nmnist(events: Columns, path: Path) -> None:
    out, wraps = bytearray(), 0
    for x, y, t, p in zip(*events, strict=True):
        while t - (wraps << 13) >= 1 << 23:
            out += bytes([0, 240, 0, 0, 0])
            wraps += 1
        out += bytes([x, y]) + (int(p) << 23 | int(t) - (wraps << 13)).to_bytes(3, "big")
    path.write_bytes(out)


def gesture(events: Columns, path: Path) -> None:
    with path.open("wb") as handle:
        np.save(handle, np.stack([events.x, events.y, events.p, events.t_us // 1000], axis=1).astype(np.float32))


def dsec(events: Columns, path: Path) -> None:
    import h5py
    import hdf5plugin

    start = int(events.t_us[0]) if len(events.t_us) else 0
    relative = events.t_us - start
    with h5py.File(path, "w") as file:
        for name, column, dtype in (
            ("x", events.x, "u2"),
            ("y", events.y, "u2"),
            ("t", relative, "u4"),
            ("p", events.p, "u1"),
        ):
            file.create_dataset(
                f"events/{name}", data=column.astype(dtype), chunks=(64,), maxshape=(None,), **hdf5plugin.Blosc()
            )
        last_ms = int(relative[-1]) // 1000 if len(relative) else -1
        file["ms_to_idx"] = np.searchsorted(relative, np.arange(last_ms + 1) * 1000).astype(np.uint64)
        file["t_offset"] = np.int64(start)


def stamp(t_ns: int) -> bytes:
    """std_msgs/Header at SEC0 + t_ns."""
    return struct.pack("<III", 0, SEC0 + t_ns // 10**9, t_ns % 10**9) + struct.pack("<I", 3) + b"cam"


def event_array(events: Columns) -> bytes:
    rows = np.zeros(len(events.t_us), [("x", "<u2"), ("y", "<u2"), ("s", "<u4"), ("n", "<u4"), ("p", "u1")])
    rows["x"], rows["y"], rows["p"] = events.x, events.y, events.p
    rows["s"], rows["n"] = SEC0 + events.t_us // 10**6, events.t_us % 10**6 * 1000
    start = int(events.t_us[0]) * 1000 if len(rows) else 0
    return stamp(start) + struct.pack("<III", HEIGHT, WIDTH, len(rows)) + rows.tobytes()


def packet(payload: bytes, encoding: bytes, start_ns: int) -> bytes:
    head = stamp(start_ns) + struct.pack("<IIQQ", HEIGHT, WIDTH, 0, 0)
    return head + struct.pack("<I", len(encoding)) + encoding + b"\0" + struct.pack("<I", len(payload)) + payload


def bag_of(path: Path, messages: list[tuple[str, str, int, bytes]], compression: str = "") -> None:
    """(topic, type, receive time in ns, serialised message)."""
    from rosbags.rosbag1 import Writer

    writer = Writer(path)
    if compression:
        writer.set_compression(Writer.CompressionFormat[compression])
    with writer:
        connections = {}
        for topic, kind, t_ns, data in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, msgdef="uint8 any", md5sum="0" * 32)
            writer.write(connections[topic], SEC0 * 10**9 + t_ns, data)


def rosbag(events: Columns, path: Path) -> None:
    parts = [Columns(*(column[start : start + 50] for column in events)) for start in range(0, len(events.t_us), 50)]
    kind = "dvs_msgs/msg/EventArray"
    bag_of(
        path,
        [("/dvs/events", kind, 10**9 + i, event_array(part)) for i, part in enumerate(parts)]
        or [("/dvs/events", kind, 0, event_array(events))],
    )


def mono_bag(events: Columns, path: Path) -> None:
    start_ns = int(events.t_us[0]) * 1000 if len(events.t_us) else 0
    delta, x, y, p = (
        np.asarray(column).astype("<u8") for column in (events.t_us * 1000 - start_ns, events.x, events.y, events.p)
    )
    words = delta | x << np.uint64(32) | y << np.uint64(48) | p << np.uint64(63)
    kind = "event_camera_msgs/msg/EventPacket"
    bag_of(path, [("/events", kind, 0, packet(words.tobytes(), b"mono", start_ns))], "LZ4")


def evt3_bag(events: Columns, path: Path) -> None:
    plain = path.with_suffix(".words")
    evt3(events, plain)
    words = plain.read_bytes().split(b"% end\n", 1)[1]
    half = len(words) // 4 * 2
    start_ns = int(events.t_us[0]) * 1000 if len(events.t_us) else 0
    kind = "event_camera_msgs/msg/EventPacket"
    cut = [
        ("/events", kind, i, packet(part, b"evt3", start_ns + i)) for i, part in enumerate((words[:half], words[half:]))
    ]
    bag_of(path, cut, "BZ2")


def aedat4(events: Columns, path: Path) -> None:
    import faery

    rows = np.zeros(len(events.t_us), [("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
    rows["t"], rows["x"], rows["y"], rows["on"] = events.t_us, events.x, events.y, events.p
    faery.events_stream_from_array(rows, (WIDTH, HEIGHT)).to_file(path)


ENCODERS: dict[str, tuple[str, Encoder]] = {
    "evt2": (".raw", evt2),
    "evt3": (".raw", evt3),
    "dat": (".dat", dat),
    "es": (".es", es),
    "nmnist": (".bin", nmnist),
    "gesture": (".npy", gesture),
    "dsec": (".h5", dsec),
    "rosbag": (".bag", rosbag),
    "mono_bag": (".bag", mono_bag),
    "evt3_bag": (".bag", evt3_bag),
    "aedat4": (".aedat4", aedat4),
}


def full_recording() -> Any:
    """A recording with something in every field."""
    from spikeplan.eventdata import Events, Recording
    from spikeplan.eventdata.recording import TRIGGER

    rng = np.random.default_rng(8)
    t_us = np.sort(rng.integers(0, 9_000, 300))
    t_us[0] = 0
    events = Events(
        x=rng.integers(0, 6, 300).astype(np.uint16),
        y=rng.integers(0, 5, 300).astype(np.uint16),
        t_us=t_us,
        p=rng.random(300) < 0.5,
    )
    return Recording(
        events=events,
        width=6,
        height=5,
        frames=rng.integers(0, 255, (2, 5, 6)).astype(np.uint8),
        frame_t_us=np.array([-40, 700]),
        exposure_us=np.array([3, 4]),
        imu=rng.random((3, 6)).astype(np.float32),
        imu_t_us=np.array([-1, 5, 9]),
        triggers=np.array([(4, 1), (5, 2)], TRIGGER),
        origin_us=1_700_000_000_123_456,
        offset_us={"imu": -1, "frames": -39},
        span_us=(-100, 20_000),
    )


class Files(NamedTuple):
    """What the tests of this folder make their files with."""

    folder: Path

    def make(self, kind: str, events: Columns) -> Path:
        suffix, encode = ENCODERS[kind]
        path = self.folder / f"{kind}{suffix}"
        path.unlink(missing_ok=True)
        encode(events, path)
        return path

    some = staticmethod(some_events)
    columns = Columns
    bag = staticmethod(bag_of)
    stamp = staticmethod(stamp)
    packet = staticmethod(packet)
    event_array = staticmethod(event_array)
    full_recording = staticmethod(full_recording)
    kinds = tuple(ENCODERS)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    yield Files(tmp_path)
