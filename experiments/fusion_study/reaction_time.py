"""Reaction latency: a leader at constant speed turns round; when does the estimate's velocity follow?

Both joints run at TURN_SPEED rad/s and reverse at a moment drawn over one frame period. The estimate has followed at the
first tick at which its change over WINDOW_TICKS goes the new way with at least half the leader's speed; CENSORED_S if never.
The oracle's own latency is that of this definition: subtract it to compare sensors.
Shapes: N episodes, K ticks, P joints.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from spikeplan.evaluation.shard import EPISODE_SEED
from spikeplan.experiments.fusion_study.shard import Part, bundle_of, clean_latents, stream_of
from spikeplan.fusion.estimators import METHODS, Estimators, Extrapolation, wrap
from spikeplan.fusion.following import Floats
from spikeplan.fusion.streams import TICK_MS, Condition, film

TURN_SPEED = 1.0  # rad/s: the rms speed of x4
WINDOW_TICKS = 3
BEFORE_MS, AFTER_MS = 400, 400
CENSORED_S = AFTER_MS * 1e-3


def turning_paths(n: int, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """(poses at 1 kHz (N, T, P), moment of the turn in s (N,), new velocity (N, P))"""
    t_s = np.arange(BEFORE_MS + AFTER_MS + 41)[None, :, None] * 1e-3
    turn = (BEFORE_MS + rng.uniform(0, 34, (n, 1, 1))) * 1e-3
    velocity = TURN_SPEED * rng.choice([-1.0, 1.0], (n, 1, 2))
    pose = rng.uniform(-np.pi, np.pi, (n, 1, 2)) + velocity * (turn - np.abs(t_s - turn))
    return pose, turn[:, 0, 0], -velocity[:, 0]


def follows_s(pose_NKP: Floats, turn_s_N: Floats, velocity_NP: Floats) -> Floats:
    """Seconds from the turn until the estimate follows. (N,)"""
    step = wrap(pose_NKP[:, WINDOW_TICKS:] - pose_NKP[:, :-WINDOW_TICKS]) / (WINDOW_TICKS * TICK_MS * 1e-3)
    along = (step * np.sign(velocity_NP)[:, None]).mean(-1)  # both joints together
    at_s = np.arange(WINDOW_TICKS, pose_NKP.shape[1]) * TICK_MS * 1e-3
    good = (along >= 0.5 * TURN_SPEED) & (at_s[None] >= turn_s_N[:, None])
    first = np.where(good.any(1), at_s[good.argmax(1)] - turn_s_N, CENSORED_S)
    seconds: Floats = np.minimum(first, CENSORED_S)
    return seconds


def run_turn(condition: Condition, tuned: dict[str, Any], count: int, seed: int, folder: str | None) -> dict[str, Any]:
    """{method: latencies in s}"""
    torch.set_num_threads(1)
    bundle = bundle_of(folder)
    rng = np.random.default_rng([EPISODE_SEED, 30, seed])
    pose, turn, velocity = turning_paths(count, rng)
    pose = pose[:, : (pose.shape[1] - 1) // TICK_MS * TICK_MS + 1]
    made = film(bundle.world, pose, condition.light, (condition.exposure_ms,), rng)
    truth = clean_latents(bundle, made.pose_NKP)
    part = Part(conditions=(condition,), first=0, count=count, seed=seed)
    stream = stream_of(bundle, part, condition, made, truth)
    estimators = Estimators(bundle)
    found: dict[str, Any] = {}
    for method in METHODS:
        how = Extrapolation(*tuned[method]["how"]) if method in tuned else Extrapolation()
        estimate = estimators.estimate(method, stream, made.pose_NKP, how, np.zeros(1, np.int64))
        found[method] = follows_s(estimate.pose_NKP, turn, velocity).round(5).tolist()
    return found
