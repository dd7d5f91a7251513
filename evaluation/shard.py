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
from inspect import signature
from typing import Any

import numpy as np
import torch

from spikeplan.core.counts.operations import BYTES, OperationCounts
from spikeplan.core.digest import code_digest
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import PlannerConfig
from spikeplan.core.progress import OnProgress, unheard
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.methods import METHODS, Site
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.planning import PLANNERS
from spikeplan.worldmodel.planning.base import Planner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, TrueLatent, random_policy, run_episodes
from spikeplan.worldmodel.planning.costs import Cost
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.predictor import Predictor
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.tasks.world import World

KEY_LENGTH = 24
EPISODE_SEED = 1_000_000  # reported episodes; validation uses spikeplan.worldmodel.train.VALIDATION_SEED


# Whatever can change a shard: how it is planned and counted, and how its calibration is recorded.
MADE_BY = ("worldmodel", "snn", "conversion", "evaluation")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One method on some episodes of one task: all that decides the result.

    Args:
        role: what the result is for: headline, front or admission.
        episodes: of the whole set, of which this shard plans `count` from `first` on.
        threshold: factor on the network's thresholds; None: as they are.
        with_planner: name of a planner in PLANNERS; None: the method's own.
        checkpoint, artifact: files other than the shipped ones.

    >>> job = Job(task="two-room", method="sigma_delta", role="front", planner=CEMConfig(), episodes=100, count=100)
    """

    task: str
    method: str
    role: str
    planner: PlannerConfig
    episodes: int
    first: int = 0
    count: int
    seed: int = 0
    reference: str = "zero"
    threshold: float | None = None
    checkpoint: str | None = None
    artifact: str | None = None
    keep_poses: bool = False
    with_planner: str | None = None

    def key(self, digest: str) -> str:
        """Name of the stored result: settings, `digest` of the trained files, and the code that makes it."""
        text = json.dumps([asdict(self), digest, code_digest(*MADE_BY)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]

    @property
    def planner_name(self) -> str | None:
        """The planner that runs; None for a method that plans nothing."""
        if self.with_planner is not None:
            return self.with_planner
        method = METHODS[self.method]
        return None if method.family == "floor" else method.planner

    @property
    def weight(self) -> float:
        """Rough cost for the progress bar and for scheduling, in dense predictor passes."""
        return METHODS[self.method].relative_cost * self.planner.evaluations * self.count + 1.0


def shards(size: int, shard: int) -> list[tuple[int, int]]:
    return [(first, min(shard, size - first)) for first in range(0, size, shard)]


@lru_cache(maxsize=4)
def bundle_of(task: str, checkpoint: str | None, artifact: str | None) -> Bundle:
    return load_bundle(task, checkpoint=checkpoint, artifact=artifact)


@lru_cache(maxsize=8)
def _site(task: str, checkpoint: str | None, artifact: str | None, threshold: float) -> Site:
    return Site(bundle_of(task, checkpoint, artifact), threshold)


def site_of(job: Job) -> Site:
    """The files of a job; kept, since calibration plans four episodes."""
    return _site(job.task, job.checkpoint, job.artifact, 1.0 if job.threshold is None else job.threshold)


def make_predictor(job: Job) -> Predictor:
    """The predictor of a job's method. Raises UserError for a method that has none."""
    return METHODS[job.method].predictor(site_of(job))


def make_op_counts(job: Job, predictor: Predictor, encoder: Encoder | None = None) -> OperationCounts:
    """Empty counts with what the predictor says of itself; with `encoder`, the bytes of all weights.

    The encoder runs in fp32 here but is charged in the method's own precision, MACs and bytes alike.
    """
    sequential, interleaved = predictor.pipeline_steps
    op_counts = OperationCounts(
        method=job.method,
        reference=job.reference if predictor.spiking else "zero",
        precision=predictor.precision,
        spiking=predictor.spiking,
        sequential_steps=sequential,
        interleaved_steps=interleaved,
    )
    if encoder is not None:
        parameters = sum(p.numel() for p in encoder.parameters())
        op_counts.set_memory("encoder", weight_bytes=BYTES[predictor.precision] * parameters, state_bytes=0)
        for layer, (weights, states) in predictor.memory().items():
            op_counts.set_memory(layer, weight_bytes=weights, state_bytes=states)
    return op_counts


