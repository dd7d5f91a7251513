"""The simulated sensor against closed forms, one row a rung of the ladder.

ramp, sine          n = floor(|dL| / theta) events at the analytic crossing times
static scene        no events without noise; shot noise R / (1 + R d) with dead time d; leak at its rate
step response       1 - exp(-t / tau) of the jump is signalled by t = tau, for several cutoffs
chunks              frames inserted on the ramp change nothing; an environment does not feel its neighbours
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.eventdata import Events
from spikeplan.eventdata.simulation.record import simulate
from spikeplan.eventdata.simulation.simulator import LOG_FLOOR, BatchEvents, DvsParams

Row = dict[str, Any]


def row(check: str, measured: float, expected: float, tolerance: float, unit: str) -> Row:
    return {
        "check": check,
        "measured": measured,
        "expected": expected,
        "tolerance": tolerance,
        "unit": unit,
        "holds": bool(abs(measured - expected) <= tolerance),
    }


def run(log_TBHW: NDArray[np.float64], t_us: NDArray[np.int64], params: DvsParams, seed: int = 0) -> list[BatchEvents]:
    """Frames given as ln(I + floor)."""
    radiance = np.clip(np.exp(log_TBHW) - LOG_FLOOR, 0, 1)
    return list(simulate(zip(t_us.tolist(), radiance, strict=True), params, np.random.default_rng(seed)))


def joined(parts: list[BatchEvents]) -> Events:
    return Events.concat([part.events for part in parts])


def ramps() -> list[Row]:
    """1,000 pixels, each on a ramp of its own, theta 0.2."""
    rng = np.random.default_rng(0)
    rise = rng.uniform(-3, 3, 1000)
    first = np.where(rise > 0, -5.0, -1.0)
    t_us = np.array([0, 100_000])
    parts = run(np.stack([first, first + rise]).reshape(2, 1, 1, -1), t_us, DvsParams())
    events = joined(parts)
    count = np.bincount(events.x, minlength=1000)
    order = np.lexsort((events.t_us, events.x))
    nth = np.arange(len(events)) - np.repeat(np.cumsum(count) - count, count) + 1
    exact_us = nth * 0.2 / np.abs(rise[events.x[order]]) * 100_000
    late_us = float(np.abs(events.t_us[order] - exact_us).max())
    wrong = int((count != np.floor(np.abs(rise) / 0.2)).sum())
    return [
        row("ramp: pixels with another count", wrong, 0, 0, "of 1,000"),
        row("ramp: largest error of a stamp", late_us, 0, 0.5 + 1e-6, "us"),
    ]


def sine() -> list[Row]:
    """L = -3 + sin at 50 Hz, theta 0.3, 20 us frames: per period 6 crossings up and 6 down, then at arcsin(level)."""
    t_us = np.arange(0, 20_001, 20)
    params = DvsParams(theta_on=0.3, theta_off=0.3)
    events = joined(run((-3 + np.sin(2 * np.pi * t_us / 20_000)).reshape(-1, 1, 1, 1), t_us, params))
    levels = [0.3, 0.6, 0.9, 0.6, 0.3, 0.0, -0.3, -0.6, -0.9, -0.6, -0.3]
    up = np.arcsin(levels)
    phase = np.concatenate([up[:3], (np.pi - up)[3:9], 2 * np.pi + up[9:]])
    error = float(np.abs(events.t_us[:11] - phase / (2 * np.pi) * 20_000).max()) if len(events) >= 11 else np.inf
    return [row("sine: largest error of a crossing", error, 0, 3, "us")]


def static(dead_us: int = 10_000, rate_hz: float = 20.0) -> list[Row]:
    """32 x 32 pixels that look at one radiance for a second."""
    logs, t_us = np.full((21, 1, 32, 32), -0.7), np.arange(21) * 50_000
    quiet = DvsParams(theta_sigma=0.03, refractory_us=500, cutoff_hz=100)
    noisy = DvsParams(shot_noise_hz=rate_hz, refractory_us=dead_us)
    leaking = DvsParams(leak_hz=10, theta_sigma=0.03)
    found = joined(run(logs, t_us, noisy))
    expected = rate_hz / (1 + rate_hz * dead_us * 1e-6)
    order = np.lexsort((found.t_us, found.x, found.y))
    same = (np.diff(found.x[order].astype(int)) == 0) & (np.diff(found.y[order].astype(int)) == 0)
    gap_us = int(np.diff(found.t_us[order])[same].min())
    return [
        row("static scene without noise", len(joined(run(logs, t_us, quiet))), 0, 0, "events"),
        row("shot noise with dead time", len(found) / 1024, expected, 5 * (expected / 1024) ** 0.5, "Hz a pixel"),
        row("shot noise: share of ON", float(found.p.mean()), 0.5, 0.02, ""),
        row("dead time: shortest gap below it", max(dead_us - gap_us, 0), 0, 0, "us"),
        row("leak", len(joined(run(logs, t_us, leaking))) / 1024, 10, 0.5, "Hz a pixel"),
    ]


def step_response() -> list[Row]:
    """A jump of 3 in ln within 1 us, read every tau / 50; theta 0.01 makes events a fine ruler."""
    rows = []
    for cutoff_hz in (30.0, 100.0, 300.0):
        tau_us = 1e6 / (2 * np.pi * cutoff_hz)
        t_us = np.concatenate([[0, 1], 1 + np.arange(1, 401) * tau_us / 50]).astype(np.int64)
        logs = np.where(t_us == 0, -4.0, -1.0).reshape(-1, 1, 1, 1)
        events = joined(run(logs, t_us, DvsParams(theta_on=0.01, cutoff_hz=cutoff_hz)))
        share = float((events.t_us <= tau_us).sum() / 300)
        rows.append(row(f"step response at tau, cutoff {cutoff_hz:g} Hz", share, 1 - np.exp(-1), 0.01, "of the jump"))
    return rows


def chunks() -> list[Row]:
    rng = np.random.default_rng(0)
    coarse, t_us = rng.uniform(-6, -0.1, (9, 2, 16, 16)), np.arange(9) * 1000
    share = np.array([0, 0.25, 0.5, 0.75])[:, None, None, None]
    fine = np.concatenate([*(a + share * (b - a) for a, b in pairwise(coarse)), coarse[-1:]])
    params = DvsParams(theta_sigma=0.03, refractory_us=700, leak_hz=20, leak_jitter=0.1)
    once, many = joined(run(coarse, t_us, params)), joined(run(fine, np.arange(33) * 250, params))
    rows = [row("frames inserted on the ramp: events more or fewer", len(many) - len(once), 0, 0, f"of {len(once):,}")]
    if len(once) == len(many):
        keys = [np.lexsort((e.t_us, e.x, e.y)) for e in (once, many)]
        shift = np.abs(once.t_us[keys[0]] - many.t_us[keys[1]])
        rows.append(row("frames inserted on the ramp: largest shift", float(shift.max()), 0, 1, "us"))
    together, alone = run(coarse, t_us, DvsParams()), run(coarse[:, 1:], t_us, DvsParams())
    mine = Events.concat([part.of(1) for part in together])
    other = joined(alone)
    differ = len(mine) != len(other) or not np.array_equal(mine.t_us, other.t_us)
    rows.append(row("second environment alone: differs", int(differ), 0, 0, ""))
    again = [joined(run(coarse, t_us, DvsParams(shot_noise_hz=50), seed=3)) for _ in range(2)]
    rows.append(row("same seed: differs", int(not np.array_equal(again[0].t_us, again[1].t_us)), 0, 0, ""))
    return rows


def ladder() -> list[Row]:
    return [found for rung in (ramps, sine, static, step_response, chunks) for found in rung()]
