"""A DVS pixel array as a pure step function, over pixels and batched environments at once.

    L(t)   = ln(I + LOG_FLOOR), linear in t between frames (ESIM, Rebecq 2018, section 3.1)
    y(t)   = L after a first-order low-pass of `cutoff_hz`, exact at the frames, linear in t between them
    gap(t) = y - reference; a leak lets it rise by leak_hz * theta_on per second
    event    ON at gap = +theta_on, OFF at gap = -theta_off, or shot noise; then gap = 0 at t_event + refractory_us:
             held in reset the pixel sees nothing, and what it misses does not extend the hold
A linear change dL without dead time gives n = floor(|dL| / theta) events, each at its exact crossing, rounded to 1 us;
a frame inserted on the ramp changes nothing.

Differs from v2e: crossing times are continuous, dead time restarts only on emitted events, and the low-pass does not
depend on intensity. Thresholds ~ N(theta, theta_sigma) a pixel, at least THETA_MIN (v2e, Hu 2021: 0.2, 0.03, 0.01).
Units: radiance linear, 0 to 1; L, gap, theta in ln; t in us; rates in Hz a pixel. Shapes: (B, H, W), B environments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.eventdata.events import Events
from spikeplan.eventdata.recording import MAX_SIDE
from spikeplan.eventdata.simulation.glide import DvsState, FloatBHW, Glide, glide
from spikeplan.eventdata.simulation.noise import NoiseQueue, shot_noise

LOG_FLOOR = 1e-3  # ESIM's epsilon: keeps ln finite in the dark
THETA_MIN = 0.01
MAX_RATE_HZ = 1e4  # a pixel: far above any sensor's noise, and a step still fits into memory
BOUNDS = {
    "theta_on": (THETA_MIN, 1e3),
    "theta_off": (THETA_MIN, 1e3),
    "theta_sigma": (0, 1e3),
    "refractory_us": (0, 1e12),
    "leak_hz": (0, MAX_RATE_HZ),
    "leak_jitter": (0, 1e3),
    "shot_noise_hz": (0, MAX_RATE_HZ),
}


@dataclass(frozen=True, kw_only=True)
class DvsParams:
    theta_on: float = 0.2
    theta_off: float = 0.2
    theta_sigma: float = 0.0
    refractory_us: int = 0
    leak_hz: float = 0.0
    leak_jitter: float = 0.0  # spread of the leak rate between pixels, relative
    shot_noise_hz: float = 0.0
    cutoff_hz: float | None = None  # None: unlimited bandwidth

    def __post_init__(self) -> None:
        for name, (least, most) in BOUNDS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise UserError(f"DvsParams: {name} {value} must be in [{least:g}, {most:g}]")
        if self.cutoff_hz is not None and not 0 < self.cutoff_hz <= 1e9:
            raise UserError(f"DvsParams: cutoff_hz {self.cutoff_hz} must be in (0, 1e9]; None means unlimited")


class BatchEvents(NamedTuple):
    """Events of all environments in order of (env, t); `of(b)` are those of one."""

    env: NDArray[np.intp]
    events: Events

    def of(self, b: int) -> Events:
        first, last = np.searchsorted(self.env, (b, b + 1))
        return self.events[int(first) : int(last)]


def start(radiance_BHW: NDArray[np.float32], t_us: int, params: DvsParams, rng: np.random.Generator) -> DvsState:
    """A settled sensor that looks at `radiance_BHW`; draws the pixels' thresholds and leak rates."""
    log_BHW = _log_radiance(radiance_BHW)
    shape = log_BHW.shape
    theta_on, theta_off = (
        np.maximum(rng.normal(theta, params.theta_sigma, shape), THETA_MIN)
        for theta in (params.theta_on, params.theta_off)
    )
    leak_hz = params.leak_hz * np.maximum(1 + params.leak_jitter * rng.standard_normal(shape), 0)
    # A leaking pixel starts anywhere in its cycle; otherwise the whole array would fire at once.
    gap = rng.random(shape) * theta_on if params.leak_hz else np.zeros(shape)
    return DvsState(
        t_us=int(t_us),
        log_BHW=log_BHW,
        level_BHW=log_BHW,
        gap_BHW=gap,
        release_us_BHW=np.full(shape, t_us, np.int64),
        theta_on_BHW=theta_on,
        theta_off_BHW=theta_off,
        leak_hz_BHW=leak_hz,
    )


def step(
    state: DvsState, radiance_BHW: NDArray[np.float32], t_us: int, params: DvsParams, rng: np.random.Generator
) -> tuple[DvsState, BatchEvents]:
    """Advance to the frame at `t_us`; events are stamped in [state.t_us, t_us]. Random draws: shot noise only."""
    log_BHW = _log_radiance(radiance_BHW)
    if log_BHW.shape != state.log_BHW.shape:
        raise UserError(f"simulator: frame {log_BHW.shape} after frames of {state.log_BHW.shape}; keep one shape")
    if t_us <= state.t_us:
        raise UserError(f"simulator: frame at {t_us} us follows {state.t_us} us; stamps must increase")
    span_us = int(t_us) - state.t_us
    noise = shot_noise(log_BHW.size, params.shot_noise_hz, span_us, rng)
    return _emit(state, log_BHW, glide(state, log_BHW, span_us, params.cutoff_hz), span_us, noise, params.refractory_us)


