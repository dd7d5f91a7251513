"""Every reader against files encoded from the format's specification, against the clip, and against bad input."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording, open_recording
from spikeplan.eventdata.readers import detect_format, open_events, open_slice
from spikeplan.eventdata.recording import TRIGGER
from spikeplan.eventdata.writers import write_recording

CLIP = Path(os.environ.get("SPIKEPLAN_AEDAT4", "clip.aedat4"))
needs_clip = pytest.mark.skipif(not CLIP.is_file(), reason="needs a DAVIS recording; name it in SPIKEPLAN_AEDAT4")
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


BACK = b"% evt 2.0\n% geometry 4x4\n% end\n" + struct.pack("<II", 8 << 28 | 90, 8 << 28 | 40)
BAD = [
    ("a.raw", b"% evt 2.1\n% geometry 4x4\n% end\n", "says 'evt2.1'; this build reads EVT2 and EVT3"),
    ("a.raw", b"% evt 2.0\n% end\n", "no width and height"),
    ("a.raw", b"% evt 2.0\n% geometry 99999x4\n% end\n", "width 99999; a sensor has 1 to 4096"),
    ("a.raw", b"% evt 2.0\n% geometry 0x4\n% end\n", "width 0"),
    ("a.raw", b"% evt 2.0\n% geometry 4x4\n% end\n" + struct.pack("<I", 1 << 28 | 5 << 11), "x=5 .* at byte 31"),
    ("a.raw", b"% evt 3.0\n% geometry 4x4\n% end\n" + struct.pack("<HH", 0x8000, 7), "y=7 .* at byte 33"),
    ("a.raw", BACK, "time goes back at byte 35; .*sort=True"),
    ("a.raw", b"% evt 2.0\n% geometry 4x4\n% end\n\0\0\0", "3 of 4 bytes of a word at byte 31"),
    ("a.raw", b"hello", "says 'evt'"),
    ("a.dat", b"% Version 2\n% Width 4\n% Height 4\n\x0e\x08", "type 0x0e and 8 bytes at byte 33"),
    (
        "a.dat",
        b"% Version 2\n% Width 4\n% Height 4\n\0\x08" + struct.pack("<II", 0, 4),
        "event 0: x = 4 lies outside the 4x4",
    ),
    ("a.es", b"Event Stream\x02\0\0\x02\x04\0\x04\0", "type 2; this build reads version 2, type 1"),
    ("a.es", b"Event Stream\x02\0\0\x01\0\0\x04\0", "width 0"),
    ("a.es", b"Event Stream\x02\0\0\x01\x04\0\x04\0\xff\x02\x01\0\x04\0", "y=4 .* event at byte 21"),
    ("a.es", b"Event Stream\x02\0\0\x01\x04\0\x04\0\xfe\xff\x02\x01\0", "3 of 5 bytes of an event at byte 22"),
    ("a.es", b"nothing of the kind", "does not start with 'Event Stream'"),
    ("a.bin", b"\x01\x02\x80\x00\x05\x01", "1 of 5 bytes of an event at byte 5"),
    ("a.bin", b"\x40\x02\x80\x00\x05", "event 0: x = 64 lies outside the 34x34"),
    ("a.npz", b"PK\x03\x04 and nothing", "truncated or damaged"),
    ("a.bag", b"#ROSBAG V2.0\n", "truncated or damaged"),
    ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "truncated or damaged"),
    ("a.raw", b"% evt 2.0\n% geometry 4x4\n% end\n" + struct.pack("<I", 1 << 28 | 4), "y=4 .* at byte 31"),
    ("a.xyz", b"hello", r"unknown recording format; this build reads \.aedat4, \.npz"),
]


@pytest.mark.parametrize(("name", "data", "words"), BAD)
def test_bad_files_are_refused_in_one_line_that_says_where(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UserError, match=words) as caught:
        open_recording(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    with pytest.raises(UserError, match=words):
        list(open_events(path).chunks)


def test_headers_that_promise_gigabytes(files, tmp_path: Path) -> None:
    header = np.lib.format.header_data_from_array_1_0(np.zeros((1, 4))) | {"shape": (10**12, 4)}
    path = tmp_path / "huge.npy"
    with path.open("wb") as handle:
        np.lib.format.write_array_header_1_0(handle, header)
    with pytest.raises(UserError, match="the header says 1000000000000 events, byte .* on holds 0 bytes"):
        open_recording(path)
    import h5py

    with h5py.File(tmp_path / "huge.h5", "w") as file:
        for name, dtype in (("x", "u2"), ("y", "u2"), ("t", "u4"), ("p", "u1")):
            file.create_dataset(f"events/{name}", shape=(10**12,), dtype=dtype, chunks=(1000,))
    with pytest.raises(UserError, match="events/x promises 2000000000000 bytes in 0 stored"):
        open_recording(tmp_path / "huge.h5")


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


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1, 2, np.nan, 5], "event 1: p = nan"),
        ([1, 2, 2, 5], "event 1: p = 2.0"),
        ([1, -2, 1, 5], "event 1: y = -2.0"),
        ([1, 2, 1, -5], "event 1: t = -5.0"),
        ([1, 2, 1, np.inf], "event 1: t = inf"),
        ([1, 128, 1, 5], "event 1: y = 128 lies"),
    ],
)
def test_gesture_tables_of_nonsense(tmp_path: Path, row: list[float], words: str) -> None:
    path = tmp_path / "label.npy"
    np.save(path, np.array([[1, 2, 1, 4], row]))
    with pytest.raises(UserError, match=words):
        open_recording(path)


def test_an_archive_that_promises_gigabytes(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    write_recording(full_recording(), path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)  # the directory's entry of x
    data[at + 24 : at + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UserError, match="member x claims 4294967280 bytes in"):
        open_recording(path)


def test_filters_with_missing_parameters_never_reach_blosc(files) -> None:
    """In libhdf5 this file is a segmentation fault: the client data of Blosc's filter is counted as empty."""
    path = files.make("dsec", files.some(60, seed=1))
    data = bytearray(path.read_bytes())
    at = data.index(b"blosc")
    data[at - 2 : at] = b"\0\0"
    data[at - 6 : at - 4] = b"\x08\0"
    path.write_bytes(data)
    with pytest.raises(UserError, match="blosc parameters"):
        open_recording(path)


