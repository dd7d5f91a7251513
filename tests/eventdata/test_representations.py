"""Representations against a loop over events and exact fractions, with and without numba; the picture."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, representations
from spikeplan.eventdata.representations import NEVER, histogram, last_time, last_time_surface, voxel_grid
from spikeplan.eventdata.view import event_image

H, W = 3, 5
ROWS = st.lists(
    st.tuples(st.integers(0, W - 1), st.integers(0, H - 1), st.integers(-50, 900), st.booleans()), max_size=40
)
HYPOTHESIS = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
WEIGHTS = {"signed": (-1, 1), "sum": (1, 1), "on": (0, 1), "off": (1, 0)}


@pytest.fixture(params=["compiled", "numpy"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both forms of each representation; the compiled one is skipped where numba is missing."""
    if request.param == "numpy":
        monkeypatch.setattr(representations, "compiled", lambda: None)
    else:
        pytest.importorskip("numba")
    yield request.param


def from_rows(rows: list[tuple[int, int, int, bool]]) -> Events:
    x, y, t, p = zip(*sorted(rows, key=lambda row: row[2]), strict=True) if rows else ((), (), (), ())
    return Events(x=np.array(x, np.uint16), y=np.array(y, np.uint16), t_us=np.array(t, np.int64), p=np.array(p, bool))


