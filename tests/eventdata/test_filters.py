"""Filters against a loop over events, with and without numba; their edges by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events, filters
from spikeplan.eventdata.filters import denoise, denoise_mask, drop_pixels, refractory, refractory_mask
from spikeplan.eventdata.simulation.simulator import DvsParams, start, step

H, W = 4, 5
Row = tuple[int, int, int, bool]
# few stamps on few pixels: identical stamps, repeated pixels and every border come up; some beyond 2^31 us
ROWS = st.lists(
    st.tuples(
        st.integers(0, W - 1),
        st.integers(0, H - 1),
        st.one_of(st.integers(-30, 60), st.integers(2**40, 2**40 + 20)),
        st.booleans(),
    ),
    max_size=40,
)
HYPOTHESIS = settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


def from_rows(rows: list[Row]) -> Events:
    x, y, t, p = zip(*sorted(rows, key=lambda row: row[2]), strict=True) if rows else ((), (), (), ())
    return Events(x=np.array(x, np.uint16), y=np.array(y, np.uint16), t_us=np.array(t, np.int64), p=np.array(p, bool))


@pytest.fixture(params=["compiled", "numpy"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both forms of each filter; the compiled one is skipped where numba is missing."""
    if request.param == "numpy":
        monkeypatch.setattr(filters, "compiled", lambda: None)
    else:
        pytest.importorskip("numba")
    yield request.param


@HYPOTHESIS
@given(rows=ROWS, window_us=st.integers(1, 40), neighbours=st.sampled_from([4, 8]))
def test_denoise_equals_a_loop(path: str, rows: list[Row], window_us: int, neighbours: int) -> None:
    events = from_rows(rows)
    past: list[tuple[int, int, int]] = []
    expected = []
    for x, y, t in zip(events.x.tolist(), events.y.tolist(), events.t_us.tolist(), strict=True):
        close = [max(abs(x - a), abs(y - b)) if neighbours == 8 else abs(x - a) + abs(y - b) for a, b, _ in past]
        expected.append(any(d == 1 and t - s < window_us for d, (_, _, s) in zip(close, past, strict=True)))
        past.append((x, y, t))
    assert denoise_mask(events, (H, W), window_us, neighbours=neighbours).tolist() == expected


@HYPOTHESIS
@given(rows=ROWS, dead_us=st.integers(0, 40))
def test_refractory_equals_a_loop(path: str, rows: list[Row], dead_us: int) -> None:
    events = from_rows(rows)
    kept: dict[tuple[int, int], int] = {}
    expected = []
    for x, y, t in zip(events.x.tolist(), events.y.tolist(), events.t_us.tolist(), strict=True):
        expected.append((x, y) not in kept or t - kept[x, y] >= dead_us)
        if expected[-1]:
            kept[x, y] = t
    assert refractory_mask(events, (H, W), dead_us).tolist() == expected


def test_by_hand(path: str) -> None:
    """A pixel does not support itself; a row's end does not support the next row's start; age == window is too old."""
    events = from_rows(
        [
            (0, 0, 0, True),
            (0, 0, 1, True),
            (4, 1, 2, True),
            (0, 2, 3, True),
            (1, 1, 10, True),
            (1, 2, 13, False),
            (2, 3, 22, True),
        ]
    )
    assert denoise(events, (H, W), 10).t_us.tolist() == [
        10,
        13,
        22,
    ]  # 9 us after (0, 0); 3 after (1, 1); 9 after (1, 2)
    assert denoise(events, (H, W), 9).t_us.tolist() == [10, 13]  # (0, 2) at 3 us supports (1, 1) at 10
    assert denoise(events, (H, W), 10, neighbours=4).t_us.tolist() == [13]
    steady = from_rows([(1, 1, t, True) for t in range(0, 100, 4)])
    assert refractory(steady, (H, W), 10).t_us.tolist() == list(range(0, 100, 12))  # dropped events extend nothing


def test_filters_refuse_nonsense_and_pass_nothing_through(path: str) -> None:
    none, events = Events.empty(), from_rows([(1, 1, 5, True), (4, 2, 6, True)])
    assert len(denoise(none, (H, W), 5)) == len(refractory(none, (H, W), 5)) == 0
    back = events[np.array([0, 1, 0])]
    for call, words in (
        (lambda: denoise(back, (H, W), 5), "event 2: stamp 5 us follows 6 us"),
        (lambda: refractory(back, (H, W), 5), "event 2: stamp 5 us follows 6 us"),
        (lambda: denoise(events, (H, 4), 5), "event 1: x = 4 lies outside"),
        (lambda: refractory(events, (2, W), 5), "event 1: y = 2 lies outside"),
        (lambda: denoise(events, (H, W), 0), "at least 1"),
        (lambda: denoise(events, (H, W), 5, neighbours=6), "use 4 or 8"),
        (lambda: refractory(events, (H, W), -1), "must be >= 0"),
        (lambda: drop_pixels(events, np.zeros((2, 2), bool)), "outside"),
    ):
        with pytest.raises(UserError, match=words):
            call()


def test_hot_pixels_are_dropped() -> None:
    events = from_rows([(2, 2, t, True) for t in range(40)] + [(1, 2, 5, True)])
    mask = np.zeros((H, W), bool)
    mask[2, 2] = True
    assert drop_pixels(events, mask).x.tolist() == [1]


@pytest.mark.parametrize("dead_us", [500, 2000])
def test_the_sensors_own_dead_time_passes_unchanged(path: str, dead_us: int) -> None:
    rng = np.random.default_rng(0)
    params = DvsParams(refractory_us=dead_us, shot_noise_hz=100)
    frames = rng.random((12, 1, H, W)).astype(np.float32)
    state, parts = start(frames[0], 0, params, rng), []
    for k in range(1, 12):
        state, batch = step(state, frames[k], k * 1000, params, rng)
        parts.append(batch.of(0))
    events = Events.concat(parts)
    assert len(events) > 50
    assert refractory_mask(events, (H, W), dead_us).all()
    assert not refractory_mask(events, (H, W), 4 * dead_us).all()