def make_planner(
    job: Job, predictor: Predictor, world: World, op_counts: OperationCounts | None, cost: Cost | None = None
) -> Planner:
    """`cost`: the task's own, where it asks for more than to reach the goal.

    Raises UserError for a method that plans nothing, for a predictor that the planner cannot use, and for a planner that knows
    no cost but its own.
    """
    if job.planner_name is None:
        raise UserError(f"method {job.method!r} plans nothing; choose another")
    make = PLANNERS[job.planner_name].make
    taken = signature(make).parameters
    if cost is not None and "evaluator" not in taken and not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
        raise UserError(
            f"planner {job.planner_name!r} takes no cost, and task {job.task!r} has one; use cem, guided or refined"
        )
    return make(
        predictor,
        job.planner,
        action_dim=world.action_dim,
        action_limit=world.action_limit,
        reference=job.reference,
        op_counts=op_counts,
        **({} if cost is None else {"evaluator": cost}),
    )


@lru_cache(maxsize=64)
def _files_digest(task: str, method: str, checkpoint: str | None, artifact: str | None) -> str:
    bundle = bundle_of(task, checkpoint, artifact)
    return bundle.digest(METHODS[method].files(bundle))


def job_key(job: Job) -> str:
    """The name of a shard's result: its settings, the trained files it reads, and the code that makes it."""
    return job.key(_files_digest(job.task, job.method, job.checkpoint, job.artifact))


def run_job(job: Job, on_progress: OnProgress = unheard) -> dict[str, Any]:
    """Plan the shard's episodes: success, distances, operation counts and seconds, as a dict for JSON.

    `on_progress` is in actions; it is called with 0 first, before the network is loaded and calibrated. Raises UserError for
    an unknown task or method, a damaged file, and a predictor that the method cannot use.

    >>> row = run_job(Job(task="two-room", method="dense", role="front", planner=CEMConfig(), episodes=10, count=10))
    >>> sum(row["success"])
    """
    world = make_world(job.task)
    part = slice(job.first, job.first + job.count)
    episodes = world.sample(job.episodes, np.random.default_rng(EPISODE_SEED)).take(part)
    began = time.perf_counter()
    method = METHODS[job.method]
    done, actions = 0, job.count * world.max_steps

    def acted(number: int) -> None:
        nonlocal done
        done += number
        on_progress(done, actions)

    on_progress(0, actions)
    op_counts: OperationCounts | None = None
    weights_left: dict[str, int] = {}
    if method.family == "floor":
        rng = np.random.default_rng([EPISODE_SEED, job.seed])
        outcome = random_policy(world, episodes, rng=rng, noise_rows=(job.first, job.episodes))
    else:
        predictor = make_predictor(job)
        latent_of: ImageLatent | TrueLatent = TrueLatent()
        if method.reads_files:
            encoder = site_of(job).bundle.model.encoder
            latent_of, op_counts = ImageLatent(world, encoder), make_op_counts(job, predictor, encoder)
            weights_left = predictor.weights_left()
        planner = make_planner(job, predictor, world, op_counts, task_cost(world, latent_of, job.planner))
        outcome = run_episodes(
            world, latent_of, planner, episodes, seed=job.seed, noise_rows=(job.first, job.episodes), progress=acted
        )
    return {
        "job": asdict(job),
        "success": outcome.success_N.astype(int).tolist(),
        "distance": [round(float(d), 5) for d in outcome.distance_N],
        "poses": outcome.poses_NTP[:1].tolist() if job.keep_poses else None,
        "op_counts": None if op_counts is None else op_counts.dump(),
        "weights_left": weights_left,
        "seconds": time.perf_counter() - began,
    }


def one_thread() -> None:
    """One core per process beats two threads in one."""
    torch.set_num_threads(1)
