"""Every reader against files encoded from the format's specification."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, open_recording
from spikeplan.eventdata.readers import detect_format, open_events, open_slice

KINDS = (
    "evt2",
    "evt3",
    "dat",
    "es",
    "nmnist",
    "gesture",
    "dsec",
    "rosbag",
    "mono_bag",
    "evt3_bag",
    "aedat4",
)


FORMAT_OF = {"evt2": "evt", "evt3": "evt", "dsec": "hdf5", "mono_bag": "rosbag", "evt3_bag": "rosbag"}


ROS_US = 1_600_000_000_000_000


GESTURE_SENSOR, DSEC_SENSOR = (128, 128), (640, 480)


def same(found: Events, columns, shift_us: int = 0) -> None:
    assert found.x.tolist() == columns.x.tolist()
    assert found.y.tolist() == columns.y.tolist()
    assert found.p.tolist() == (columns.p == 1).tolist()
    assert found.t_us.tolist() == (columns.t_us - shift_us).tolist()


def test_the_encoders_cover_every_kind(files) -> None:
    assert set(files.kinds) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_is_read_and_shares_one_clock(files, kind: str) -> None:
    columns = files.some(400, seed=3)
    path = files.make(kind, columns)
    assert detect_format(path) == FORMAT_OF.get(kind, kind)
    found = open_recording(path)
    same(found.events, columns, int(columns.t_us[0]))
    assert found.origin_us == int(columns.t_us[0]) + (ROS_US if "bag" in kind else 0)
    size = {"gesture": GESTURE_SENSOR, "dsec": DSEC_SENSOR}.get(kind, (34, 34))
    assert (found.width, found.height) == size


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chunk", [1, 7, 400, 10_000])
def test_chunks_are_the_whole(files, kind: str, chunk: int) -> None:
    path = files.make(kind, files.some(400, seed=4))
    stream, recording = open_events(path, chunk=chunk), open_recording(path)
    assert (stream.origin_us, stream.width) == (recording.origin_us, recording.width)
    parts = list(stream.chunks)
    assert [len(part) for part in parts[:-1]] == [chunk] * (len(parts) - 1)
    joined = Events.concat(parts)
    for name in ("x", "y", "t_us", "p"):
        assert np.array_equal(getattr(joined, name), getattr(recording.events, name))


@pytest.mark.parametrize("kind", KINDS)
def test_slices_are_those_of_the_whole(files, kind: str) -> None:
    path = files.make(kind, files.some(400, seed=5))
    recording = open_recording(path)
    for start_us, stop_us in ((0, 5_000), (20_500, 61_000), (99_000, 10**7), (-50, 0), (30_000, 30_000), (-9, 10**9)):
        part, expected = open_slice(path, start_us, stop_us), recording.slice_us(start_us, stop_us)
        assert part.events.t_us.tolist() == expected.events.t_us.tolist(), (start_us, stop_us)
        assert part.events.x.tolist() == expected.events.x.tolist()
        assert (part.origin_us, part.span_us) == (expected.origin_us, expected.span_us)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "evt3_bag"])
def test_a_file_without_events_is_an_empty_recording(files, kind: str) -> None:
    columns = files.some(0)
    path = files.make(kind, columns)
    if kind == "nmnist":  # nothing at all: no file of that format is empty
        with pytest.raises(UserError, match="empty .0 bytes."):
            open_recording(path)
        return
    assert len(open_recording(path).events) == 0
    assert list(open_events(path).chunks) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_file_says_so(files, kind: str) -> None:
    path = files.make(kind, files.some(100, seed=6))
    whole = path.read_bytes()
    for size in (0, len(whole) // 2 + 3 if kind == "aedat4" else len(whole) - 1):  # an index ends an AEDAT4 file
        path.write_bytes(whole[:size])
        with pytest.raises(UserError, match=r"(empty|truncated|damaged|header says)") as caught:
            open_recording(path)
        assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_hand_made_evt3_vectors_wraps_and_triggers(files, tmp_path: Path) -> None:
    """From the EVT 3.0 specification: base x 5, ON; a vector of 12 with bits 0 and 11, then one of 8 with bit 7."""
    words = [0x8FFF, 0x6FFE, 0x0003, 0x3000 | 1 << 11 | 5, 0x4801, 0x5080, 0x8000, 0x6001, 0x2000 | 9, 0xA301]
    path = tmp_path / "vector.raw"
    # Starting at the top of the range exercises the wrap of 2^24 us; the first time high is 0, as a camera would start.
    words = [0x8000, 0x8800, 0x8FFD, *words]
    path.write_bytes(b"% evt 3.0\n% geometry 40x40\n% end\n" + np.array(words, "<u2").tobytes())
    found = open_recording(path)
    assert found.events.x.tolist() == [5, 16, 24, 9]
    assert found.events.p.tolist() == [True, True, True, False]
    assert np.diff(found.events.t_us).tolist() == [0, 0, 3]  # 0xFFFFFE -> 2^24 + 1
    assert found.triggers.tolist() == [(3, 1)]


def test_evt3_time_that_goes_back_is_refused_or_held(tmp_path: Path) -> None:
    path = tmp_path / "back.raw"
    words = [0x8001, 0x6050, 0x0001, 0x2001, 0x604F, 0x2002, 0x8002, 0x6001, 0x2003]  # a new time high starts low anew
    path.write_bytes(b"% evt 3.0\n% geometry 4x4\n% end\n" + np.array(words, "<u2").tobytes())
    with pytest.raises(UserError, match="time goes back at byte 39"):
        open_recording(path)
    assert open_recording(path, sort=True).events.t_us.tolist() == [0, 0, 0x2001 - 0x1050]


def test_hand_made_evt2_wrap(tmp_path: Path) -> None:
    words = [8 << 28 | 0xFFFFFFF, 1 << 28 | 63 << 22 | 2 << 11 | 1, 8 << 28, 0 << 28 | 1 << 22 | 3 << 11]
    path = tmp_path / "wrap.raw"
    path.write_bytes(b"% evt 2.0\n% geometry 4x4\n" + np.array(words, "<u4").tobytes())
    found = open_recording(path)
    assert found.origin_us == (1 << 34) - 1
    assert found.events.t_us.tolist() == [0, 2]


def test_dat_wraps_after_71_minutes_and_refuses_what_falls_less(tmp_path: Path) -> None:
    head = b"% Version 2\n% Width 4\n% Height 4\n\x00\x08"
    path = tmp_path / "long.dat"
    path.write_bytes(head + struct.pack("<6I", 0xFFFFFFF0, 1, 0x10, 2, 0x20, 3))
    assert open_recording(path).events.t_us.tolist() == [0, 0x20, 0x30]
    path.write_bytes(head + struct.pack("<6I", 500, 1, 499, 2, 600, 3))
    with pytest.raises(UserError, match="long.dat: event 1: stamp -1 us follows 0 us .*sort"):
        open_recording(path)
    with pytest.raises(UserError, match="event 1: stamp -1 us follows 0 us"):
        list(open_events(path).chunks)
    with pytest.raises(UserError, match="event 1: stamp -1 us follows 0 us"):  # across a seam of chunks too
        list(open_events(path, chunk=1).chunks)
    assert open_recording(path, sort=True).events.x.tolist() == [2, 1, 3]


def test_nmnist_counts_past_its_23_bits(files) -> None:
    columns = files.columns(*(np.array(column) for column in ([1, 2], [3, 4], [5_000, (1 << 23) + 9_000], [0, 1])))
    same(open_recording(files.make("nmnist", columns)).events, columns, 5_000)


def test_a_bag_keeps_the_clocks_of_events_frames_and_imu(files, tmp_path: Path) -> None:
    columns = files.columns(*(np.array(column) for column in ([1, 2], [3, 4], [1_000, 1_500], [0, 1])))
    image = files.stamp(3_954_000) + struct.pack("<II", 2, 3) + struct.pack("<I", 5) + b"mono8" + b"\0"
    image += struct.pack("<II", 4, 8) + bytes([1, 2, 3, 0, 4, 5, 6, 0])  # a row of 3 pixels in 4 bytes
    numbers = np.zeros(37)
    numbers[13:16], numbers[25:28] = (0.1, 0.2, 0.3), (0.0, 9.8, 0.5)
    imu = files.stamp(1_678_000) + numbers.astype("<f8").tobytes()
    path = tmp_path / "davis.bag"
    files.bag(
        path,
        [
            ("/dvs/imu", "sensor_msgs/msg/Imu", 0, imu),
            ("/dvs/events", "dvs_msgs/msg/EventArray", 5, files.event_array(columns)),
            ("/dvs/image_raw", "sensor_msgs/msg/Image", 9, image),
        ],
    )
    found = open_recording(path)
    assert found.origin_us == ROS_US + 1_000
    assert found.offset_us == {"imu": 678, "frames": 2954}
    assert (found.imu_t_us.tolist(), found.frame_t_us.tolist()) == ([678], [2954])
    assert found.frames is not None and found.frames.tolist() == [[[1, 2, 3], [4, 5, 6]]]
    assert found.imu is not None and found.imu[0].tolist() == np.float32([0.0, 9.8, 0.5, 0.1, 0.2, 0.3]).tolist()
    files.bag(
        path.with_name("two.bag"),
        [(f"/{side}", "dvs_msgs/msg/EventArray", 0, files.event_array(columns)) for side in "lr"],
    )
    with pytest.raises(UserError, match=r"2 event topics .*; filter one camera"):
        open_recording(path.with_name("two.bag"))


def test_slices_by_index_at_any_microsecond(files) -> None:
    rng = np.random.default_rng(9)
    t_us = np.sort(rng.integers(500, 20_000, 3_000))
    zeros = np.zeros(3_000, int)
    path = files.make("dsec", files.columns(zeros, zeros, t_us, zeros))
    recording = open_recording(path)
    for start_us in range(-3, 6_000, 411):
        for stop_us in (start_us, start_us + 1, start_us + 997, start_us + 13_000):
            found = open_slice(path, start_us, stop_us).events.t_us
            assert found.tolist() == recording.slice_us(start_us, stop_us).events.t_us.tolist(), (start_us, stop_us)
