"""The methods: what each makes of a leader's streams.

    frames        the newest frame that has arrived, held
    cv-latent     the same, moved on at constant velocity in the latent: z + gain * slope * min(age, cap)
    cv-pose       the same in decoded joints, then rendered and encoded again
    no-events     the fused latent's twin: same cell, trained as long, never given events
    events        the fused latent given no frame after the start
    fused         frames and events, dense event encoder
    fused-spiking frames and events, event encoder as its int8 sigma-delta artifact in the integer reference
    1 kHz frames  a noise-free, unblurred view EVENT_LATENCY_MS old at every tick: the upper bound of any sensor
    oracle        the leader's latent now

All start from the leader's view at tick 0. gain, cap and the number of frames of a slope are chosen a condition, on
validation episodes (`tune`): a baseline is given what suits it.
Shapes: N episodes, K ticks, F frames, D latent, P joints.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeplan.fusion.checkpoint import FuseBundle
from spikeplan.fusion.streams import EVENT_LATENCY_MS, TICK_MS, Stream, encode, views
from spikeplan.fusion.train import TICK_S, Fuser, tick
from spikeplan.snn.event_encoder import SpikingEventEncoder
from spikeplan.worldmodel.tasks.world import World

FRAME_ONLY = ("frames", "cv-latent", "cv-pose", "no-events")
METHODS = (*FRAME_ONLY, "events", "fused", "fused-spiking", "1 kHz frames", "oracle")
Floats = NDArray[np.float64]


class Extrapolation(NamedTuple):
    """gain x slope through the newest `frames` frames x min(age, cap)."""

    gain: float = 1.0
    cap_s: float = 0.3
    frames: int = 2


GRID = [Extrapolation(*point) for point in product((0.5, 0.75, 1.0), (0.05, 0.1, 0.2, 0.4), (2, 3))] + [
    Extrapolation(0.0)
]


def wrap(angle: Floats) -> Floats:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def newest(stream: Stream, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Indices of the newest `count` frames known at every tick, newest first, and whether there are so many. (N, K, count)"""
    arrives = stream.arrives_NF.numpy()
    n, k = stream.truth_NKD.shape[:2]
    index = np.zeros((n, k, count), np.int64)
    known = np.zeros((n, k, count), bool)
    for at in range(k):
        here = (arrives >= 0) & (arrives <= at)
        rank = np.cumsum(here[:, ::-1], 1)[:, ::-1] * here  # 1 for the newest
        for c in range(count):
            match = rank == c + 1
            index[:, at, c], known[:, at, c] = match.argmax(1), match.any(1)
    return index, known


Known = tuple[NDArray[np.int64], NDArray[np.bool_]]


def extrapolate(
    value_NFV: Floats, start_NV: Floats, stream: Stream, how: Extrapolation, *, angles: bool, found: Known
) -> Floats:
    """Constant velocity through the newest frames; with fewer than two, the newest is held. (N, K, V)"""
    index, known = found[0][..., : how.frames], found[1][..., : how.frames]
    n, ticks = index.shape[:2]
    rows = np.arange(n)[:, None, None]
    value = value_NFV[rows, index]  # (N, K, C, V)
    if angles:
        value = value[:, :, :1] + wrap(value - value[:, :, :1])
    when = stream.middle_s_NF.double().numpy()[rows, index]
    weight = known.astype(np.float64)
    count = np.maximum(weight.sum(-1, keepdims=True), 1)
    centre_t = when - (when * weight).sum(-1, keepdims=True) / count
    mean = (value * weight[..., None]).sum(2) / count
    spread = (weight * centre_t**2).sum(-1)[..., None]
    slope = (weight[..., None] * centre_t[..., None] * (value - mean[:, :, None])).sum(2) / np.maximum(spread, 1e-9)
    slope = np.where(known[..., 1:2], slope, 0.0)
    age = np.arange(ticks)[None] * TICK_S - when[..., 0]
    moved = value[:, :, 0] + how.gain * slope * np.minimum(np.maximum(age, 0), how.cap_s)[..., None]
    return np.where(known[..., :1], moved, start_NV[:, None])


class Estimate(NamedTuple):
    """The latents that become goals, at the control ticks J, and the pose at every tick."""

    goal_NJD: Tensor
    pose_NKP: Floats


