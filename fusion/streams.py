"""What is seen of a moving leader: a second planar arm that does not react to the robot, filmed once for all methods.

    scene(t)  = light * (AMBIENT + (1 - AMBIENT) * render(pose(t)))           rendered at 1 kHz
    frame     = mean of scene over the exposure; photon noise and READ_NOISE on FULL_ELECTRONS * exposure / 10 ms; then
                brought back to the encoder's scale (light and exposure are known to the camera)
    events    = spikeplan.eventdata.simulation.simulator on scene, cutoff CUTOFF_HZ * light, shot noise SHOT_HZ / light:
    a photoreceptor's
                bandwidth falls with its current; ON - OFF in cells, windows of TICK_MS that close EVENT_LATENCY_MS early
    pose(t)   = start + sum of three sinusoids a joint, 0.15 to 0.45 Hz, rms RMS_SPEED rad/s, all run `speed` times faster

Dark conditions expose for 30 ms (auto exposure): the frame camera is not denied its own remedy.
Assumed, not measured: FULL_ELECTRONS, CUTOFF_HZ, SHOT_HZ (about those of a 3 um pixel and a DVS pixel in dim indoor light).
Shapes: N episodes, T milliseconds, K ticks, F frames, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spikeplan.eventdata.simulation.simulator import DvsParams, start, step
from spikeplan.fusion.denoise import Denoiser
from spikeplan.snn.event_encoder import POOL
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.tasks.world import World

AMBIENT = 0.1
FULL_ELECTRONS = 2000.0  # of radiance 1 in 10 ms at light 1
READ_NOISE = 5.0  # electrons
CUTOFF_HZ = 2800.0
SHOT_HZ = 0.1
TICK_MS = 10
EVENT_LATENCY_MS = 2
FRAME_HZ = 30.0
RMS_SPEED = 0.25
BASE_SPEED = 4.0
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Condition:
    name: str
    speed: float = BASE_SPEED
    light: float = 1.0
    exposure_ms: int = 10
    drop: float = 0.0  # share of frames lost
    latency_ms: float = 5.0  # from the exposure's end to the frame's arrival

    @property
    def electrons(self) -> float:
        return FULL_ELECTRONS * self.light * self.exposure_ms / 10


CONDITIONS = (
    Condition(name="nominal"),
    Condition(name="speed x1", speed=1.0),
    Condition(name="speed x2", speed=2.0),
    Condition(name="speed x8", speed=8.0),
    Condition(name="blur 30 ms", exposure_ms=30),
    Condition(name="light 1/16", light=1 / 16, exposure_ms=30),
    Condition(name="light 1/64", light=1 / 64, exposure_ms=30),
    Condition(name="drop 25 %", drop=0.25),
    Condition(name="drop 50 %", drop=0.5),
    Condition(name="drop 75 %", drop=0.75),
    Condition(name="latency 20 ms", latency_ms=20.0),
    Condition(name="latency 50 ms", latency_ms=50.0),
)


class Paths(NamedTuple):
    """Leaders of N episodes at speed 1."""

    start_NP: Floats
    size_NPS: Floats
    hertz_NPS: Floats
    phase_NPS: Floats

    def at(self, t_s: Floats, speed: float) -> Floats:
        """(N, T, P)"""
        angle = 2 * np.pi * self.hertz_NPS[:, None] * (speed * t_s)[None, :, None, None] + self.phase_NPS[:, None]
        pose: Floats = self.start_NP[:, None] + (self.size_NPS[:, None] * np.sin(angle)).sum(-1)
        return pose

    def take(self, rows: slice) -> Paths:
        return Paths(*(part[rows] for part in self))


def draw_paths(n: int, rng: np.random.Generator) -> Paths:
    hertz = rng.uniform(0.15, 0.45, (n, 2, 3))
    share = rng.dirichlet(np.ones(3) * 2, (n, 2))
    size = RMS_SPEED * np.sqrt(2 * share) / (2 * np.pi * hertz)
    return Paths(rng.uniform(-np.pi, np.pi, (n, 2)), size, hertz, rng.uniform(0, 2 * np.pi, (n, 2, 3)))


class Film(NamedTuple):
    """N leaders filmed. `exposed[ms]`: noise-free frames in radiance of the encoder's scale."""

    pose_NKP: Floats  # at the ticks, tick 0 at t = 0
    counts_NKHW: NDArray[np.int8]  # ON - OFF of the window that ends at tick k; row 0 is empty
    events_NK: NDArray[np.int64]
    begin_NF: NDArray[np.int64]  # ms at which an exposure begins
    exposed: dict[int, NDArray[np.float32]]


