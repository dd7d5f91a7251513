"""Each trap of Tonic 1.7.0 (facts of the project): what our side does instead, beside a proof that the trap is there.

Where Tonic is right, ours is equal. Those that the bridge deals with are in test_eventdata_tonic.py, clocks of data sets
in test_eventdata_datasets.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording
from spikeplan.eventdata.augment import drop_time, uniform_noise
from spikeplan.eventdata.filters import denoise_mask, refractory_mask
from spikeplan.eventdata.representations import histogram, last_time_surface, voxel_grid
from spikeplan.eventdata.structured import from_structured
from spikeplan.eventdata.tonic_bridge import DTYPE, to_tonic, tonic
from spikeplan.eventdata.transforms import (
    Denoise,
    DropHotPixels,
    Histogram,
    LastTime,
    Refractory,
    TimeSurface,
    VoxelGrid,
)

W, H = 12, 9
SIZE = (W, H, 2)
TONIC_IO = [("x", "<i2"), ("y", "<i2"), ("t", "<i8"), ("p", "?")]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:(tonic|librosa|importRosbag|numba|audioread).*")


@pytest.fixture(scope="module")
def transforms() -> Any:
    pytest.importorskip("tonic")
    return tonic().transforms


def random_events(count: int = 3000, first_us: int = 0, seed: int = 0) -> Events:
    rng = np.random.default_rng(seed)
    t_us = np.sort(rng.integers(0, 10_000, count)) + first_us
    return Events(
        x=rng.integers(0, W, count).astype(np.uint16),
        y=rng.integers(0, H, count).astype(np.uint16),
        t_us=t_us,
        p=rng.random(count) < 0.5,
    )


def rows_of(*rows: tuple[int, int, int, int], dtype: Any = DTYPE) -> np.ndarray:
    return np.array(list(rows), dtype)


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "<i8"])
def test_every_polarity_dtype_means_the_same(dtype: str) -> None:
    array = to_tonic(random_events())
    other = array.astype([(name, dtype if name == "p" else array.dtype[name]) for name in array.dtype.names])
    for transform in (VoxelGrid(SIZE, 4), Histogram(SIZE, 4), TimeSurface(SIZE)):
        assert np.array_equal(transform(array), transform(other))
    assert VoxelGrid(SIZE, 4)(other).min() < 0  # OFF is still OFF
    signs = array.copy()
    signs["p"] = np.where(array["p"] == 1, 1, -1)
    assert np.array_equal(VoxelGrid(SIZE, 4)(array), VoxelGrid(SIZE, 4)(signs))


def fails(call: Callable[[], np.ndarray], right: np.ndarray) -> bool:
    """Raises, or gives something else: which of the two depends on the version of numpy."""
    try:
        with np.errstate(all="ignore"):
            found = call()
    except (OverflowError, IndexError, ValueError):
        return True
    return not np.array_equal(found, right)


def test_trap_voxel_grid_of_uint8_polarity(transforms: Any) -> None:
    """-1 does not fit uint8: numpy 2 raises, numpy 1 makes it 255. Ours: OFF weighs -1."""
    rows = [(1, 1, 0, 0), (1, 1, 9, 1), (2, 2, 10, 1)]
    right, grid = rows_of(*rows), transforms.ToVoxelGrid(SIZE, 2)
    array = right.astype([(n, "u1" if n == "p" else t) for n, t in TONIC_IO])
    assert VoxelGrid(SIZE, 3)(array)[:2, 0, 1, 1].tolist() == pytest.approx([-1, 0.2], abs=1e-6)
    assert not fails(lambda: grid(right), grid(right)) and fails(lambda: grid(array), grid(right))


def test_trap_voxel_grid_of_one_stamp_and_of_nothing(transforms: Any) -> None:
    same = rows_of((1, 1, 7, 1), (2, 1, 7, 1))
    ours, grid = VoxelGrid(SIZE, 3)(same), transforms.ToVoxelGrid(SIZE, 3)
    assert ours.sum() == ours[0].sum() == 2
    assert fails(lambda: grid(same), ours)
    assert not VoxelGrid(SIZE, 3)(same[:0]).any()
    assert fails(lambda: grid(same[:0]), np.zeros((3, 1, H, W)))


def test_voxel_grid_equals_tonics_bins(transforms: Any) -> None:
    """Tonic scales by n, Zhu by n - 1: its n bins are the first n of our n + 1."""
    events = random_events(first_us=2**33)
    theirs = transforms.ToVoxelGrid(SIZE, 6)(to_tonic(events))
    ours = voxel_grid(events, (H, W), 7)
    assert np.abs(theirs - ours[:6]).max() < 1e-5
    assert np.abs(ours).max() > 1


def test_trap_voxel_grid_loses_what_falls_on_the_end(transforms: Any) -> None:
    events = random_events()
    assert abs(transforms.ToVoxelGrid(SIZE, 6)(rows_of(*to_tonic(events).tolist())).sum()) < len(events)
    whole = voxel_grid(events, (H, W), 6, polarity="sum").sum(dtype=np.float64)
    assert whole == pytest.approx(len(events), abs=1e-3)


def test_histogram_equals_to_frame_and_keeps_the_tail(transforms: Any) -> None:
    array = to_tonic(random_events())
    frame = transforms.ToFrame(sensor_size=SIZE, n_time_bins=5)(array)
    window_us = int((array["t"][-1] - array["t"][0]) // 5)
    inside = array[array["t"] < array["t"][0] + 5 * window_us]  # tonic drops the rest without a word
    span_us = (int(array["t"][0]), int(array["t"][0]) + 5 * window_us)
    assert np.array_equal(frame, histogram(from_structured(inside), (H, W), 5, span_us=span_us))
    assert frame.sum() < len(array) == Histogram(SIZE, 5)(array).sum()


def test_trap_to_frame_of_nothing_swaps_width_and_height(transforms: Any) -> None:
    none = to_tonic(Events.empty())
    assert transforms.ToFrame(sensor_size=SIZE, n_time_bins=5)(none).shape == (5, 2, W, H)
    assert Histogram(SIZE, 5)(none).shape == (5, 2, H, W)


def test_surface_equals_tonics(transforms: Any) -> None:
    """Tonic reads its surface at the end of a window of dt; ours at at_us."""
    events = random_events()
    first_us, dt = int(events.t_us[0]), 9_000
    theirs = transforms.ToTimesurface(sensor_size=SIZE, dt=dt, tau=3000)(to_tonic(events))
    inside = events[events.t_us < first_us + dt]
    ours = last_time_surface(inside, (H, W), 3000, at_us=first_us + dt)
    assert len(theirs) == 1 and np.allclose(theirs[0], ours, rtol=1e-6, atol=0)


def test_trap_slice_by_time_bins_leaves_gaps(transforms: Any) -> None:
    """With overlap Tonic's stride shrinks twice: the tail is never seen. Our windows cover each event exactly once."""
    events = random_events(first_us=500)
    slicer = __import__("importlib").import_module("tonic.slicers").SliceByTimeBins(bin_count=10, overlap=0.5)
    last = max(stop for _, stop in slicer.get_slice_metadata(to_tonic(events), None))
    assert last / len(events) < 0.85
    recording = Recording(events=events, width=W, height=H)
    for period_us in (1000, 3333, 100_000):
        assert sum(len(window.events) for window in recording.windows(period_us)) == len(events)