class Estimators:
    """Everything trained, and the streams of one condition in; estimates out."""

    def __init__(self, bundle: FuseBundle) -> None:
        self.world, self.encoder, self.decoder = bundle.world, bundle.model.encoder, bundle.decoder
        self.fused, self.twin, self.spiking = bundle.fused, bundle.twin, SpikingEventEncoder(bundle.artifact)

    def estimate(
        self, method: str, stream: Stream, pose_NKP: Floats, how: Extrapolation, goals_J: NDArray[np.int64]
    ) -> Estimate:
        if method == "oracle":
            return Estimate(stream.truth_NKD[:, goals_J], pose_NKP)
        if method == "1 kHz frames":
            return self._seen(self._stale(pose_NKP), goals_J)
        if method == "cv-pose":
            pose = self.decoder.pose(stream.frame_NFD)
            start = self.decoder.pose(stream.truth_NKD[:, 0])
            found = newest(stream, max(2, how.frames))
            return self._seen(extrapolate(pose, start, stream, how, angles=True, found=found), goals_J)
        if method in ("frames", "cv-latent"):
            how = how if method == "cv-latent" else Extrapolation(0.0)
            value, start = stream.frame_NFD.double().numpy(), stream.truth_NKD[:, 0].double().numpy()
            found = newest(stream, max(2, how.frames))
            latent = torch.from_numpy(extrapolate(value, start, stream, how, angles=False, found=found)).float()
            return Estimate(latent[:, goals_J], self.decoder.pose(latent))
        if method == "events":
            stream = stream._replace(arrives_NF=torch.full_like(stream.arrives_NF, -1))
        fuser = self.twin if method == "no-events" else self.fused
        latent = self._recurrent(fuser, stream, spiking=method == "fused-spiking")
        return Estimate(latent[:, goals_J], self.decoder.pose(latent))

    def _seen(self, pose_NKP: Floats, goals_J: NDArray[np.int64]) -> Estimate:
        """A pose as a goal: rendered and encoded."""
        return Estimate(encode(self.encoder, views(self.world, pose_NKP[:, goals_J])), pose_NKP)

    def _stale(self, pose_NKP: Floats) -> Floats:
        """The pose EVENT_LATENCY_MS ago; its error holds no encoder's, as an upper bound may."""
        share = EVENT_LATENCY_MS / TICK_MS
        before = np.concatenate([pose_NKP[:, :1], pose_NKP[:, :-1]], 1)
        return pose_NKP * (1 - share) + before * share

    @torch.no_grad()
    def _recurrent(self, fuser: Fuser, stream: Stream, *, spiking: bool) -> Tensor:
        n, ticks = stream.truth_NKD.shape[:2]
        state = fuser.cell.begin(stream.truth_NKD[:, 0])
        latents = [state.latent_BD]
        seen = torch.ones(n, dtype=torch.bool) if fuser.events is not None else None
        if spiking:
            self.spiking.reset()
        for k in range(1, ticks):
            state = tick(fuser, state, stream, k, with_events=seen, encoding=self.spiking if spiking else None)
            latents.append(state.latent_BD)
        return torch.stack(latents, 1)

    def tune(self, method: str, stream: Stream, pose_NKP: Floats, from_tick: int) -> tuple[Extrapolation, float]:
        """The extrapolation with the least fingertip error on these (validation) episodes, and that error."""
        found = newest(stream, 3)
        angles = method == "cv-pose"
        value = self.decoder.pose(stream.frame_NFD) if angles else stream.frame_NFD.double().numpy()
        first = stream.truth_NKD[:, 0]
        start = self.decoder.pose(first) if angles else first.double().numpy()
        scored = []
        for how in GRID:
            moved = extrapolate(value, start, stream, how, angles=angles, found=found)
            pose = moved if angles else self.decoder.pose(torch.from_numpy(moved).float())
            scored.append((float(tip_error(self.world, pose, pose_NKP)[:, from_tick:].mean()), how))
        best = min(scored, key=lambda pair: pair[0])
        return best[1], best[0]


def tip_error(world: World, ours_NKP: Floats, true_NKP: Floats) -> Floats:
    """Fingertip of the estimate to the leader's, world units. (N, K)"""
    flat = world.distance(ours_NKP.reshape(-1, ours_NKP.shape[-1]), true_NKP.reshape(-1, true_NKP.shape[-1]))
    return flat.reshape(ours_NKP.shape[:2])
