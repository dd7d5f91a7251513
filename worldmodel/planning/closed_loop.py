"""Run paired episodes: image -> latent -> CEM -> action -> world, many episodes in one call.

Pairing: the noise of control step t depends only on (seed, t) and on the episode's number, never on the arm or on how
episodes are split into blocks. Blocks keep a block's activations inside the cache.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.worldmodel.encoder import Encoder
from spikeplan.worldmodel.planning.base import Planner
from spikeplan.worldmodel.planning.checks import Checked
from spikeplan.worldmodel.planning.costs import Goal
from spikeplan.worldmodel.tasks.places import check_places
from spikeplan.worldmodel.tasks.world import Array, Episodes, KeepOut, World

Progress = Callable[[int], None]


class Outcome(NamedTuple):
    """N episodes: distance to the goal after the last step, success, the poses along the way, and which episodes entered no
    place to keep out of (all of them where there is none). Success is a goal reached by a clean path."""

    distance_N: Array
    success_N: NDArray[np.bool_]
    poses_NTP: Array
    actions_NTA: Array
    clean_N: NDArray[np.bool_]


class ImageLatent:
    """Latents from rendered images through the dense encoder."""

    def __init__(self, world: World, encoder: Encoder) -> None:
        self.world, self.encoder = world, encoder.eval()

    @torch.no_grad()
    def __call__(self, pose_NP: Array, layout_NL: Array) -> Tensor:
        latent: Tensor = self.encoder(torch.from_numpy(self.world.render(pose_NP, layout_NL)))
        return latent

    def counts(self, images: int) -> LayerCounts:
        return LayerCounts(layer="encoder", macs=self.encoder.macs() * images)


class TrueLatent:
    """Oracle: the latent is [pose, layout]."""

    def __call__(self, pose_NP: Array, layout_NL: Array) -> Tensor:
        return torch.from_numpy(np.concatenate([pose_NP, layout_NL], 1)).float()

    def counts(self, images: int) -> LayerCounts:
        return LayerCounts(layer="encoder")


def goals_of(world: World, latent_of: ImageLatent | TrueLatent, goal_NP: Array, layout_NL: Array) -> Goal:
    """Latents of what a plan is for: the goals, and the images of places to keep out of where the world has them."""
    goal_ND = latent_of(goal_NP, layout_NL)
    if not isinstance(world, KeepOut):
        return Goal(goal_ND)
    poses_NKP = world.keep_out_poses(layout_NL)
    n, k, _ = poses_NKP.shape
    latents = latent_of(poses_NKP.reshape(n * k, -1), layout_NL.repeat(k, 0))
    return Goal(goal_ND, latents.unflatten(0, (n, k)))


def step_generator(seed: int, step: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence([seed, step]).generate_state(1)[0]))


def block_of(planner: Planner) -> int:
    """Episodes planned in one call: as many rows as run fastest when every core is busy (measured; a spiking network
    keeps several arrays a layer, so its best block is smaller)."""
    rows = 512 if planner.predictor.spiking else 1024
    return max(1, rows // int(planner.config.samples))


def run_episodes(
    world: World,
    latent_of: ImageLatent | TrueLatent,
    planner: Planner,
    episodes: Episodes,
    *,
    seed: int,
    block: int | None = None,
    noise_rows: tuple[int, int] | None = None,
    progress: Progress | None = None,
    record: Callable[[int, slice, Tensor, Tensor, Any], None] | None = None,
    name: str | None = None,
) -> Outcome:
    """Plan and act for N episodes, from their starts to the world's last step.

    Args:
        latent_of: poses and layouts -> latents (B, D); `ImageLatent(world, encoder)` renders and encodes.
        planner: dense or spiking; its operation counts grow.
        episodes: starts, goals and layouts, from `world.sample`.
        seed: of the planner's noise.
        block: episodes planned in one call; None: as many as run fastest.
        noise_rows: (first row, total rows) when these episodes are a shard of a larger set.
        progress: called with the number of actions done.
        record: `record(step, episodes, latent, goal, trace)` sees every plan, with candidates and latents.
        name: of the planner, for messages; None: its class.

    Raises UserError for no episode, for one whose places to keep out of cannot be kept out of, where a latent or cost is not
    finite, and where the planner returns another shape than noise of a row an episode, action (B, A) and mean (B, V, A).

    >>> episodes = world.sample(100, np.random.default_rng(0))
    >>> run_episodes(world, ImageLatent(world, model.encoder), planner, episodes, seed=0).success_N.mean()
    """
    n = len(episodes.start_NP)
    block = block or block_of(planner)
    if n < 1:
        raise UserError(f"{n} episodes: at least one is needed")
    offset, total = noise_rows or (0, n)
    rows = slice(offset, offset + n)
    check_places(world, episodes, first=offset)
    checked = Checked(planner, action_dim=world.action_dim, name=name)
    noise_TNSVA = [checked.noise(total, step_generator(seed, t))[rows].clone() for t in range(world.max_steps)]
    clean = np.ones(n, bool)
    poses = np.zeros((n, world.max_steps + 1, world.pose_dim))
    actions = np.zeros((n, world.max_steps, world.action_dim))
    for first in range(0, n, block):
        part = slice(first, min(first + block, n))
        start, goal, layout = episodes.take(part)
        pose, warm = start.copy(), None
        poses[part, 0] = pose
        wanted = goals_of(world, latent_of, goal, layout)
        goal_z = wanted if wanted.places else wanted.goal_BD  # a planner that knows no other goal gets a latent
        if planner.op_counts is not None:
            planner.op_counts.add("encoder", latent_of.counts((1 + wanted.places) * len(goal)))
        for step in range(world.max_steps):
            z = latent_of(pose, layout)
            action, warm, trace = checked.plan(z, goal_z, noise_TNSVA[step][part], warm, record=record is not None)
            if record is not None:
                record(step, part, z, wanted.goal_BD, trace)
            before, pose = pose, world.move(pose, action.numpy().astype(np.float64), layout)
            if isinstance(world, KeepOut):
                clean[part] &= ~world.violated(before, pose, layout)
            poses[part, step + 1], actions[part, step] = pose, action.numpy()
            if planner.op_counts is not None:
                planner.op_counts.actions += len(pose)
                planner.op_counts.add("encoder", latent_of.counts(len(pose)))
                planner.op_counts.add_host_words("latents", 2 * z.numel())
            if progress is not None:
                progress(len(pose))
    distance = world.distance(poses[:, -1], episodes.goal_NP)
    return Outcome(distance, (distance <= world.tolerance) & clean, poses, actions, clean)


def random_policy(
    world: World, episodes: Episodes, *, rng: np.random.Generator, noise_rows: tuple[int, int] | None = None
) -> Outcome:
    """The floor: uniform random actions. `noise_rows` as in `run_episodes`."""
    pose = episodes.start_NP
    offset, total = noise_rows or (0, len(pose))
    shape = (total, world.max_steps, world.action_dim)
    actions = rng.uniform(-world.action_limit, world.action_limit, shape)[offset : offset + len(pose)]
    poses, clean = [pose], np.ones(len(pose), bool)
    for step in range(world.max_steps):
        before, pose = pose, world.move(pose, actions[:, step], episodes.layout_NL)
        poses.append(pose)
        if isinstance(world, KeepOut):
            clean &= ~world.violated(before, pose, episodes.layout_NL)
    distance = world.distance(pose, episodes.goal_NP)
    return Outcome(distance, (distance <= world.tolerance) & clean, np.stack(poses, 1), actions, clean)
