"""Hindsight: random walks, each later pose taken as the goal that was reached. Needs no planner and no reward."""

from __future__ import annotations

import numpy as np
import torch

from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.closed_loop import ImageLatent
from spikeplan.worldmodel.policies.base import Pairs, PolicyConfig, PolicyRecipe, Report
from spikeplan.worldmodel.tasks import make_world

SPANS = (1, 2, 4, 8)  # steps between a pose and the pose that counts as its goal
HOLD = 4  # steps that a random action is held: walks of white noise go nowhere


def collect(model: WorldModel, config: PolicyConfig, rng: np.random.Generator, report: Report) -> Pairs:
    """(z[t], z[t + span]) -> a[t] of random walks, for every span."""
    world = make_world(model.task)
    encode = ImageLatent(world, model.encoder)
    n, steps = config.episodes, world.max_steps
    pose, layout = world.random_pose(n, rng)
    held = rng.uniform(-world.action_limit, world.action_limit, (n, -(-steps // HOLD), world.action_dim))
    action_NTA = held.repeat(HOLD, 1)[:, :steps]
    latents = [encode(pose, layout)]
    for t in range(steps):
        pose = world.move(pose, action_NTA[:, t], layout)
        latents.append(encode(pose, layout))
        report("policy data", {"step": (t + 1) * n, "total_steps": n * steps})
    latent_NTD, action = torch.stack(latents, 1), torch.from_numpy(action_NTA).float()
    parts = [
        Pairs(
            latent_NTD[:, : steps + 1 - k].flatten(0, 1),
            latent_NTD[:, k:].flatten(0, 1),
            action[:, : steps + 1 - k].flatten(0, 1),
        )
        for k in SPANS
        if k <= steps
    ]
    return Pairs(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


POLICY = PolicyRecipe(name="hindsight", collect=collect)
