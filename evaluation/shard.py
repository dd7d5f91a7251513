"""One shard of one method: the unit of work that runs in a process of its own and can be resumed.

A job is data; `run_job` turns it into a ShardResult, which is a file of JSON. Episodes and noise depend only on (task, episode
seed, planner seed), so shards of different methods pair up exactly.
"""

from __future__ import annotations

import time
from functools import lru_cache
from inspect import signature

import numpy as np
import torch

from spikeplan.core.counts.operations import BYTES, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.job import EPISODE_SEED, KEY_LENGTH, MADE_BY, Job, shards
from spikeplan.evaluation.methods import METHODS, Site
from spikeplan.evaluation.rows.shard_result import ShardResult
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.planning import PLANNERS
from spikeplan.worldmodel.planning.base import Planner
from spikeplan.worldmodel.planning.checks import called, check_planner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, TrueLatent, random_policy, run_episodes
from spikeplan.worldmodel.planning.costs import Cost
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import Predictor
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.tasks.world import World

TAKEN = "predictor, config, action_dim=, action_limit=, reference=, op_counts="
__all__ = ["EPISODE_SEED", "KEY_LENGTH", "MADE_BY", "Job", "run_job", "shards"]


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
        policy_steps=predictor.policy_steps if isinstance(predictor, Pair) else None,
        value_steps=predictor.value_steps if isinstance(predictor, Pair) else None,
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

    Raises UserError for a method that plans nothing, for a predictor that the planner cannot use, for a planner that takes no
    cost but its own, and for a `make` that fails or returns no Planner.
    """
    if job.planner_name is None:
        raise UserError(f"method {job.method!r} plans nothing; choose another")
    name = job.planner_name
    make = PLANNERS[name].make
    expected = f"it is called as make({TAKEN}) and returns a Planner"
    with called(f"planner {name!r}: make", expected, ours=getattr(make, "__module__", "").startswith("spikeplan.")):
        taken = signature(make).parameters
        if cost is not None and "evaluator" not in taken and not any(p.kind is p.VAR_KEYWORD for p in taken.values()):
            raise UserError(
                f"planner {name!r} takes no cost, and {'task ' + repr(job.task) if job.cost is None else '--cost ' + job.cost} "
                "needs one; use cem, gradient, guided, integer_guided or refined"
            )
        planner = make(
            predictor,
            job.planner,
            action_dim=world.action_dim,
            action_limit=world.action_limit,
            reference=job.reference,
            op_counts=op_counts,
            **({} if cost is None else {"evaluator": cost}),
        )
    return check_planner(planner, name)


def try_planner(job: Job) -> None:
    """Makes the job's predictor, planner and cost once. Raises UserError for what does not go together."""
    world = make_world(job.task)
    cost = None if job.cost is None else task_cost(world, _latents(job, world), job.planner, job.cost)
    make_planner(job, make_predictor(job), world, None, cost)


def _latents(job: Job, world: World) -> ImageLatent | TrueLatent:
    """The latents that a job plans on: of images, or the simulator's own state."""
    return ImageLatent(world, site_of(job).bundle.model.encoder) if METHODS[job.method].reads_files else TrueLatent()


@lru_cache(maxsize=64)
def _files_digest(task: str, method: str, checkpoint: str | None, artifact: str | None) -> str:
    bundle = bundle_of(task, checkpoint, artifact)
    return bundle.digest(METHODS[method].files(bundle))


def job_key(job: Job) -> str:
    """The name of a shard's result: its settings, the trained files it reads, and the code that makes it."""
    return job.key(_files_digest(job.task, job.method, job.checkpoint, job.artifact))


def run_job(job: Job, on_progress: OnProgress = no_progress) -> ShardResult:
    """Plan the shard's episodes: success, distances, operation counts and seconds.

    `on_progress` is in actions; it is called with 0 first, before the network is loaded and calibrated. Raises UserError for
    an unknown task or method, a damaged file, and a predictor that the method cannot use.

    >>> result = run_job(Job(task="two-room", method="dense", role="front", planner=CEMConfig(), episodes=10, count=10))
    >>> sum(result.success)
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
        latent_of = _latents(job, world)
        if method.reads_files:
            op_counts = make_op_counts(job, predictor, site_of(job).bundle.model.encoder)
            weights_left = predictor.weights_left()
        planner = make_planner(job, predictor, world, op_counts, task_cost(world, latent_of, job.planner, job.cost))
        outcome = run_episodes(
            world,
            latent_of,
            planner,
            episodes,
            seed=job.seed,
            noise_rows=(job.first, job.episodes),
            progress=acted,
            name=job.planner_name,
        )
    if not np.isfinite(outcome.distance_N).all():
        raise UserError(f"task {job.task!r}: a distance to the goal is not finite; its world must return finite poses")
    return ShardResult(
        job=job.settings,
        success=outcome.success_N.astype(int).tolist(),
        distance=[round(float(d), 5) for d in outcome.distance_N],
        poses=outcome.poses_NTP[:1].tolist() if job.keep_poses else None,
        op_counts=op_counts,
        weights_left=weights_left,
        seconds=time.perf_counter() - began,
    )


def damage(result: ShardResult, job: Job) -> str | None:
    """What keeps a stored result from being the whole result of this job; None: nothing."""
    method = METHODS[job.method]
    return result.damage(
        job=job.settings,
        episodes=job.count,
        poses=job.keep_poses,
        counted=job.method if method.reads_files else None,
        actions=job.count * make_world(job.task).max_steps,
    )


def one_thread() -> None:
    """One core per process beats two threads in one."""
    torch.set_num_threads(1)
