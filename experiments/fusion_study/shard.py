"""The unit of work of `spikeplan fusion`: one film of a shard of episodes, every condition and method on it.

Films are the expensive part, and conditions that differ in frames only (drops, latency, blur) share one. Episodes, sensor
noise, starts and planner noise depend on (seed, shard) alone: methods are paired exactly.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeplan.core.digest import code_digest
from spikeplan.core.files import write_whole
from spikeplan.evaluation.shard import EPISODE_SEED
from spikeplan.fusion.checkpoint import TASK, FuseBundle, load_fusion
from spikeplan.fusion.estimators import METHODS, Estimators, Extrapolation, tip_error
from spikeplan.fusion.following import CONTROL_STEPS, CONTROL_TICKS, WARM_TICKS, Floats, control_ticks, follow
from spikeplan.fusion.streams import (
    TICK_MS,
    Condition,
    Film,
    Stream,
    arrivals,
    draw_paths,
    encode,
    film,
    sensor_noise,
    views,
)
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.train import VALIDATION_SEED

FILM_BLOCK = 8  # environments whose pixels stay in the cache: halves the time of 25 at once
START_OFFSET = 0.3  # rad a joint between robot and leader when the robot starts
TICKS = WARM_TICKS + CONTROL_TICKS * CONTROL_STEPS
BINS_S = (0.0, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 9.0)  # time since the newest known frame's middle
UNTOUCHED = ("events", "1 kHz frames", "oracle")  # by drops, blur and latency of the 30 Hz frames


@dataclass(frozen=True, kw_only=True)
class Part:
    """Episodes first .. first + count; conditions share speed and light. More episodes leave these as they are."""

    conditions: tuple[Condition, ...]
    first: int
    count: int
    seed: int = 0
    validation: bool = False
    methods: tuple[str, ...] = METHODS


@lru_cache(maxsize=2)
def bundle_of(folder: str | None) -> FuseBundle:
    return load_fusion(None if folder is None else Path(folder))


def film_of(part: Part, folder: str | None) -> Film:
    """The part's film, from `folder` where it was made before: it depends on no network."""
    base = VALIDATION_SEED if part.validation else EPISODE_SEED
    one = part.conditions[0]
    exposures = tuple(sorted({condition.exposure_ms for condition in part.conditions}))
    asked = [one.speed, one.light, exposures, part.first, part.count, part.seed, base]
    path = None if folder is None else Path(folder) / f"film-{film_digest(json.dumps(asked))}.npz"
    if path is not None and path.exists():
        with np.load(path) as kept:
            exposed = {ms: kept[f"exposed_{ms}"].astype(np.float32) for ms in exposures}
            return Film(kept["pose"], kept["counts"], kept["events"], kept["begin"], exposed)
    paths = draw_paths(part.count, np.random.default_rng([base, 20, part.first]))
    pose = paths.at(np.arange(TICKS * TICK_MS + 1) / 1000, one.speed)
    rng = np.random.default_rng([base, 21, part.seed, part.first])
    made = film(make_world(TASK), pose, one.light, exposures, rng, block=FILM_BLOCK)
    if path is not None:
        frames = {f"exposed_{ms}": made.exposed[ms] for ms in exposures}
        columns: dict[str, Any] = {
            "pose": made.pose_NKP,
            "counts": made.counts_NKHW,
            "events": made.events_NK,
            "begin": made.begin_NF,
            **frames,
        }
        write_whole(path, lambda target: np.savez(target, **columns))
    return made


@lru_cache(maxsize=64)
def film_digest(asked: str) -> str:
    """Of what was asked for and of the code that films."""
    return hashlib.sha256((asked + code_digest("fusion", "eventdata", "worldmodel")).encode()).hexdigest()[:24]


def film_part(part: Part, folder: str) -> None:
    torch.set_num_threads(1)
    film_of(part, folder)


def clean_latents(bundle: FuseBundle, pose_NKP: Floats) -> torch.Tensor:
    """Of the view at the start and at the control ticks; NaN elsewhere, where nobody asks (an encoding takes 1 ms)."""
    asked = np.concatenate([[0], control_ticks()])
    asked = asked[asked < pose_NKP.shape[1]]
    latent = encode(bundle.model.encoder, views(bundle.world, pose_NKP[:, asked]))
    found = torch.full((*pose_NKP.shape[:2], latent.shape[-1]), float("nan"))
    found[:, asked] = latent
    return found


