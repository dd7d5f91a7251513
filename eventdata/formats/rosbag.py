"""ROS 1 bags through `rosbags` (Apache-2.0): events, frames and IMU on the clock of their own header stamps.

    dvs_msgs/EventArray              header, u32 height, width, events[]: u16 x, y, u32 sec, nsec, u8 polarity  (13 bytes)
    event_camera_msgs/EventPacket    header, u32 height, width, u64 seq, time_base, string encoding, u8 big endian, u8[] events
        mono   u64 words  dt_ns:32 | x:16 << 32 | y:15 << 48 | p << 63;   t = header stamp + dt
        evt2, evt3        Prophesee's words; only sensor time: the first event gets the stamp of the first packet's header
    sensor_msgs/Image                mono8 or 8UC1; frame_t_us is the header stamp, exposure unknown (0)
    sensor_msgs/Imu                  m/s^2, rad/s
Sources: github.com/uzh-rpg/rpg_dvs_ros (dvs_msgs), github.com/ros-event-camera/event_camera_msgs, wiki.ros.org/Bags/Format/2.0

rosbags finds the messages; their bytes are read here, because one Python object an event is a thousand times too slow.
No stream is shifted: tonic sets each to zero on its own first stamp. A compressed chunk may grow to MAX_CHUNK bytes.
"""

from __future__ import annotations

import bz2
import struct
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.formats.base import Format, magic
from spikeplan.eventdata.formats.evt import raw_evt
from spikeplan.eventdata.formats.stream import COPY_AGAIN, RawStream, decoding, missing, rebased
from spikeplan.eventdata.recording import Recording

MAGIC = b"#ROSBAG V"
EVENT_TYPES = ("dvs_msgs/msg/EventArray", "event_camera_msgs/msg/EventPacket", "event_array_msgs/msg/EventArray")
IMAGE, IMU = "sensor_msgs/msg/Image", "sensor_msgs/msg/Imu"
DVS_EVENT = np.dtype([("x", "<u2"), ("y", "<u2"), ("sec", "<u4"), ("nsec", "<u4"), ("p", "u1")])
GREY = ("mono8", "8UC1")
MAX_CHUNK = 1 << 30
STEP_BYTES = 1 << 22  # both libraries allocate at once what they are allowed


