"""Damaged files of every format: whatever the bytes, a recording or one line, in bounded time and memory.

12,000 cases in the default run. What they found while the readers were written stands in the readers' docstrings.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording, open_recording
from spikeplan.eventdata.readers import FORMATS, open_events
from spikeplan.eventdata.writers import write_recording

HERE = Path(__file__).resolve().parent
CASES = {
    "evt2": 1200,
    "evt3": 1200,
    "dat": 1200,
    "es": 1200,
    "nmnist": 1000,
    "gesture": 1000,
    "dsec": 500,
    "rosbag": 1000,
    "mono_bag": 500,
    "evt3_bag": 500,
    "aedat4": 1200,
    "npz": 1000,
    "h5": 500,
}
KINDS = list(CASES)


def tiny(files, kind: str) -> Path:
    if kind not in ("npz", "h5"):
        return files.make(kind, files.some(60, seed=1))
    columns = files.some(60, seed=1)
    events = Events(
        x=columns.x.astype(np.uint16),
        y=columns.y.astype(np.uint16),
        t_us=columns.t_us - columns.t_us[0],
        p=columns.p == 1,
    )
    imu = np.zeros((2, 6), np.float32)
    frames = np.zeros((1, 4, 4), np.uint8)
    one = np.array([3])
    path = files.folder / f"ours.{kind}"
    write_recording(
        Recording(
            events=events,
            width=34,
            height=34,
            imu=imu,
            imu_t_us=np.array([1, 2]),
            frames=frames,
            frame_t_us=one,
            exposure_us=one,
            origin_us=77,
        ),
        path,
    )
    return path


def test_ten_thousand_cases_and_every_format() -> None:
    assert sum(CASES.values()) >= 10_000
    names = {"evt2": "evt", "evt3": "evt", "dsec": "hdf5", "h5": "hdf5", "mono_bag": "rosbag", "evt3_bag": "rosbag"}
    assert {names.get(kind, kind) for kind in KINDS} == FORMATS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files(files, kind: str) -> None:
    path = tiny(files, kind)
    command = [sys.executable, str(HERE / "fuzz_child.py"), str(path), str(CASES[kind]), "20"]
    env = os.environ | {"PYTHONPATH": str(HERE.parents[1] / "src"), "OMP_NUM_THREADS": "1", "RUST_BACKTRACE": "0"}
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=600, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    read, refused = (int(word) for word in done.stdout.split())
    assert read + refused == CASES[kind]
    assert refused > CASES[kind] // 10, (read, refused)


@settings(deadline=None, max_examples=60)
@given(
    data=st.binary(max_size=200), suffix=st.sampled_from([name for each in FORMATS.values() for name in each.suffixes])
)
def test_arbitrary_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    path = tmp_path_factory.mktemp("any") / f"any.{suffix}"
    path.write_bytes(data)
    for read in (open_recording, lambda path: list(open_events(path).chunks)):
        try:
            read(path)
        except UserError as error:
            assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


event_lists = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 3_000), st.booleans()), min_size=1, max_size=40
)


@settings(deadline=None, max_examples=40)
@given(rows=event_lists, suffix=st.sampled_from(["npz", "h5", "es"]), chunk=st.integers(1, 50))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list, suffix: str, chunk: int
) -> None:
    x, y, gaps, p = (np.array(column) for column in zip(*rows, strict=True))
    t_us = np.cumsum(gaps) - gaps[0]
    events = Events(x=x.astype(np.uint16), y=y.astype(np.uint16), t_us=t_us, p=p.astype(bool))
    path = tmp_path_factory.mktemp("trip") / f"trip.{suffix}"
    write_recording(Recording(events=events, width=6, height=5), path)
    for found in (open_recording(path).events, Events.concat(list(open_events(path, chunk=chunk).chunks))):
        for name in ("x", "y", "t_us", "p"):
            assert np.array_equal(getattr(found, name), getattr(events, name)), name