def stream_of(
    bundle: FuseBundle,
    part: Part,
    condition: Condition,
    made: Film,
    truth: torch.Tensor,
    encoded: dict[int, torch.Tensor] | None = None,
) -> Stream:
    """What the estimators get: noise and drops are those of the seed. `encoded` keeps frames by exposure: drops and
    latency change nothing in them."""
    base = VALIDATION_SEED if part.validation else EPISODE_SEED
    kept = {} if encoded is None else encoded
    if condition.exposure_ms not in kept:
        rng = np.random.default_rng([base, 22, part.seed, part.first])
        noisy = sensor_noise(made.exposed[condition.exposure_ms], condition.electrons, rng)
        kept[condition.exposure_ms] = encode(
            bundle.model.encoder, noisy, denoiser=bundle.denoiser, electrons=condition.electrons
        )
    lost = np.random.default_rng([base, 23, part.seed, part.first]).random(made.begin_NF.shape) < condition.drop
    ticks = truth.shape[1]
    latency = np.full((len(truth), 1), condition.latency_ms)
    middle = (made.begin_NF + condition.exposure_ms / 2) * 1e-3
    return Stream(
        kept[condition.exposure_ms],
        torch.from_numpy(middle).float(),
        torch.from_numpy(arrivals(made.begin_NF, condition.exposure_ms, latency, lost, ticks)),
        torch.full((len(truth),), float(np.log(condition.electrons))),
        torch.from_numpy(made.counts_NKHW).flatten(2).float(),
        truth,
    )


def since_frame(stream: Stream) -> Floats:
    """Age of the newest known frame at every tick, s; the start view counts as one of age tick. (N, K)"""
    n, ticks = stream.truth_NKD.shape[:2]
    arrives, middle = stream.arrives_NF.numpy(), stream.middle_s_NF.double().numpy()
    age = np.zeros((n, ticks))
    for k in range(ticks):
        known = (arrives >= 0) & (arrives <= k)
        age[:, k] = k * TICK_MS * 1e-3 - np.where(known, middle, 0.0).max(1)
    return age


def tune_part(part: Part, parts: str | None, folder: str | None) -> dict[str, Any]:
    """Validation: the extrapolations of both constant-velocity methods, a condition."""
    torch.set_num_threads(1)
    bundle = bundle_of(folder)
    estimators = Estimators(bundle)
    made = film_of(part, parts)
    truth, pose = clean_latents(bundle, made.pose_NKP), made.pose_NKP
    found: dict[str, Any] = {}
    encoded: dict[int, torch.Tensor] = {}
    for condition in part.conditions:
        stream = stream_of(bundle, part, condition, made, truth, encoded)
        found[condition.name] = {
            method: {"how": list(how), "error": round(error, 5)}
            for method in ("cv-latent", "cv-pose")
            for how, error in [estimators.tune(method, stream, pose, WARM_TICKS)]
        }
    return found


def run_part(part: Part, tuned: dict[str, Any], parts: str | None, folder: str | None) -> dict[str, Any]:
    """`parts`: where films are kept; `folder`: of the networks."""
    torch.set_num_threads(1)
    bundle = bundle_of(folder)
    estimators = Estimators(bundle)
    made = film_of(part, parts)
    truth, pose = clean_latents(bundle, made.pose_NKP), made.pose_NKP
    rng = np.random.default_rng([EPISODE_SEED, 24, part.seed, part.first])
    start = pose[:, WARM_TICKS] + rng.uniform(-START_OFFSET, START_OFFSET, (len(pose), pose.shape[2]))
    goals, half = control_ticks(), CONTROL_STEPS // 2
    found: dict[str, Any] = {}
    encoded: dict[int, torch.Tensor] = {}
    same: dict[
        str, tuple[dict[str, Any], Floats]
    ] = {}  # methods that see nothing of what conditions of one film change
    for condition in part.conditions:
        stream = stream_of(bundle, part, condition, made, truth, encoded)
        bins = np.digitize(since_frame(stream)[:, WARM_TICKS:], BINS_S[1:-1])
        rows: dict[str, Any] = {}
        for method in part.methods:
            if method not in same:
                how = (
                    Extrapolation(*tuned[condition.name][method]["how"])
                    if method.startswith("cv-")
                    else Extrapolation()
                )
                estimate = estimators.estimate(method, stream, pose, how, goals)
                error = tip_error(bundle.world, estimate.pose_NKP, pose)[:, WARM_TICKS:]
                followed = follow(
                    bundle.world,
                    bundle.model.predictor,
                    bundle.fused.cell.body,
                    estimate.goal_NJD,
                    pose,
                    start,
                    seed=[part.seed, part.first],
                )
                row = {
                    "state_error": error.mean(1).round(6).tolist(),
                    "latent_error": [
                        round(float(v), 6) for v in (estimate.goal_NJD - truth[:, goals]).abs().mean((1, 2))
                    ],
                    "distance": followed.distance_NJ[:, half:].mean(1).round(6).tolist(),
                    "distance_late": followed.late_NJ[:, half:].mean(1).round(6).tolist(),
                }
                if method in UNTOUCHED:
                    same[method] = row, error
            else:
                row, error = same[method]
            count = [int((bins == b).sum()) for b in range(len(BINS_S) - 1)]
            total = [round(float(error[bins == b].sum()), 5) for b in range(len(BINS_S) - 1)]
            rows[method] = {**row, "bin_sum": total, "bin_count": count}
        found[condition.name] = {
            "methods": rows,
            "seconds": (truth.shape[1] - 1) * TICK_MS * 1e-3 * len(truth),
            "events": int(made.events_NK.sum()),
            "frames": int((stream.arrives_NF >= 0).sum()),
            "spiking": [asdict(count) for count in estimators.spiking.counts],
        }
    return found