def test_denoise_equals_tonics_after_the_first_window(transforms: Any) -> None:
    array = to_tonic(random_events(400))
    ours = Denoise(SIZE, 300, neighbours=4)(array)
    late = array["t"] >= 300
    theirs = transforms.Denoise(filter_time=300)(array)
    assert np.array_equal(ours[ours["t"] >= 300], theirs[theirs["t"] >= 300]) and 50 < len(ours) < late.sum()


def test_trap_denoise_passes_isolated_events_at_first(transforms: Any) -> None:
    lonely = rows_of((1, 1, 10, 1), (8, 8, 20, 1))
    assert len(transforms.Denoise(filter_time=100)(lonely)) == 2
    assert len(Denoise(SIZE, 100)(lonely)) == 0


def test_trap_refractory_restarts_on_what_it_drops(transforms: Any) -> None:
    steady = rows_of(*((1, 1, t, 1) for t in range(1, 100, 4)))
    assert transforms.RefractoryPeriod(delta=10)(steady)["t"].tolist() == [1]  # silent for ever
    assert Refractory(SIZE, 10)(steady)["t"].tolist() == list(range(1, 100, 12))
    zero = rows_of((1, 1, 0, 1))
    assert len(transforms.RefractoryPeriod(delta=10)(zero)) == 0 and len(Refractory(SIZE, 10)(zero)) == 1


