"""Files that no reader accepts: one line that says where, and no memory for what a header promises."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import open_recording
from spikeplan.eventdata.readers import open_events
from spikeplan.eventdata.writers import write_recording

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
    ("a.xyz", b"hello", r"unknown recording format; this build reads \.aedat4, .*\.npz"),
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


def test_an_archive_that_promises_gigabytes(files: Any, tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    write_recording(files.full_recording(), path)
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
def test_headers_of_ours_are_checked_field_by_field(files: Any, tmp_path: Path, change: dict) -> None:
    path = tmp_path / "ours.npz"
    write_recording(files.full_recording(), path)
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
