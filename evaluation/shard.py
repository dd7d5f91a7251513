"""One shard of one method: the unit of work that runs in a process of its own and can be resumed.

A job is data; `run_job` turns it into a JSON-able result. Episodes and noise depend only on (task, episode seed, planner
seed), so shards of different methods pair up exactly.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spikeplan.conversion import Calibration
from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.evaluation.bundle import DELTA_METHODS, OWN_DENSE_METHODS, PRUNED_METHODS, Bundle, load_bundle
from spikeplan.evaluation.recorded_plans import RECORD_SEED, record_plans
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.lif import LIFPredictor
from spikeplan.worldmodel.int8 import Int8Predictor
from spikeplan.worldmodel.planning.cem import CEMConfig, CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, Progress, TrueLatent, random_policy, run_episodes
from spikeplan.worldmodel.planning.integer_cem import IntegerCEM
from spikeplan.worldmodel.predictor import DensePredictor, Predictor, TrueStatePredictor
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.tasks.world import World

METHODS = ("random", "oracle", "dense", "int8", "delta", "lif", "lava")
KEY_LENGTH = 24
COST = {
    "dense": 1.0,
    "int8": 1.05,
    "zero-skip": 1.1,
    **dict.fromkeys(PRUNED_METHODS, 1.05),
    "delta": 1.6,
    "delta-mad": 1.6,
    "integer": 1.8,
    "lif": 5.8,
    "random": 0.0,
    "oracle": 0.1,
}
EPISODE_SEED = 1_000_000  # reported episodes; validation uses spikeplan.worldmodel.train.VALIDATION_SEED


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Of the code that plans and counts: a cached result is void when it changes."""
    root = Path(__file__).parent.parent
    rooms = ("core", "worldmodel", "snn", "conversion")
    files = [Path(__file__), *(path for room in rooms for path in sorted((root / room).rglob("*.py")))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Job:
    """`role` says what the result is for: headline, front or admission. `first`/`count`: the shard of `episodes`."""

    task: str
    method: str
    role: str
    planner: CEMConfig
    episodes: int
    first: int = 0
    count: int
    seed: int = 0
    reference: str = "zero"
    threshold: float | None = None
    checkpoint: str | None = None
    artifact: str | None = None
    keep_poses: bool = False

    def key(self, digest: str) -> str:
        text = json.dumps([asdict(self), digest, code_digest()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

    @property
    def weight(self) -> float:
        """Rough cost for the progress bar and for scheduling, in dense predictor passes."""
        return COST.get(self.method, 0.6) * self.planner.evaluations * self.count + 1.0


def shards(size: int, shard: int) -> list[tuple[int, int]]:
    return [(first, min(shard, size - first)) for first in range(0, size, shard)]


@lru_cache(maxsize=4)
def bundle_of(task: str, checkpoint: str | None, artifact: str | None) -> Bundle:
    return load_bundle(task, checkpoint=checkpoint, artifact=artifact)


@lru_cache(maxsize=4)
def calibration_of(task: str, checkpoint: str | None) -> Calibration:
    bundle = bundle_of(task, checkpoint, None)
    return record_plans(bundle.model, episodes=4, seed=RECORD_SEED, every=5).calibration()


def make_predictor(job: Job) -> Predictor:
    if job.method == "oracle":
        return TrueStatePredictor(make_world(job.task))
    bundle = bundle_of(job.task, job.checkpoint, job.artifact)
    if job.method == "dense":
        return DensePredictor(bundle.model.predictor)
    if job.method in ("int8", "zero-skip", *OWN_DENSE_METHODS):
        data = calibration_of(job.task, job.checkpoint)
        module = bundle.narrow(job.method) if job.method in OWN_DENSE_METHODS else bundle.model.predictor
        return Int8Predictor(module, data.latent_ND, data.action_NA, zero_skip=job.method == "zero-skip")
    if job.method in DELTA_METHODS:
        return DeltaPredictor(bundle.delta(job.method).scaled(1.0 if job.threshold is None else job.threshold))
    if job.method == "lif":
        return LIFPredictor(bundle.lif)
    raise UserError(f"method {job.method!r} cannot plan; use one of {', '.join(a for a in METHODS if a != 'lava')}")


def make_op_counts(job: Job, predictor: Predictor) -> OperationCounts:
    steps = (1, 1)
    if isinstance(predictor, DeltaPredictor):
        steps = (len(predictor.network.layers), 1)
    if isinstance(predictor, LIFPredictor):
        t = predictor.network.config.time_steps
        steps = (t + 3, t)
    return OperationCounts(
        method=job.method,
        reference=job.reference if predictor.spiking else "zero",
        precision=predictor.precision,
        spiking=predictor.spiking,
        sequential_steps=steps[0],
        interleaved_steps=steps[1],
    )


def make_planner(
    job: Job, predictor: Predictor, world: World, op_counts: OperationCounts | None
) -> CEMPlanner | IntegerCEM:
    settings: dict[str, Any] = {
        "action_dim": world.action_dim,
        "action_limit": world.action_limit,
        "reference": job.reference,
        "op_counts": op_counts,
    }
    if job.method == "integer":
        assert isinstance(predictor, DeltaPredictor)
        return IntegerCEM(predictor, job.planner, **settings)
    return CEMPlanner(predictor, job.planner, spread="mad" if job.method == "delta-mad" else "std", **settings)


def run_job(job: Job, progress: Progress | None = None) -> dict[str, Any]:
    """Plan the shard's episodes; success, distances and operation counts."""
    world = make_world(job.task)
    part = slice(job.first, job.first + job.count)
    episodes = world.sample(job.episodes, np.random.default_rng(EPISODE_SEED)).take(part)
    began = time.perf_counter()
    dump: dict[str, Any] | None = None
    if job.method == "random":
        rng = np.random.default_rng([EPISODE_SEED, job.seed])
        outcome = random_policy(world, episodes, rng=rng, noise_rows=(job.first, job.episodes))
    else:
        predictor = make_predictor(job)
        op_counts = make_op_counts(job, predictor)
        planner = make_planner(job, predictor, world, None if job.method == "oracle" else op_counts)
        latent_of = (
            TrueLatent()
            if job.method == "oracle"
            else ImageLatent(world, bundle_of(job.task, job.checkpoint, job.artifact).model.encoder)
        )
        outcome = run_episodes(
            world, latent_of, planner, episodes, seed=job.seed, noise_rows=(job.first, job.episodes), progress=progress
        )
        dump = None if job.method == "oracle" else op_counts.dump()
    return {
        "job": asdict(job),
        "success": outcome.success_N.astype(int).tolist(),
        "distance": [round(float(d), 5) for d in outcome.distance_N],
        "poses": outcome.poses_NTP[:1].tolist() if job.keep_poses else None,
        "op_counts": dump,
        "seconds": time.perf_counter() - began,
    }


def one_thread() -> None:
    """One core per process beats two threads in one."""
    torch.set_num_threads(1)