def film(
    world: World,
    pose_NTP: Floats,
    light: float,
    exposures_ms: tuple[int, ...],
    rng: np.random.Generator,
    block: int = 32,
) -> Film:
    """Block by block, so that a block's pixels stay in the cache."""
    parts = [_film(world, pose_NTP[i : i + block], light, exposures_ms, rng) for i in range(0, len(pose_NTP), block)]
    pose, counts, events, begin = (np.concatenate([part[i] for part in parts]) for i in range(4))
    return Film(
        pose, counts, events, begin, {ms: np.concatenate([part.exposed[ms] for part in parts]) for ms in exposures_ms}
    )


def _film(
    world: World, pose_NTP: Floats, light: float, exposures_ms: tuple[int, ...], rng: np.random.Generator
) -> Film:
    n, t_end = len(pose_NTP), pose_NTP.shape[1] - 1
    size = world.image_shape[1]
    ticks, cells = t_end // TICK_MS, size // POOL
    params = DvsParams(theta_sigma=0.03, cutoff_hz=CUTOFF_HZ * light, shot_noise_hz=SHOT_HZ / light, refractory_us=500)
    period = 1000.0 / FRAME_HZ
    phase = rng.uniform(0, period, (n, 1))
    last = max(exposures_ms)
    begin = np.rint(phase + period * np.arange(int((t_end - last - period) // period))).astype(np.int64)
    exposed = {ms: np.zeros((n, begin.shape[1], size, size), np.float32) for ms in exposures_ms}
    counts = np.zeros((n, ticks + 1, cells * cells), np.int32)
    events = np.zeros((n, ticks + 1), np.int64)
    state = None
    for t in range(t_end + 1):
        image = views(world, pose_NTP[:, t])
        for ms, frames in exposed.items():
            for env, frame in zip(*np.nonzero((begin <= t) & (t < begin + ms)), strict=True):
                frames[env, frame] += image[env] / ms
        scene = (np.float32(light) * (AMBIENT + (1 - AMBIENT) * image)).astype(np.float32)
        if state is None:
            state = start(scene, 0, params, rng)
            continue
        state, batch = step(state, scene, t * 1000, params, rng)
        tick = -(-(t + EVENT_LATENCY_MS) // TICK_MS)
        if tick > ticks:
            continue
        cell = (batch.events.y // POOL).astype(np.int64) * cells + batch.events.x // POOL
        sign = np.where(batch.events.p, 1.0, -1.0)
        flat = np.bincount(batch.env * cells * cells + cell, sign, n * cells * cells)
        counts[:, tick] += flat.reshape(n, -1).astype(np.int32)
        events[:, tick] += np.bincount(batch.env, minlength=n)
    small = np.clip(counts, -127, 127).astype(np.int8).reshape(n, ticks + 1, cells, cells)
    return Film(pose_NTP[:, ::TICK_MS], small, events, begin, exposed)


def views(world: World, pose: Floats) -> NDArray[np.float32]:
    """Clean views, (..., P) -> (..., H, W); the arm's world has no layout."""
    flat = pose.reshape(-1, pose.shape[-1])
    image = world.render(flat, np.zeros((len(flat), 0)))[:, 0]
    return image.reshape(*pose.shape[:-1], *image.shape[1:])


def sensor_noise(image: NDArray[np.float32], electrons: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A frame as the camera gives it, in the encoder's scale."""
    mean = electrons * (AMBIENT + (1 - AMBIENT) * image)
    read = rng.poisson(mean) + READ_NOISE * rng.standard_normal(image.shape)
    return np.clip((read / electrons - AMBIENT) / (1 - AMBIENT), 0, 1).astype(np.float32)


@torch.no_grad()
def encode(
    encoder: Encoder, image: NDArray[np.float32], *, denoiser: Denoiser | None = None, electrons: float = 0.0
) -> torch.Tensor:
    """(..., H, W) -> (..., D); frames of a camera go through the denoiser, clean views do not."""
    flat = torch.from_numpy(image.reshape(-1, 1, *image.shape[-2:]))
    parts = []
    for part in flat.split(256):
        if denoiser is not None:
            part = denoiser(part, torch.full((len(part),), float(np.log(electrons))))
        parts.append(encoder(part))
    latent: torch.Tensor = torch.cat(parts).unflatten(0, image.shape[:-2])
    return latent


class Stream(NamedTuple):
    """What reaches an estimator: frame f of row n at tick `arrives`, or never (-1)."""

    frame_NFD: torch.Tensor
    middle_s_NF: torch.Tensor
    arrives_NF: torch.Tensor
    light: torch.Tensor  # (N,)
    event_NKE: torch.Tensor
    truth_NKD: torch.Tensor


def arrivals(
    begin_NF: NDArray[np.int64],
    exposure_ms: int,
    latency_ms: NDArray[np.float64],
    lost_NF: NDArray[np.bool_],
    ticks: int,
) -> NDArray[np.int64]:
    """Tick at which a frame is first known, -1 for never."""
    tick = np.ceil((begin_NF + exposure_ms + latency_ms) / TICK_MS).astype(np.int64)
    return np.where(lost_NF | (tick >= ticks), -1, tick)
