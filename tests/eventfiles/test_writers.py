"""What is written is read again: round trips, refusals, nothing half-written, little memory."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording, open_recording
from spikeplan.eventdata.readers import open_events, open_slice
from spikeplan.eventdata.writers import write_recording

CLIP = Path(os.environ.get("SPIKEPLAN_AEDAT4", "clip.aedat4"))


needs_clip = pytest.mark.skipif(not CLIP.is_file(), reason="needs a DAVIS recording; name it in SPIKEPLAN_AEDAT4")


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
def test_round_trips_keep_everything(files: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"full.{suffix}"
    for recording in (
        files.full_recording(),
        files.full_recording().slice_us(300, 4_000),
        files.full_recording().slice_us(10_000, 11_000),
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


def test_writers_refuse_and_leave_nothing_half_written(
    files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = files.full_recording()
    assert write_recording(recording.slice_us(5_000, 9_000), tmp_path / "late.es")[-1].endswith("us (now 0)")
    assert open_events(tmp_path / "late.es").origin_us == 0  # no hours of pauses before the first event
    (tmp_path / "late.es").unlink()
    path = tmp_path / "there.npz"
    write_recording(recording, path)
    before = path.read_bytes()
    with pytest.raises(UserError, match="there.npz: is there already"):
        write_recording(recording, path)
    with pytest.raises(UserError, match="cannot write this format; give a name that ends in .*[.]npz"):
        write_recording(recording, tmp_path / "a.raw")
    with pytest.raises(UserError, match="there is no folder"):
        write_recording(recording, tmp_path / "none" / "a.npz")

    def full_disk(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(UserError, match="No space left"):
        write_recording(recording, path, replace=True)
    assert path.read_bytes() == before and [each.name for each in tmp_path.iterdir()] == ["there.npz"]


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
