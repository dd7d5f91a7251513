"""What only shows in long or late recordings: wraps between chunks, indices that start late, chunks that grow without end."""

from __future__ import annotations

import bz2
from pathlib import Path

import h5py
import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording, open_recording, write_recording
from spikeplan.eventdata.formats import fixed, hdf5, rosbag
from spikeplan.eventdata.readers import open_slice
from spikeplan.eventdata.representations import histogram, voxel_grid
from spikeplan.eventdata.tensors import batch


def test_a_stamp_that_wraps_between_two_chunks(files, monkeypatch: pytest.MonkeyPatch) -> None:
    """DAT holds 32 bits of microseconds: 71 minutes. The fall lies inside a chunk, at its edge, and long before."""
    start = 2**32 - 2500
    t_us = start + np.arange(8) * 1000
    zero = np.zeros(8, np.int64)
    path = files.make("dat", files.columns(zero, zero, t_us, zero))
    for chunk in (1, 2, 3, 8):
        monkeypatch.setattr(fixed, "CHUNK_EVENTS", chunk)
        assert open_recording(path).events.t_us.tolist() == (np.arange(8) * 1000).tolist()


@pytest.mark.parametrize(("high", "wraps"), [(0, True), (1 << 27, False), (1 << 26, False)])
def test_only_a_fall_from_top_to_bottom_is_a_wrap(tmp_path: Path, high: int, wraps: bool) -> None:
    top = (1 << 28) - 1
    words = np.array([8 << 28 | top, 1 << 28, 8 << 28 | high, 1 << 28], "<u4")
    path = tmp_path / "fall.raw"
    path.write_bytes(b"% evt 2.0\n% geometry 34x34\n% end\n" + words.tobytes())
    if wraps:
        assert open_recording(path).events.t_us.tolist() == [0, 64]
        return
    with pytest.raises(UserError, match="time goes back at byte 41"):
        open_recording(path)


def test_a_slice_of_dsec_whose_events_start_late(tmp_path: Path) -> None:
    """Its index counts from t == 0, the recording's clock from the first event, here 7,300 us later."""
    t = 7300 + np.arange(200) * 100
    path = tmp_path / "late.h5"
    with h5py.File(path, "w") as file:
        for name in ("x", "y", "p"):
            file[f"events/{name}"] = np.arange(200) % 2
        file["events/t"] = t
        file["ms_to_idx"] = np.searchsorted(t, np.arange(t[-1] // 1000 + 1) * 1000)
        file["t_offset"] = 10**12
    whole = open_recording(path)
    for start_us, stop_us in ((0, 100), (1000, 2000), (5450, 9999), (19_000, 60_000), (-500, 1)):
        part = open_slice(path, start_us, stop_us)
        assert part.events.t_us.tolist() == whole.slice_us(start_us, stop_us).events.t_us.tolist() != []


def test_what_a_dataset_may_promise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zero = np.zeros(100_000, np.uint16)
    events = Events(x=zero, y=zero, t_us=zero.astype(np.int64), p=zero > 0)
    path = tmp_path / "thin.h5"
    write_recording(Recording(events=events, width=4, height=4), path)
    assert len(open_recording(path).events) == 100_000
    monkeypatch.setattr(hdf5, "MAX_RATIO", 10)
    with pytest.raises(UserError, match="events/x promises 200000 bytes in"):
        open_recording(path)


def test_a_chunk_that_grows_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rosbag, "MAX_CHUNK", 1 << 20)
    monkeypatch.setattr(rosbag, "STEP_BYTES", 1 << 16)
    small, bomb = bz2.compress(bytes(1 << 18)), bz2.compress(bytes(1 << 26))
    decompress = rosbag._bounded(bz2.BZ2Decompressor)
    assert decompress(small) == bytes(1 << 18)
    with pytest.raises(ValueError, match="more than 1048576 bytes"):
        decompress(bomb)
    with pytest.raises(ValueError, match="is cut"):
        decompress(small[:-5])


@pytest.mark.parametrize("compression", ["LZ4", "BZ2"])
def test_bags_are_read_through_that_bound(files, monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    path = files.folder / "packed.bag"
    message = files.event_array(files.some(2000))
    files.bag(path, [("/dvs/events", "dvs_msgs/msg/EventArray", 0, message)], compression)
    assert len(open_recording(path).events) == 2000
    monkeypatch.setattr(rosbag, "MAX_CHUNK", 1000)
    monkeypatch.setattr(rosbag, "STEP_BYTES", 100)
    with pytest.raises(UserError, match="holds more than 1000 bytes"):
        open_recording(path)


def test_batches_of_windows_are_float32_tensors() -> None:
    t_us = np.array([0, 10, 5000, 25_000])
    events = Events(x=np.arange(4, dtype=np.uint16), y=np.zeros(4, np.uint16), t_us=t_us, p=t_us > 5)
    windows = [window.events for window in Recording(events=events, width=4, height=2).windows(10_000)]
    counts = batch(windows, lambda e: histogram(e, (2, 4), 1))
    assert tuple(counts.shape) == (3, 1, 2, 2, 4) and str(counts.dtype) == "torch.float32"
    assert counts.sum((1, 2, 3, 4)).tolist() == [3, 0, 1]
    assert tuple(batch(windows, lambda e: voxel_grid(e, (2, 4), 5)).shape) == (3, 5, 1, 2, 4)
    with pytest.raises(UserError, match="no entry to stack"):
        batch([], lambda e: histogram(e, (2, 4), 1))
    with pytest.raises(UserError, match="entries of 2 shapes"):
        batch(windows[:2], lambda e: histogram(e, (2, 4), 1 + len(e)))


def test_a_cut_bag_says_where(files) -> None:
    path = files.make("rosbag", files.some(200))
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(UserError, match=r"record at byte (\d+) of") as cut:
        open_recording(path)
    place = int(str(cut.value).split("record at byte ")[1].split()[0])
    assert 0 < place < len(whole) - 3 and b"op=" in whole[place : place + 200]
    path.write_bytes(whole[:40])
    with pytest.raises(UserError, match="record at byte 13 of 40"):
        open_recording(path)