@dataclass
class Message:
    """A serialised message and the place up to which it is read."""

    data: bytes
    at: int = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        found = struct.unpack_from(layout, self.data, self.at)
        self.at += struct.calcsize(layout)
        return found

    def bytes_of(self, count: int) -> bytes:
        if count > len(self.data) - self.at:
            raise ValueError(f"a message of {len(self.data)} bytes promises {count} more at byte {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def text(self) -> str:
        return self.bytes_of(self.take("<I")[0]).decode()

    def stamp_ns(self) -> int:
        """std_msgs/Header: seq, stamp, frame_id."""
        _, sec, nsec = self.take("<III")
        self.text()
        return int(sec) * 10**9 + int(nsec)


def raw_rosbag(source: Path, *, prefix: str = "") -> RawStream:
    """`prefix` of the topics to read, where a bag holds several cameras ("/davis/left/" in MVSEC's)."""
    with _reader(source) as bag:
        connections = _events_connections(source, bag, prefix)
        first = next(iter(bag.messages(connections)), None)
        if first is None:
            raise UserError(f"{source}: no message on {connections[0].topic}; record with the camera running")
        message = Message(first[2])
        message.stamp_ns()
        height, width = message.take("<II")
    return RawStream(width=width, height=height, parts=_parts(source, width, height, prefix))


def open_rosbag(source: Path, *, sort: bool = False, prefix: str = "") -> Recording:
    raw = raw_rosbag(source, prefix=prefix)
    events = Events.concat(list(raw.parts))
    events = events.sorted() if sort else events
    frames, frame_t, exposure, imu, imu_t = _others(source, sort, prefix)
    starts = [stream[:1] for stream in (events.t_us, frame_t, imu_t)]
    origin_us = int(next((start[0] for start in starts if len(start)), 0))
    offsets = {"imu": imu_t, "frames": frame_t}
    return Recording(
        events=rebased(events, origin_us),
        width=raw.width,
        height=raw.height,
        frames=frames,
        frame_t_us=frame_t - origin_us,
        exposure_us=exposure,
        imu=imu,
        imu_t_us=imu_t - origin_us,
        origin_us=origin_us,
        offset_us={name: int(stamps[0]) - origin_us for name, stamps in offsets.items() if len(stamps)},
    )


@contextmanager
def _reader(source: Path) -> Iterator[Any]:
    try:
        from lz4.frame import LZ4FrameDecompressor
        from rosbags.rosbag1 import Reader
    except ImportError as error:
        raise missing(source, "rosbags", error) from error
    with decoding(source):
        bag = Reader(source)
        try:
            bag.open()
        except Exception as error:
            raise ValueError(f"{error}{_first_flaw(source)}") from error
    with decoding(source), closing(bag):
        for at, chunk in bag.chunks.items():
            module = getattr(chunk.decompressor, "__module__", "")
            maker: Any = LZ4FrameDecompressor if "lz4" in module else bz2.BZ2Decompressor if "bz2" in module else None
            if maker is not None:
                bag.chunks[at] = chunk._replace(decompressor=_bounded(maker))
        yield bag


def _first_flaw(source: Path) -> str:
    """The place of the first record that the file does not hold whole: u32 length, header, u32 length, data."""
    size = source.stat().st_size
    with source.open("rb") as handle:
        at = len(handle.readline(len(MAGIC) + 8))
        while at < size:
            record = at
            for least in (1, 0):
                handle.seek(at)
                head = handle.read(4)
                length = int.from_bytes(head, "little")
                if len(head) < 4 or not least <= length <= size - at - 4:
                    return f", record at byte {record} of {size}"
                at += 4 + length
    return f", {size} bytes of whole records"


def _bounded(maker: Any) -> Any:
    def decompress(data: bytes) -> bytes:
        decoder, out = maker(), bytearray()
        while not decoder.eof and len(out) < MAX_CHUNK:
            part = decoder.decompress(data, STEP_BYTES)
            if not part and decoder.needs_input:
                raise ValueError("a compressed chunk is cut")
            out += part
            data = b""
        if not decoder.eof:
            raise ValueError(f"a compressed chunk holds more than {MAX_CHUNK} bytes")
        return bytes(out)

    return decompress


def _connections(bag: Any, kinds: tuple[str, ...], prefix: str) -> list[Any]:
    return [each for each in bag.connections if each.msgtype in kinds and each.topic.startswith(prefix)]


def _events_connections(source: Path, bag: Any, prefix: str) -> list[Any]:
    found = _connections(bag, EVENT_TYPES, prefix)
    topics = sorted({connection.topic for connection in found})
    if not topics:
        held = ", ".join(sorted(bag.topics))[:200]
        raise UserError(
            f"{source}: holds no event topic{prefix and f' below {prefix}'} (only {held}); give another bag"
        )
    if len(topics) > 1:
        raise UserError(
            f"{source}: {len(topics)} event topics ({', '.join(topics)}); filter one camera into a bag of its own, "
            "or name it (spikeplan.eventdata.formats.rosbag.open_rosbag(path, prefix=...))"
        )
    return found


def _parts(source: Path, width: int, height: int, prefix: str) -> Iterator[Events]:
    with _reader(source) as bag, tempfile.TemporaryDirectory() as folder:
        words = Path(folder) / "words.raw"
        started_us = 0
        for connection, _, data in bag.messages(_events_connections(source, bag, prefix)):
            message = Message(data)
            stamp_ns = message.stamp_ns()
            size = message.take("<II")
            if size != (height, width):
                raise UserError(f"{source}: a packet of {size[1]}x{size[0]} after {width}x{height}; {COPY_AGAIN}")
            if connection.msgtype == EVENT_TYPES[0]:
                yield _dvs_events(message)
                continue
            message.take("<QQ")
            encoding = message.text()
            big_endian = message.take("<B")[0]
            payload = message.bytes_of(message.take("<I")[0])
            if big_endian or encoding not in ("mono", "evt2", "evt3"):
                raise UserError(f"{source}: packets in {encoding[:40]!r}; this build reads mono, evt2 and evt3")
            if encoding == "mono":
                yield _mono_events(payload, stamp_ns)
                continue
            if not words.exists():
                started_us = stamp_ns // 1000
                words.write_text(f"% evt {encoding[-1]}.0\n% geometry {width}x{height}\n% end\n")
            with words.open("ab") as handle:
                handle.write(payload)
        if words.exists():
            yield from _sensor_time(source, words, started_us)


def _dvs_events(message: Message) -> Events:
    count = message.take("<I")[0]
    rows = np.frombuffer(message.bytes_of(count * DVS_EVENT.itemsize), DVS_EVENT)
    return Events(
        x=rows["x"].astype(np.uint16),
        y=rows["y"].astype(np.uint16),
        t_us=rows["sec"].astype(np.int64) * 1_000_000 + rows["nsec"].astype(np.int64) // 1000,
        p=rows["p"] > 0,
    )


def _mono_events(payload: bytes, stamp_ns: int) -> Events:
    word = np.frombuffer(payload, "<u8")
    return Events(
        x=(word >> 32 & 0xFFFF).astype(np.uint16),
        y=(word >> 48 & 0x7FFF).astype(np.uint16),
        t_us=(stamp_ns + (word & 0xFFFFFFFF).astype(np.int64)) // 1000,
        p=word >> 63 == 1,
    )


def _sensor_time(source: Path, words: Path, started_us: int) -> Iterator[Events]:
    shift = None
    try:
        for part in raw_evt(words).parts:
            if len(part):
                shift = started_us - int(part.t_us[0]) if shift is None else shift
                yield Events(x=part.x, y=part.y, t_us=part.t_us + shift, p=part.p)
    except UserError as error:
        raise UserError(f"{source}: the packets' words joined: {str(error).removeprefix(f'{words}: ')}") from error


def _others(
    source: Path, sort: bool, prefix: str
) -> tuple[Any, NDArray[np.int64], NDArray[np.int64], Any, NDArray[np.int64]]:
    """Frames, their stamps and exposures, IMU samples and their stamps; absolute."""
    shots: list[tuple[int, NDArray[np.uint8]]] = []
    samples: list[tuple[int, tuple[float, ...]]] = []
    with _reader(source) as bag:
        wanted = _connections(bag, (IMAGE, IMU), prefix)
        for kind in (IMAGE, IMU):
            topics = sorted({connection.topic for connection in wanted if connection.msgtype == kind})
            if len(topics) > 1:
                raise UserError(
                    f"{source}: {len(topics)} topics of {kind} ({', '.join(topics)}); filter one into its own bag"
                )
        for connection, _, data in bag.messages(wanted) if wanted else ():
            message = Message(data)
            stamp_us = message.stamp_ns() // 1000
            if connection.msgtype == IMAGE:
                shots.append((stamp_us, _image(source, message)))
            else:
                numbers = message.take("<37d")
                samples.append((stamp_us, (*numbers[25:28], *numbers[13:16])))
    if len(shapes := {shot.shape for _, shot in shots}) > 1:
        raise UserError(
            f"{source}: frames of {len(shapes)} sizes ({sorted(shapes)}); record with one region of interest"
        )
    if sort:
        shots.sort(key=lambda shot: shot[0])
        samples.sort(key=lambda sample: sample[0])
    frame_t, imu_t = (np.array([stamp for stamp, _ in stream], np.int64) for stream in (shots, samples))
    frames = np.stack([shot for _, shot in shots]) if shots else None
    imu = np.array([sample for _, sample in samples], np.float32) if samples else None
    return frames, frame_t, np.zeros_like(frame_t), imu, imu_t


def _image(source: Path, message: Message) -> NDArray[np.uint8]:
    height, width = message.take("<II")
    encoding = message.text()
    if encoding not in GREY:
        raise UserError(
            f"{source}: frames are {encoding[:40]!r}; this build reads {' and '.join(GREY)}: export them as grey"
        )
    _, step, count = message.take("<BII")
    if step < width or step * height != count:
        raise ValueError(f"an image of {width}x{height} in {count} bytes, {step} a row")
    return np.frombuffer(message.bytes_of(count), np.uint8).reshape(height, step)[:, :width]


FORMAT = Format(name="rosbag", suffixes=("bag",), is_it=magic(MAGIC), open=open_rosbag, raw=raw_rosbag)