def _emit(
    state: DvsState, log_BHW: FloatBHW, path: Glide, span_us: int, noise: NoiseQueue, refractory_us: int
) -> tuple[DvsState, BatchEvents]:
    """Follow each pixel's straight gap from event to event. One pass handles one event of every pixel still firing.

    Few pixels fire in a millisecond: only those that `glide` finds near a threshold and those with noise enter.
    """
    could = path.could
    could[noise.pixel] = True
    touched = np.flatnonzero(could)
    noise.start(touched)
    # from here on one row for each touched pixel
    theta_on, theta_off = state.theta_on_BHW.ravel()[touched], state.theta_off_BHW.ravel()[touched]
    gap, slope = state.gap_BHW.ravel()[touched], path.slope[touched]  # a gap is 0 in a pixel still held
    release_us = state.release_us_BHW.ravel()[touched]
    since_us = np.clip(release_us - state.t_us, 0, span_us).astype(np.float64)  # gap is known here, from state.t_us
    out: list[tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.bool_]]] = []
    live = np.arange(touched.size)
    while live.size:
        cross_us = since_us[live] + _time_to_cross(gap[live], slope[live], theta_on[live], theta_off[live])
        noise_us, noise_on = noise.next_after(live, since_us[live])
        event_us = np.minimum(cross_us, noise_us)
        fires = (event_us <= span_us) & (since_us[live] < span_us)
        live, event_us = live[fires], event_us[fires]
        is_noise = (noise_us < cross_us)[fires]
        stamp_us = np.rint(event_us).astype(np.int64)
        out.append((touched[live], stamp_us, np.where(is_noise, noise_on[fires], slope[live] > 0)))
        gap[live] = 0.0
        since_us[live] = np.minimum(stamp_us + refractory_us, span_us) if refractory_us else event_us
        release_us[live] = state.t_us + stamp_us + refractory_us
    path.gap[touched] = gap + slope * (span_us - since_us)
    release_all_us = state.release_us_BHW.flatten()
    release_all_us[touched] = release_us
    shape = log_BHW.shape
    new = state._replace(
        t_us=state.t_us + span_us,
        log_BHW=log_BHW,
        level_BHW=path.level.reshape(shape),
        gap_BHW=path.gap.reshape(shape),
        release_us_BHW=release_all_us.reshape(shape),
    )
    return new, _collect(out, shape, state.t_us)


def _time_to_cross(gap: FloatBHW, slope: FloatBHW, theta_on: FloatBHW, theta_off: FloatBHW) -> FloatBHW:
    """us until a straight gap meets the threshold it moves towards; inf where it does not move."""
    distance = np.where(slope > 0, theta_on - gap, theta_off + gap)
    still = slope == 0
    time_us = np.maximum(distance, 0.0) / np.where(still, 1.0, np.abs(slope))
    return np.where(still, np.inf, time_us)


def _collect(
    out: list[tuple[NDArray[np.intp], NDArray[np.int64], NDArray[np.bool_]]], shape: tuple[int, ...], t0_us: int
) -> BatchEvents:
    if not out:
        return BatchEvents(np.empty(0, np.intp), Events.empty())
    pixel, stamp_us, on = (np.concatenate(column) for column in zip(*out, strict=True))
    env, y, x = np.unravel_index(pixel, shape)
    order = np.lexsort((pixel, stamp_us, env))  # stable: events of one pixel in one us keep their order
    events = Events(x=x.astype(np.uint16), y=y.astype(np.uint16), t_us=t0_us + stamp_us, p=on)
    return BatchEvents(env[order], events[order])


def _log_radiance(radiance_BHW: NDArray[np.float32]) -> FloatBHW:
    if radiance_BHW.ndim != 3:
        raise UserError(f"simulator: radiance has shape {radiance_BHW.shape}; expected (B, H, W)")
    if max(radiance_BHW.shape[1:]) > MAX_SIDE:
        raise UserError(f"simulator: frames of {radiance_BHW.shape[1:]}; a sensor has at most {MAX_SIDE} pixels a side")
    if radiance_BHW.size and not (radiance_BHW.min() >= 0 and radiance_BHW.max() <= 1):  # NaN passes through min
        bad = ~((radiance_BHW >= 0) & (radiance_BHW <= 1))
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise UserError(
            f"simulator: radiance {radiance_BHW[where]} at {where} (env, y, x) is not in [0, 1]; give linear radiance"
        )
    return np.log(radiance_BHW.astype(np.float64) + LOG_FLOOR)
