"""The simulated sensor against closed forms (ramp, sine, dead time, low-pass, noise rates) and itself in chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata import Events
from spikeplan.eventdata.simulation import glide as simulator_glide
from spikeplan.eventdata.simulation.simulator import LOG_FLOOR, BatchEvents, DvsParams, DvsState, start, step

Frames = NDArray[np.float32]


def run(
    frames_TBHW: NDArray[np.floating], stamps_us: list[int], params: DvsParams, seed: int = 0
) -> tuple[DvsState, list[BatchEvents]]:
    rng = np.random.default_rng(seed)
    state = start(frames_TBHW[0], stamps_us[0], params, rng)
    out = []
    for frame, t_us in zip(frames_TBHW[1:], stamps_us[1:], strict=True):
        state, events = step(state, frame, t_us, params, rng)
        out.append(events)
    return state, out


def of_env(out: list[BatchEvents], b: int) -> Events:
    return Events.concat([events.of(b) for events in out])


def log_ramp(log_levels: list[float]) -> Frames:
    """One pixel, one environment; radiance whose ln(I + floor) takes these values."""
    return np.array([np.exp(level) - LOG_FLOOR for level in log_levels], np.float32).reshape(-1, 1, 1, 1)


@settings(deadline=None, max_examples=60)
@given(
    rise=st.floats(-4, 4).filter(lambda d: abs(d) > 0.01),
    theta=st.floats(0.05, 0.6),
    t0=st.integers(-10_000, 10**15),
    span_us=st.integers(1_000, 10**6),
)
def test_ramp_gives_floor_of_the_change_at_the_exact_times(rise: float, theta: float, t0: int, span_us: int) -> None:
    frames = log_ramp([-5.0, -5.0 + rise] if rise > 0 else [-1.0, -1.0 + rise])
    levels = np.log(frames.astype(np.float64).ravel() + LOG_FLOOR)  # what float32 left of it
    change = abs(levels[1] - levels[0])
    count = int(change / theta)
    if min(change / theta - count, count + 1 - change / theta) < 1e-6:
        return  # a crossing on the very last instant: either count is right
    events = of_env(run(frames, [t0, t0 + span_us], DvsParams(theta_on=theta, theta_off=theta))[1], 0)
    assert len(events) == count
    assert events.p.tolist() == [rise > 0] * count
    exact_us = np.arange(1, count + 1) * theta / change * span_us
    assert np.all(np.abs(events.t_us - t0 - exact_us) <= 0.5 + 1e-6)


def test_ramp_by_hand() -> None:
    """dL = 1.1 in 1100 us with theta 0.25: 250, 500, 750, 1000 us; 0.1 stays owed and 0.15 more completes it."""
    out = run(log_ramp([-3.0, -1.9, -1.74]), [0, 1100, 1260], DvsParams(theta_on=0.25))[1]
    assert of_env(out, 0).t_us.tolist() == [250, 500, 750, 1000, 1250]
    assert len(out[1].env) == 1


def test_sine_gives_the_crossings_of_its_levels() -> None:
    """L = -3 + A sin: each monotone piece crosses floor((peak - reference) / theta) levels; references hand over."""
    amplitude, theta, period_us = 1.0, 0.3, 20_000
    t_us = np.arange(0, period_us + 1, 20)
    out = run(
        log_ramp((-3 + amplitude * np.sin(2 * np.pi * t_us / period_us)).tolist()),
        t_us.tolist(),
        DvsParams(theta_on=theta, theta_off=theta),
    )[1]
    events = of_env(out, 0)
    # up 0 -> 1: levels .3 .6 .9; down to -1: 0.6 0.3 0 -0.3 -0.6 -0.9; up to 0: -0.6 -0.3 (0 is met at the very end)
    levels = [0.3, 0.6, 0.9, 0.6, 0.3, 0.0, -0.3, -0.6, -0.9, -0.6, -0.3]
    assert events.p[:11].tolist() == [True] * 3 + [False] * 6 + [True] * 2 and len(events) in (11, 12)
    up, down = np.arcsin(levels), np.pi - np.arcsin(levels)
    phase = np.concatenate([up[:3], down[3:9], 2 * np.pi + up[9:]])
    assert np.abs(events.t_us[:11] - phase / (2 * np.pi) * period_us).max() < 3


def movie(seed: int, frames: int = 12, batch: int = 2, size: int = 8) -> Frames:
    return np.random.default_rng(seed).random((frames, batch, size, size)).astype(np.float32)


PARAMS = (
    DvsParams(),
    DvsParams(theta_sigma=0.03, refractory_us=700, leak_hz=20, leak_jitter=0.1, cutoff_hz=200),
)


@pytest.mark.parametrize("params", PARAMS)
def test_frames_inserted_on_the_ramp_change_nothing(params: DvsParams) -> None:
    """Chunk invariance proper: one step of 1000 us equals four of 250 us along the same straight line.

    With a low-pass the path inside a step is curved and only its ends are exact, so that part is left out.
    """
    params = DvsParams(**{**vars(params), "cutoff_hz": None})
    coarse = movie(1).astype(np.float64)
    logs = np.log(coarse + LOG_FLOOR)
    fine = np.concatenate([logs[:-1, None] + (logs[1:] - logs[:-1])[:, None] * f for f in (0, 0.25, 0.5, 0.75)], axis=1)
    fine = np.exp(fine.reshape(-1, *coarse.shape[1:])) - LOG_FLOOR
    fine = np.clip(np.concatenate([fine, coarse[-1:]]), 0, 1)
    once = of_env(run(coarse, list(range(0, 12_000, 1000)), params)[1], 0)
    many = of_env(run(fine, list(range(0, 11_001, 250)), params)[1], 0)
    assert len(once) > 500
    key = [np.lexsort((e.t_us, e.x, e.y)) for e in (once, many)]
    for name in ("x", "y", "p"):
        assert np.array_equal(getattr(once, name)[key[0]], getattr(many, name)[key[1]])
    assert np.abs(once.t_us[key[0]] - many.t_us[key[1]]).max() <= 1


def test_low_pass_level_does_not_depend_on_the_step() -> None:
    params = DvsParams(cutoff_hz=50)
    one, _ = run(log_ramp([-4, -2]), [0, 8000], params)
    four, _ = run(log_ramp([-4, -3.5, -3, -2.5, -2]), [0, 2000, 4000, 6000, 8000], params)
    assert one.level_BHW == pytest.approx(four.level_BHW, abs=1e-5)
    assert one.level_BHW < -2.1  # it lags


def test_low_pass_step_response() -> None:
    """After a jump y covers 1 - exp(-t / tau) of it; tau = 1 / (2 pi 100 Hz) = 1592 us."""
    params = DvsParams(cutoff_hz=100, theta_on=0.01)
    state, out = run(log_ramp([-4, -2, -2]), [0, 1, 1593], params)
    assert (state.level_BHW + 4).item() == pytest.approx(2 * (1 - np.exp(-1)), rel=2e-3)
    assert len(of_env(out, 0)) == int((state.level_BHW + 4).item() / 0.01)


@pytest.mark.parametrize("params", PARAMS)
def test_state_in_state_out_is_pure_and_reproducible(params: DvsParams) -> None:
    params = DvsParams(**{**vars(params), "shot_noise_hz": 50})
    frames, stamps = movie(3), list(range(0, 12_000, 1000))
    whole = run(frames, stamps, params, seed=5)[1]
    rng = np.random.default_rng(5)
    state = start(frames[0], 0, params, rng)
    for k in range(1, 12):
        before = [np.copy(value) for value in state]
        after, events = step(state, frames[k], stamps[k], params, rng)
        assert all(
            np.array_equal(a, np.asarray(b)) for a, b in zip(before, state, strict=True)
        )  # the argument is untouched
        assert np.array_equal(events.env, whole[k - 1].env)
        assert np.array_equal(events.events.t_us, whole[k - 1].events.t_us)
        state = after
    for b in range(2):
        t_us = of_env(whole, b).t_us
        assert np.all(np.diff(t_us) >= 0) and t_us[0] >= 0 and t_us[-1] <= 11_000


@pytest.mark.parametrize("params", PARAMS)
def test_the_compiled_path_is_the_numpy_path(params: DvsParams, monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit: events and every field of the state."""
    pytest.importorskip("numba")
    params = DvsParams(**{**vars(params), "shot_noise_hz": 200})
    frames, stamps = movie(7, batch=3), list(range(0, 12_000, 1000))
    state, events = run(frames, stamps, params)
    monkeypatch.setattr(simulator_glide, "compiled", lambda: None)
    other, expected = run(frames, stamps, params)
    assert sum(len(part.env) for part in events) > 1000
    for one, two in zip(events, expected, strict=True):
        assert np.array_equal(one.env, two.env)
        for name in ("x", "y", "t_us", "p"):
            assert np.array_equal(getattr(one.events, name), getattr(two.events, name))
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(state, other, strict=True))


