"""Histogram, last-time surface and picture, against a loop over events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventdata import Events
from eventdata.representations import NEVER, histogram, last_time, last_time_surface
from eventdata.view import event_image
from spec.errors import UserError

H, W = 3, 5
ROWS = st.lists(
    st.tuples(st.integers(0, W - 1), st.integers(0, H - 1), st.integers(-50, 900), st.booleans()), max_size=40
)


def from_rows(rows: list[tuple[int, int, int, bool]]) -> Events:
    x, y, t, p = zip(*sorted(rows, key=lambda row: row[2]), strict=True) if rows else ((), (), (), ())
    return Events(x=np.array(x, np.uint16), y=np.array(y, np.uint16), t_us=np.array(t, np.int64), p=np.array(p, bool))


@settings(deadline=None, max_examples=80)
@given(rows=ROWS, bins=st.integers(1, 7))
def test_histogram_and_last_time_equal_a_loop(rows: list[tuple[int, int, int, bool]], bins: int) -> None:
    events = from_rows(rows)
    counts = np.zeros((bins, 2, H, W), np.int32)
    last = np.full((2, H, W), NEVER)
    for x, y, t, p in zip(events.x, events.y, events.t_us.tolist(), events.p, strict=True):
        counts[(t + 50) * bins // 1000, int(p), y, x] += 1
        last[int(p), y, x] = t
    assert np.array_equal(histogram(events, (H, W), bins, span_us=(-50, 950)), counts)
    assert np.array_equal(last_time(events, (H, W)), last)
    assert histogram(events, (H, W), bins).sum() == len(events)


def test_surface_by_hand() -> None:
    surface = last_time_surface(from_rows([(0, 0, 0, True), (0, 0, 100, True), (4, 2, 300, False)]), (H, W), 200.0)
    assert surface[1, 0, 0] == np.float32(np.exp(-1.0))
    assert surface[0, 2, 4] == 1.0
    assert np.count_nonzero(surface) == 2


def test_empty_is_zero_and_nonsense_is_refused() -> None:
    none, one = Events.empty(), from_rows([(4, 2, 10, True)])
    assert histogram(none, (H, W), 3).shape == (3, 2, H, W) and not histogram(none, (H, W), 3).any()
    assert not last_time_surface(none, (H, W), 10.0).any()
    assert np.array_equal(event_image(none, H, W), np.full((H, W, 3), 255, np.uint8))
    for call, words in (
        (lambda: histogram(one, (H, 4), 1), "outside"),  # x = 4 would wrap into the next row
        (lambda: histogram(one, (H, W), 1, span_us=(0, 10)), "leave the span"),
        (lambda: histogram(one, (H, W), 0), "at least 1"),
        (lambda: last_time_surface(one, (H, W), 10.0, at_us=9), "before the last event"),
        (lambda: last_time_surface(one, (H, W), 0.0), "must be > 0"),
    ):
        with pytest.raises(UserError, match=words):
            call()


def test_picture_colours() -> None:
    rows = [(0, 0, t, True) for t in range(5)] + [(1, 0, t, False) for t in range(3)]
    rows += [(2, 0, 0, True), (3, 0, 0, True), (3, 0, 1, True), (3, 0, 2, False), (4, 0, 0, True), (4, 0, 1, False)]
    image = event_image(from_rows(rows), H, W)
    assert image.dtype == np.uint8
    assert image[0].tolist() == [[255, 0, 0], [0, 0, 255], [255, 170, 170], [255, 0, 0], [170, 85, 170]]
    assert (image[1:] == 255).all()
