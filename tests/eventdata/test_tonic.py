"""The Tonic bridge: equal where Tonic is right, and its traps pinned, so that an upgrade that moves them is noticed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording
from spikeplan.eventdata.representations import histogram
from spikeplan.eventdata.tonic_bridge import DTYPE, apply, from_tonic, to_tonic, tonic

ROOT = Path(__file__).resolve().parents[2]
SIZE = (12, 9, 2)  # Tonic's order: width, height, polarities

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(tonic|librosa|importRosbag|numba|audioread).*")


@pytest.fixture(scope="module")
def transforms() -> Any:
    pytest.importorskip("tonic")
    return tonic().transforms


@pytest.fixture
def recording() -> Recording:
    rng = np.random.default_rng(0)
    t_us = np.sort(rng.integers(0, 10_000, 3000))
    t_us[0] = 0
    events = Events(
        x=rng.integers(0, 12, 3000).astype(np.uint16),
        y=rng.integers(0, 9, 3000).astype(np.uint16),
        t_us=t_us,
        p=rng.random(3000) < 0.5,
    )
    return Recording(events=events, width=12, height=9, origin_us=77, offset_us={"imu": 3})


def test_there_and_back(recording: Recording) -> None:
    array = to_tonic(recording.events)
    assert array.dtype == DTYPE and set(np.unique(array["p"])) == {0, 1}
    array["t"] += 500
    back = from_tonic(array, SIZE)
    assert (back.width, back.height, back.origin_us) == (12, 9, 500)
    for name in ("x", "y", "t_us", "p"):
        assert np.array_equal(getattr(back.events, name), getattr(recording.events, name))
    assert len(from_tonic(to_tonic(Events.empty()), SIZE).events) == 0


def test_polarity_minus_one_reads_as_off() -> None:
    array = np.array([(1, 1, 0, -1), (1, 1, 1, 1), (1, 1, 2, 0)], DTYPE)
    assert from_tonic(array, SIZE).events.p.tolist() == [False, True, False]


def test_our_histogram_equals_to_frame(transforms: Any, recording: Recording) -> None:
    part = recording.slice_us(0, 9_000)
    frames = apply(transforms.ToFrame(sensor_size=SIZE, time_window=1000, include_incomplete=True), part)
    assert isinstance(frames, np.ndarray)
    assert np.array_equal(frames, histogram(part.events, (9, 12), 9, span_us=(0, 9_000)))


def test_trap_bool_polarity_loses_off_in_the_voxel_grid(transforms: Any, recording: Recording) -> None:
    """One ON and one OFF at one place and time must cancel. With tonic.io's bool they add up; with int8 they do not."""
    grid = transforms.ToVoxelGrid(sensor_size=SIZE, n_time_bins=3)
    columns = [("x", "<i2"), ("y", "<i2"), ("t", "<i8")]
    rows = [(0, 0, 0, 1), (5, 5, 50, 1), (5, 5, 50, 0), (0, 0, 100, 0)]
    wrong = grid(np.array(rows, [*columns, ("p", "?")]))
    right = grid(np.array(rows, DTYPE))
    assert right[:, 0, 5, 5].tolist() == [0, 0, 0]
    assert wrong[:, 0, 5, 5].sum() > 1
    before = recording.events.p.copy()
    ours = apply(grid, recording)
    assert isinstance(ours, np.ndarray) and ours.min() < 0
    assert np.array_equal(recording.events.p, before)  # ToVoxelGrid writes into its input: it gets a copy


def test_trap_bool_polarity_makes_all_noise_on(transforms: Any, recording: Recording) -> None:
    noisy = apply(transforms.UniformNoise(sensor_size=SIZE, n=2000), recording)
    assert isinstance(noisy, Recording) and len(noisy.events) == 5000
    assert abs(noisy.events.p.mean() - 0.5) < 0.05
    boolean = to_tonic(recording.events).astype([("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")])
    boolean["p"] = False
    assert transforms.UniformNoise(sensor_size=SIZE, n=2000)(boolean)["p"].sum() == 2000


def test_trap_to_frame_drops_the_last_event_with_time_bins(transforms: Any, recording: Recording) -> None:
    frames = transforms.ToFrame(sensor_size=SIZE, n_time_bins=4)(to_tonic(recording.events))
    assert frames.sum() < len(recording.events) == histogram(recording.events, (9, 12), 4).sum()


def test_trap_to_frame_overflows_int16(transforms: Any) -> None:
    many = np.zeros(40_000, DTYPE)
    many["t"] = np.arange(40_000)
    with np.errstate(all="ignore"):
        frames = transforms.ToFrame(sensor_size=SIZE, event_count=40_000)(many)
    assert frames.min() < 0
    assert histogram(from_tonic(many, SIZE).events, (9, 12), 1).max() == 40_000


def test_trap_refractory_period_drops_what_happens_at_time_zero(transforms: Any) -> None:
    """Its memory starts at -delta and it wants more than delta: an event at t = 0 never passes, one at 1 us does."""
    events = np.array([(0, 0, 0, 1), (1, 1, 1, 1)], DTYPE)
    assert transforms.RefractoryPeriod(delta=10)(events)["t"].tolist() == [1]


def test_event_transforms_keep_the_other_streams(transforms: Any, recording: Recording) -> None:
    flipped = apply(transforms.RandomFlipLR(sensor_size=SIZE, p=1.0), recording)
    assert isinstance(flipped, Recording)
    assert np.array_equal(flipped.events.x, 11 - recording.events.x)
    assert (flipped.origin_us, flipped.offset_us) == (77, {"imu": 3})
    cropped = apply(transforms.CenterCrop(sensor_size=SIZE, size=(4, 3)), recording, sensor_size=(4, 3, 2))
    assert isinstance(cropped, Recording) and (cropped.width, cropped.height) == (4, 3)
    assert 0 < len(cropped.events) < 3000


def test_tonic_failures_become_one_line(transforms: Any, recording: Recording) -> None:
    grid = transforms.ToVoxelGrid(sensor_size=SIZE, n_time_bins=3)
    with pytest.raises(UserError, match="ToVoxelGrid failed on an empty slice .*representations"):
        apply(grid, recording.slice_us(20_000, 21_000))
    instant = Recording(events=recording.events[:0], width=12, height=9)
    same = from_tonic(np.zeros(3, DTYPE), SIZE)
    with pytest.raises(UserError, match="ToVoxelGrid"):
        apply(grid, same)
    with pytest.raises(UserError, match="returned int"):
        apply(len, instant)
    with pytest.raises(UserError, match="lacks the field"):
        from_tonic(np.zeros(1, [("x", "<i2")]), SIZE)


@pytest.fixture
def no_tonic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "tonic", None)  # makes `import tonic` raise ImportError
    yield


@pytest.mark.usefixtures("no_tonic")
def test_without_tonic_the_remedy_is_named(recording: Recording) -> None:
    identity: Callable[[Any], Any] = lambda array: array  # noqa: E731
    with pytest.raises(UserError, match=r"pip install 'spikeplan\[events\]'"):
        apply(identity, recording)


def test_importing_eventdata_imports_neither_tonic_nor_aedat() -> None:
    code = (
        "import sys, spikeplan.eventdata.tonic_bridge, spikeplan.eventdata.simulation.simulator\n"
        "import spikeplan.eventdata.view\n"
        "assert not {'tonic', 'aedat', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=600)