@pytest.mark.parametrize(
    "change", [{"width": 6.0}, {"origin_us": 1 << 70}, {"version": 2}, {"span_us": [1]}, {"offset_us": 3}]
)
def test_headers_of_ours_are_checked_field_by_field(tmp_path: Path, change: dict) -> None:
    path = tmp_path / "ours.npz"
    write_recording(full_recording(), path)
    with np.load(path) as archive:
        members = dict(archive)
    header = json.loads(members["header"].tobytes()) | change
    members["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez(path, **members)
    for read in (open_recording, open_events):
        with pytest.raises(UserError, match="the header is no spikeplan-recording version 1"):
            read(path)


def test_negative_times_and_rows_of_later_chunks(files, tmp_path: Path) -> None:
    import h5py

    path = files.make("dsec", files.some(20))
    with h5py.File(path, "r+") as file:
        file["t_offset"][()] = -(10**9)
    for read in (open_recording, lambda path: list(open_events(path).chunks)):
        with pytest.raises(UserError, match="event 0: absolute stamp -1000000000 us is no time"):
            read(path)
    path = tmp_path / "outside.dat"
    path.write_bytes(b"% Version 2\n% Width 4\n% Height 4\n\0\x08" + struct.pack("<6I", 0, 0, 1, 1, 2, 9))
    with pytest.raises(UserError, match="event 2: x = 9 lies outside the 4x4"):
        list(open_events(path, chunk=1).chunks)


def test_npz_of_others_and_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(UserError, match="no recording of ours .a.npy."):
        open_recording(tmp_path / "other.npz")
    np.save(tmp_path / "evil.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="npy of object"):
        open_recording(tmp_path / "evil.npy")


def full_recording() -> Recording:
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


def equal(one: Recording, other: Recording) -> None:
    for name in ("width", "height", "origin_us", "offset_us", "span_us"):
        assert getattr(one, name) == getattr(other, name), name
    for name in ("frames", "frame_t_us", "exposure_us", "imu", "imu_t_us", "triggers"):
        first, second = getattr(one, name), getattr(other, name)
        assert (first is None) == (second is None), name
        if first is not None:
            assert first.dtype == second.dtype and first.tolist() == second.tolist(), name
    for name in ("x", "y", "t_us", "p"):
        assert np.array_equal(getattr(one.events, name), getattr(other.events, name)), name


@pytest.mark.parametrize("suffix", ["npz", "h5"])
def test_round_trips_keep_everything(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"full.{suffix}"
    for recording in (
        full_recording(),
        full_recording().slice_us(300, 4_000),
        full_recording().slice_us(10_000, 11_000),
    ):
        path.unlink(missing_ok=True)
        assert write_recording(recording, path) == []
        equal(open_recording(path), recording)
        stream = open_events(path, chunk=70)  # a slice keeps its clock in chunks too
        assert stream.origin_us == recording.origin_us
        assert Events.concat(list(stream.chunks)).t_us.tolist() == recording.events.t_us.tolist()
        part = open_slice(path, 1_500, 2_750)
        assert part.events.t_us.tolist() == recording.slice_us(1_500, 2_750).events.t_us.tolist()


@needs_clip
def test_the_clip_survives_every_writer(tmp_path: Path) -> None:
    clip = open_recording(CLIP)
    assert len(clip.events) == 117_667
    for suffix in ("npz", "h5"):
        write_recording(clip, tmp_path / f"clip.{suffix}")
        equal(open_recording(tmp_path / f"clip.{suffix}"), clip)
    lost = write_recording(open_recording(tmp_path / "clip.h5"), tmp_path / "clip.es")
    assert lost == ["3 frames", "130 IMU samples", "15 triggers", "the first stamp 1633953690975950 us (now 0)"]
    back = open_recording(tmp_path / "clip.es")
    for name in ("x", "y", "t_us", "p"):
        assert np.array_equal(getattr(back.events, name), getattr(clip.events, name)), name
    chunks = Events.concat(list(open_events(CLIP, chunk=5_000).chunks))
    assert np.array_equal(chunks.t_us, clip.events.t_us) and np.array_equal(chunks.x, clip.events.x)


def test_writers_refuse_and_leave_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = full_recording()
    assert write_recording(recording.slice_us(5_000, 9_000), tmp_path / "late.es")[-1].endswith("us (now 0)")
    assert open_events(tmp_path / "late.es").origin_us == 0  # no hours of pauses before the first event
    (tmp_path / "late.es").unlink()
    path = tmp_path / "there.npz"
    write_recording(recording, path)
    before = path.read_bytes()
    with pytest.raises(UserError, match="there.npz: is there already"):
        write_recording(recording, path)
    with pytest.raises(UserError, match="cannot write this format; give a name that ends in .npz"):
        write_recording(recording, tmp_path / "a.raw")
    with pytest.raises(UserError, match="there is no folder"):
        write_recording(recording, tmp_path / "none" / "a.npz")

    def full_disk(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(UserError, match="No space left"):
        write_recording(recording, path, replace=True)
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["there.npz"]


def test_missing_libraries_are_named_in_one_line(files, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    columns = files.some(10)
    libraries = {
        "evt3": "faery.extension",
        "es": "faery.extension",
        "rosbag": "rosbags.rosbag1",
        "dsec": "h5py",
        "aedat4": "aedat",
    }
    for kind, module in libraries.items():
        path = files.make(kind, columns)
        with monkeypatch.context() as without:
            without.setitem(sys.modules, module, None)
            with pytest.raises(UserError, match=r"is missing; pip install 'spikeplan\[events\]'"):
                open_recording(path)


@pytest.mark.parametrize("kind", ["dat", "nmnist", "npz", "h5", "es"])
def test_chunks_do_not_hold_the_file(files, tmp_path: Path, kind: str) -> None:
    """3 M events are 39 MB as columns; walking them takes a few blocks of 2^18."""
    count = 3_000_000
    if kind == "nmnist":
        path = tmp_path / "long.bin"
        path.write_bytes(bytes([1, 2, 0, 0, 5]) * count)
    else:
        ramp = np.arange(count)
        columns = files.columns(ramp % 34, ramp // 34 % 34, ramp // 3, ramp % 2)
        path = files.make("dat", columns)
        if kind != "dat":
            source, path = path, tmp_path / f"long.{kind}"
            write_recording(open_recording(source), path)
    tracemalloc.start()
    walked = sum(len(part) for part in open_events(path).chunks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert walked == count
    assert peak < 30e6, peak