def test_environments_of_a_batch_do_not_mix() -> None:
    frames, stamps = movie(4, batch=3), list(range(0, 12_000, 1000))
    together = run(frames, stamps, DvsParams())[1]
    for b in range(3):
        alone = of_env(run(frames[:, b : b + 1], stamps, DvsParams())[1], 0)
        mine = of_env(together, b)
        for name in ("x", "y", "t_us", "p"):
            assert np.array_equal(getattr(alone, name), getattr(mine, name))


def test_dead_time_is_true_dead_time() -> None:
    """Ramp of 0.1 per 100 us, theta 0.1, dead time 250 us: events at 100, 450, 800 us.

    The pixel sees again 250 us after each event and needs another 100 us for a threshold. Crossings it misses at 200
    and 300 us do not extend the hold, and what passed meanwhile is lost. The hold survives the boundary at 500 us.
    """
    params = DvsParams(theta_on=0.1, refractory_us=250)
    whole = of_env(run(log_ramp([-3, -2.001]), [0, 999], params)[1], 0)
    halves = of_env(run(log_ramp([-3, -2.5, -2.001]), [0, 500, 999], params)[1], 0)
    assert whole.t_us.tolist() == halves.t_us.tolist() == [100, 450, 800]


def test_a_static_scene_is_silent_without_noise() -> None:
    frames = np.repeat(movie(6, frames=1), 20, axis=0)
    params = DvsParams(theta_sigma=0.03, refractory_us=500, cutoff_hz=100)
    assert sum(len(events.env) for events in run(frames, list(range(0, 20_000, 1000)), params)[1]) == 0