@HYPOTHESIS
@given(rows=ROWS, bins=st.integers(1, 7))
def test_histogram_and_last_time_equal_a_loop(path: str, rows: list[tuple[int, int, int, bool]], bins: int) -> None:
    events = from_rows(rows)
    counts = np.zeros((bins, 2, H, W), np.int32)
    last = np.full((2, H, W), NEVER)
    for x, y, t, p in zip(events.x, events.y, events.t_us.tolist(), events.p, strict=True):
        counts[(t + 50) * bins // 1000, int(p), y, x] += 1
        last[int(p), y, x] = t
    assert np.array_equal(histogram(events, (H, W), bins, span_us=(-50, 950)), counts)
    assert np.array_equal(last_time(events, (H, W)), last)
    assert histogram(events, (H, W), bins).sum() == len(events)
    for polarity, (off, on) in WEIGHTS.items():
        one = histogram(events, (H, W), bins, span_us=(-50, 950), polarity=polarity)
        assert np.array_equal(one, off * counts[:, :1] + on * counts[:, 1:])


@HYPOTHESIS
@given(rows=ROWS, bins=st.integers(1, 7), late=st.sampled_from([0, 2**31 + 5, 2**45]), one_stamp=st.booleans())
def test_voxel_grid_equals_its_equation(
    path: str, rows: list[tuple[int, int, int, bool]], bins: int, late: int, one_stamp: bool
) -> None:
    """Zhu 2019 in fractions: exact, then rounded once to float32."""
    events = from_rows([(x, y, late + (0 if one_stamp else t), p) for x, y, t, p in rows])
    exact: dict[tuple[int, int, int, int], Fraction] = {}
    for x, y, t, p in zip(events.x.tolist(), events.y.tolist(), events.t_us.tolist(), events.p.tolist(), strict=True):
        span = int(events.t_us[-1] - events.t_us[0]) or 1
        at = Fraction((bins - 1) * (t - int(events.t_us[0])), span)
        for b in range(bins):
            cell = (b, int(p), y, x)
            exact[cell] = exact.get(cell, Fraction(0)) + max(Fraction(0), 1 - abs(b - at))
    both = np.zeros((bins, 2, H, W), np.float32)
    signed = np.zeros((bins, 1, H, W), np.float32)
    for (b, p, y, x), value in exact.items():
        both[b, p, y, x] = float(value)
        signed[b, 0, y, x] = float(exact.get((b, 1, y, x), Fraction(0)) - exact.get((b, 0, y, x), Fraction(0)))
    assert np.array_equal(voxel_grid(events, (H, W), bins, polarity="both"), both)
    assert np.array_equal(voxel_grid(events, (H, W), bins), signed)


@pytest.mark.parametrize(("bins", "span_us"), [(3, 10), (7, 10), (4, 6), (5, 3)])
def test_an_event_on_an_edge_opens_its_bin(path: str, bins: int, span_us: int) -> None:
    """Every stamp of a short span: most edges fall between two of them, some upon one."""
    events = from_rows([(0, 0, t, True) for t in range(span_us)])
    expected = np.bincount(np.arange(span_us) * bins // span_us, minlength=bins)
    assert histogram(events, (H, W), bins, span_us=(0, span_us))[:, 1, 0, 0].tolist() == expected.tolist()


def test_voxel_grid_by_hand(path: str) -> None:
    """5 bins over 0 .. 400 us: one bin a 100 us. 150 us is half of bin 1 and half of bin 2; the last stamp is bin 4."""
    grid = voxel_grid(from_rows([(0, 0, 0, True), (1, 0, 150, False), (2, 0, 225, True), (0, 0, 400, True)]), (H, W), 5)
    assert grid.shape == (5, 1, H, W)
    assert grid[:, 0, 0, 0].tolist() == [1, 0, 0, 0, 1]
    assert grid[:, 0, 0, 1].tolist() == [0, -0.5, -0.5, 0, 0]
    assert grid[:, 0, 0, 2].tolist() == [0, 0, 0.75, 0.25, 0]
    half = voxel_grid(from_rows([(0, 0, 50, True)]), (H, W), 3, span_us=(0, 100))  # a span of its own choosing
    assert half[:, 0, 0, 0].tolist() == [0, 1, 0]


def test_surface_by_hand() -> None:
    surface = last_time_surface(from_rows([(0, 0, 0, True), (0, 0, 100, True), (4, 2, 300, False)]), (H, W), 200.0)
    assert surface[1, 0, 0] == np.float32(np.exp(-1.0))
    assert surface[0, 2, 4] == 1.0
    assert np.count_nonzero(surface) == 2


def test_empty_is_zero_and_nonsense_is_refused(path: str) -> None:
    none, one = Events.empty(), from_rows([(4, 2, 10, True)])
    back = from_rows([(0, 0, 5, True), (1, 1, 6, True)])[np.array([0, 1, 0])]
    assert voxel_grid(none, (H, W), 3).shape == (3, 1, H, W) and not voxel_grid(none, (H, W), 3).any()
    assert (last_time(none, (H, W)) == NEVER).all()
    assert histogram(none, (H, W), 3).shape == (3, 2, H, W) and not histogram(none, (H, W), 3).any()
    assert not last_time_surface(none, (H, W), 10.0).any()
    assert np.array_equal(event_image(none, H, W), np.full((H, W, 3), 255, np.uint8))
    for call, words in (
        (lambda: histogram(one, (H, 4), 1), "outside"),  # x = 4 would wrap into the next row
        (lambda: voxel_grid(one, (H, 4), 1), "event 0: x = 4 lies outside"),
        (lambda: last_time(one, (2, W)), "event 0: y = 2 lies outside"),
        (lambda: histogram(back, (H, W), 2), "event 2: stamp 5 us follows 6 us"),
        (lambda: voxel_grid(back, (H, W), 2), "event 2: stamp 5 us follows 6 us"),
        (lambda: last_time(back, (H, W)), "event 2: stamp 5 us follows 6 us"),
        (lambda: histogram(back, (H, W), 2, span_us=(0, 6)), "event 2: stamp 5 us"),  # the cause, not the symptom
        (lambda: voxel_grid(one, (H, W), 1, span_us=(11, 20)), "leave the span"),
        (lambda: voxel_grid(one, (H, W), 2, span_us=(0, 2**61)), "exceed 64-bit"),
        (lambda: voxel_grid(one, (H, W), 2, polarity="up"), "use one of both, signed, sum, on, off"),
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