def test_refractory_equals_tonics_where_nothing_is_dropped_twice(transforms: Any) -> None:
    """Pairs of events far apart: the dropped one has no follower, so both rules agree (Tonic's wants more than delta)."""
    first = np.arange(1, 40) * 1000
    stamps = np.sort(np.concatenate([first, first + np.tile([3, 30, 9], 13)]))
    array = rows_of(*((int(t) // 1000 % W, 1, int(t), 1) for t in stamps))
    assert np.array_equal(Refractory(SIZE, 11)(array), transforms.RefractoryPeriod(delta=10)(array))


def test_trap_noise_is_all_on(transforms: Any) -> None:
    events = random_events()
    boolean = to_tonic(events).astype(TONIC_IO)
    boolean["p"] = False
    assert transforms.UniformNoise(sensor_size=SIZE, n=2000)(boolean)["p"].sum() == 2000
    noisy = uniform_noise(events, (H, W), 2000, np.random.default_rng(0))
    assert len(noisy) == 5000 and abs(noisy.p.mean() - 0.5) < 0.03
    noisy.check(W, H)
    assert noisy.t_us[0] >= events.t_us[0] and noisy.t_us[-1] <= events.t_us[-1]


def test_trap_drop_by_time_assumes_a_clock_from_zero(transforms: Any) -> None:
    """An interval drawn from 0 misses a recording that starts late; ours falls on it wherever it starts."""
    late = random_events(first_us=10**9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.random, "uniform", lambda low, high=None, size=None: (low + high) / 2)
        kept = transforms.DropEventByTime(duration_ratio=0.2)(to_tonic(late))
    assert len(kept) == len(late)
    for seed in range(20):
        left = drop_time(late, 0.2, np.random.default_rng(seed))
        assert len(left) == pytest.approx(0.8 * len(late), rel=0.05)
        left.check(W, H)
    assert len(drop_time(late, 0.0, np.random.default_rng(0))) == len(late)
    assert len(drop_time(Events.empty(), 0.5, np.random.default_rng(0))) == 0


OURS = (
    Histogram(SIZE, 3),
    VoxelGrid(SIZE, 3),
    LastTime(SIZE),
    TimeSurface(SIZE),
    Denoise(SIZE),
    Refractory(SIZE),
    DropHotPixels(SIZE),
)


@pytest.mark.parametrize("transform", OURS, ids=lambda t: type(t).__name__)
def test_ours_take_empty_and_refuse_unsorted_and_outside(transform: Any) -> None:
    none = to_tonic(Events.empty())
    assert transform(none) is not None
    with pytest.raises(UserError, match="event 1: stamp 5 us follows 9 us"):
        transform(rows_of((0, 0, 9, 1), (0, 0, 5, 1)))
    with pytest.raises(UserError, match="event 0: x = 12 lies outside"):
        transform(rows_of((12, 0, 9, 1)))
    with pytest.raises(UserError, match="event 0: y = -1 is negative"):
        transform(rows_of((1, -1, 9, 1)))
    array = to_tonic(random_events())
    before = array.copy()
    transform(array)
    assert np.array_equal(array, before)  # Tonic's grid once wrote into its input


def test_ours_compose_with_tonics(transforms: Any) -> None:
    array = to_tonic(random_events())
    chain = transforms.Compose(
        [transforms.RandomFlipLR(sensor_size=SIZE, p=1.0), Denoise(SIZE, 200), VoxelGrid(SIZE, 4)]
    )
    flipped = array.copy()
    flipped["x"] = W - 1 - array["x"]
    assert np.array_equal(chain(array), VoxelGrid(SIZE, 4)(Denoise(SIZE, 200)(flipped)))


def test_trap_compose_stops_at_the_first_empty_array(transforms: Any) -> None:
    """So a network would get an empty structured array instead of a grid; said in spikeplan.eventdata.transforms."""
    chain = transforms.Compose([Denoise(SIZE, 5), VoxelGrid(SIZE, 4)])
    assert chain(rows_of((1, 1, 0, 1))).dtype == DTYPE
    assert VoxelGrid(SIZE, 4)(Denoise(SIZE, 5)(rows_of((1, 1, 0, 1)))).shape == (4, 1, H, W)


def test_masks_and_nonsense() -> None:
    events = random_events()
    assert np.array_equal(Denoise(SIZE, 200)(to_tonic(events)), to_tonic(events)[denoise_mask(events, (H, W), 200)])
    assert np.array_equal(Refractory(SIZE, 99)(to_tonic(events)), to_tonic(events)[refractory_mask(events, (H, W), 99)])
    for call, words in (
        (lambda: Histogram((W, H), 3), "width, height, polarities"),  # type: ignore[arg-type]
        (lambda: drop_time(events, 1.0, np.random.default_rng(0)), r"in \[0, 1\)"),
        (lambda: uniform_noise(events, (H, W), -1, np.random.default_rng(0)), ">= 0"),
        (lambda: uniform_noise(Events.empty(), (H, W), 1, np.random.default_rng(0)), "pass span_us"),
        (lambda: Histogram(SIZE)(np.zeros(1, [("x", "<i2")])), r"lacks the field\(s\) p, t, y"),
        (lambda: Histogram(SIZE)(np.array([(1, 1, np.nan, 1)], [(n, "f8") for n in "xytp"])), "event 0: stamp nan"),
        (lambda: Histogram(SIZE)(np.array([(70_000, 1, 1, 1)], [(n, "i8") for n in "xytp"])), "is not in 0 .. 65535"),
    ):
        with pytest.raises(UserError, match=words):
            call()
