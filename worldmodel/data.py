"""Training clips drawn from a world: correlated random walks from random poses, rendered on the fly."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeplan.worldmodel.tasks.world import Array, World


class Clips(NamedTuple):
    """B clips of T frames. action in world units; pose kept for probes only, never trained on."""

    image_BTCHW: Tensor
    action_BTA: Tensor
    pose_BTP: Array


def draw_clips(world: World, batch: int, frames: int, rng: np.random.Generator) -> Clips:
    """A walk keeps a direction (uniform in the action box) and adds noise of half the limit."""
    pose, layout = world.random_pose(batch, rng)
    limit = world.action_limit
    heading = rng.uniform(-limit, limit, (batch, world.action_dim))
    poses, actions = [pose], []
    for _ in range(frames - 1):
        action = np.clip(heading + 0.5 * limit * rng.standard_normal(heading.shape), -limit, limit)
        pose = world.move(pose, action, layout)
        poses.append(pose)
        actions.append(action)
    pose_BTP = np.stack(poses, 1)
    image = world.render(pose_BTP.reshape(batch * frames, -1), np.repeat(layout, frames, 0))
    return Clips(
        torch.from_numpy(image).unflatten(0, (batch, frames)),
        torch.from_numpy(np.stack(actions, 1)).float(),
        pose_BTP,
    )