@pytest.mark.parametrize("step_us", [1_000, 50_000])
def test_shot_noise_rate_and_dead_time(step_us: int) -> None:
    """Poisson of rate R with dead time d: R / (1 + R d) events/s, whatever the step; half of them ON."""
    steps = 1_000_000 // step_us
    frames = np.full((steps + 1, 1, 32, 32), 0.5, np.float32)
    for refractory_us, rate in ((0, 20.0), (20_000, 20 / (1 + 20 * 0.02))):
        params = DvsParams(shot_noise_hz=20, refractory_us=refractory_us)
        events = of_env(run(frames, list(range(0, 1_000_001, step_us)), params, seed=1)[1], 0)
        expected = rate * 1024
        assert abs(len(events) - expected) < 5 * np.sqrt(expected) + 0.02 * expected
        assert abs(events.p.mean() - 0.5) < 0.02
        order = np.lexsort((events.t_us, events.x, events.y))
        same = (np.diff(events.x[order].astype(int)) == 0) & (np.diff(events.y[order].astype(int)) == 0)
        assert np.diff(events.t_us[order])[same].min() >= refractory_us


def test_leak_gives_on_events_at_its_rate_and_not_in_step() -> None:
    frames = np.full((21, 1, 32, 32), 0.5, np.float32)
    events = of_env(run(frames, list(range(0, 1_000_001, 50_000)), DvsParams(leak_hz=10, theta_sigma=0.03))[1], 0)
    assert events.p.all()
    assert abs(len(events) - 10 * 1024) <= 1024 * 0.05
    assert np.bincount(events.t_us // 10_000, minlength=100).max() < 1024 * 0.2


def test_threshold_spread_is_per_pixel() -> None:
    state = start(np.full((1, 64, 64), 0.5, np.float32), 0, DvsParams(theta_sigma=0.03), np.random.default_rng(0))
    for theta in (state.theta_on_BHW, state.theta_off_BHW):
        assert theta.mean() == pytest.approx(0.2, abs=0.003) and theta.std() == pytest.approx(0.03, rel=0.1)
    assert not np.array_equal(state.theta_on_BHW, state.theta_off_BHW)


def test_nonsense_is_refused() -> None:
    good, rng = np.full((1, 2, 2), 0.5, np.float32), np.random.default_rng(0)
    state = start(good, 10, DvsParams(), rng)
    bad = good.copy()
    bad[0, 1, 0] = np.nan
    for call, words in (
        (lambda: step(state, good, 10, DvsParams(), rng), "stamps must increase"),
        (lambda: step(state, bad, 20, DvsParams(), rng), r"nan at \(0, 1, 0\)"),
        (lambda: step(state, good * 3, 20, DvsParams(), rng), r"not in \[0, 1\]"),
        (lambda: step(state, good[:, :1], 20, DvsParams(), rng), "keep one shape"),
        (lambda: start(good[0], 0, DvsParams(), rng), r"expected \(B, H, W\)"),
        (lambda: DvsParams(theta_on=0), r"theta_on 0 must be in \[0.01, 1000\]"),
        (lambda: DvsParams(leak_hz=float("nan")), "leak_hz nan"),
        (lambda: DvsParams(cutoff_hz=0), "None means unlimited"),
    ):
        with pytest.raises(UserError, match=words):
            call()
