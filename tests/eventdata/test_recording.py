"""One clock, honest slices, windows that keep the silence, refusals that name the offender."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, Recording
from spikeplan.eventdata.recording import TRIGGER


def make_events(t_us: list[int], x: list[int] | None = None) -> Events:
    t = np.array(t_us, np.int64)
    column = np.arange(len(t)) % 4 if x is None else np.array(x)
    return Events(x=column.astype(np.uint16), y=np.zeros(len(t), np.uint16), t_us=t, p=np.arange(len(t)) % 2 == 0)


def make_recording(t_us: list[int], **streams: object) -> Recording:
    return Recording(events=make_events(t_us), width=4, height=1, **streams)  # type: ignore[arg-type]


def test_slice_is_half_open_and_keeps_the_clock() -> None:
    triggers = np.array([(5, 8), (20, 9)], TRIGGER)
    whole = make_recording(
        [0, 10, 10, 20, 35],
        frames=np.arange(3, dtype=np.uint8).reshape(3, 1, 1),
        frame_t_us=np.array([-3, 10, 20]),
        exposure_us=np.array([1, 2, 3]),
        imu=np.arange(12, dtype=np.float32).reshape(2, 6),
        imu_t_us=np.array([12, 20]),
        triggers=triggers,
        origin_us=1_000,
    )
    part = whole.slice_us(10, 20)
    assert part.events.t_us.tolist() == [10, 10]
    assert part.frames is not None and part.frames.ravel().tolist() == [1]
    assert part.exposure_us.tolist() == [2]
    assert part.imu is not None and part.imu.tolist() == [[0, 1, 2, 3, 4, 5]]
    assert len(part.triggers) == 0
    assert (part.origin_us, part.span_us, whole.span_us) == (1_000, (10, 20), (-3, 36))


def test_windows_yield_the_empty_ones_in_their_place() -> None:
    counts = [(part.span_us, len(part.events)) for part in make_recording([0, 1, 30, 45]).windows(10)]
    assert counts == [((0, 10), 2), ((10, 20), 0), ((20, 30), 0), ((30, 40), 1), ((40, 46), 1)]
    silent = make_recording([0, 1]).slice_us(100, 130)
    assert [part.span_us for part in silent.windows(10)] == [(100, 110), (110, 120), (120, 130)]
    assert list(Recording(events=Events.empty(), width=1, height=1).windows(10)) == []


@settings(deadline=None, max_examples=60)
@given(gaps=st.lists(st.integers(0, 400), min_size=1, max_size=30), period_us=st.integers(1, 300))
def test_windows_lose_and_repeat_nothing(gaps: list[int], period_us: int) -> None:
    whole = make_recording(np.cumsum(gaps).tolist())
    parts = list(whole.windows(period_us))
    joined = Events.concat([part.events for part in parts])
    assert joined.t_us.tolist() == whole.events.t_us.tolist()
    assert joined.p.tolist() == whole.events.p.tolist()
    assert all(earlier.span_us[1] == later.span_us[0] for earlier, later in pairwise(parts))


@pytest.mark.parametrize(
    ("streams", "words"),
    [
        ({"frames": np.zeros((2, 1, 4), np.uint8), "frame_t_us": np.array([0])}, "2 frame samples but 1"),
        ({"imu": np.zeros((2, 6), np.float32), "imu_t_us": np.array([5, 3])}, "imu 1: stamp 3 us follows 5 us.*sort"),
        ({"frames": np.zeros((1, 1, 4), np.uint8), "frame_t_us": np.array([0])}, "0 exposures for 1 frames"),
        ({"triggers": np.array([(9, 1), (2, 1)], TRIGGER)}, "trigger 1: stamp 2 us follows 9 us"),
        ({"span_us": (5, 2)}, "span .* ends before it starts"),
    ],
)
def test_streams_that_disagree_are_refused(streams: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_recording([0, 1], **streams)


def test_sorting_keeps_the_order_of_equal_stamps() -> None:
    events = make_events([5, 3] * 500, x=list(range(1000)))
    assert events.sorted().x.tolist() == [*range(1, 1000, 2), *range(0, 1000, 2)]


def test_bad_events_are_named_by_index_with_a_remedy() -> None:
    with pytest.raises(UserError, match="event 2: stamp 4 us follows 9 us .*sort"):
        make_recording([0, 9, 4])
    assert make_events([0, 9, 4]).sorted().t_us.tolist() == [0, 4, 9]
    with pytest.raises(UserError, match=r"event 1: x = 4 lies outside the 4x1 sensor .*geometry"):
        Recording(events=make_events([0, 1], x=[3, 4]), width=4, height=1)
    with pytest.raises(UserError, match="column p has shape .* equal length"):
        Events(x=np.zeros(2, np.uint16), y=np.zeros(2, np.uint16), t_us=np.zeros(2, np.int64), p=np.zeros(1, bool))
    with pytest.raises(UserError, match="column x is int64; convert it to uint16"):
        Events(x=np.zeros(0, np.int64), y=np.zeros(0, np.uint16), t_us=np.zeros(0, np.int64), p=np.zeros(0, bool))
    with pytest.raises(UserError, match="at least 1 us"):
        make_recording([0, 1]).windows(0)
