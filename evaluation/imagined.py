"""One episode with what its policy's copies imagined at every step: what a film of guided or refined planning shows.

Latents are turned into poses by a linear map that is fitted to poses drawn at random: what the model imagines, not what the
world would do.
Shapes: T control steps, S copies, H imagined steps, P pose, D latent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.evaluation.rows import EpisodeRow
from spikeplan.evaluation.shard import EPISODE_SEED, Job, make_planner, make_predictor, site_of
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.planning.guided import GuidedTrace
from spikeplan.worldmodel.planning.refined import RefinedTrace
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.tasks.world import Array

DRAWS = 2000
SHOWN = 8  # copies; more hide each other
DIGITS = 3


def imagined_episode(job: Job) -> EpisodeRow:
    """The first reported episode, planned by the job's method.

    Raises UserError for a planner that lets no policy imagine.

    >>> row = imagined_episode(Job(task="keep-out", method="guided", role="film", planner=GuidedConfig(), episodes=1, count=1))
    >>> row.imagined[0][0]  # poses of copy 0 at the first control step
    """
    world = make_world(job.task)
    latent_of = ImageLatent(world, site_of(job).bundle.model.encoder)
    cost = task_cost(world, latent_of, job.planner, job.cost)
    planner = make_planner(job, make_predictor(job), world, None, cost)
    episode = world.sample(job.episodes, np.random.default_rng(EPISODE_SEED)).take(slice(0, 1))
    traces: list[GuidedTrace] = []

    def keep(step: int, part: slice, latent: Tensor, goal: Tensor, trace: Any) -> None:
        if not isinstance(trace, GuidedTrace | RefinedTrace):
            raise UserError(f"method {job.method!r}: no policy imagines in it; use a guided or a refined one")
        traces.append(trace.guided if isinstance(trace, RefinedTrace) else trace)

    outcome = run_episodes(world, latent_of, planner, episode, seed=job.seed, noise_rows=(0, job.episodes), record=keep)
    latents_TSHD = torch.cat([trace.latents_BSHD for trace in traces])
    return EpisodeRow(
        task=job.task,
        method=job.method,
        poses=outcome.poses_NTP[0].tolist(),
        start=episode.start_NP[0].tolist(),
        goal=episode.goal_NP[0].tolist(),
        layout=episode.layout_NL[0].tolist(),
        success=bool(outcome.success_N[0]),
        imagined=_poses(latent_of, latents_TSHD[:, :SHOWN]).round(DIGITS).tolist(),
        winners=[int(trace.winner_B[0]) for trace in traces],
    )


def _poses(latent_of: ImageLatent, latents_TSHD: Tensor) -> Array:
    """(T, S, H, P), by least squares over random poses."""
    pose, layout = latent_of.world.random_pose(DRAWS, np.random.default_rng(0))
    known = latent_of(pose, layout).double().numpy()
    weight, *_ = np.linalg.lstsq(np.concatenate([known, np.ones((DRAWS, 1))], 1), pose, rcond=None)
    poses: Array = latents_TSHD.double().numpy() @ weight[:-1] + weight[-1]
    return poses
