"""Relabelled: cloned, then rounds in which the policy acts and the planner says what it would have done there (DAgger).

A cloned policy meets states that the planner never visited; the planner's own action there is the missing datum.
Source: Ross, Gordon, Bagnell 2011 (arXiv 1011.0686).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, block_of, step_generator
from spikeplan.worldmodel.policies.base import GoalPolicy, Pairs, PolicyConfig, PolicyRecipe, Report
from spikeplan.worldmodel.policies.cloned import collect, planner_of
from spikeplan.worldmodel.tasks import make_world


@torch.no_grad()
def again(
    model: WorldModel, config: PolicyConfig, rng: np.random.Generator, report: Report, policy: GoalPolicy
) -> Pairs:
    """States that the policy visits, with the planner's first action in each. A plan starts cold: there is no plan before."""
    world, planner = make_world(model.task), planner_of(model)
    encode, seed = ImageLatent(world, model.encoder), int(rng.integers(2**31))
    episodes = world.sample(config.episodes, rng)
    pose, goal = episodes.start_NP, encode(episodes.goal_NP, episodes.layout_NL)
    latents: list[Tensor] = []
    labels: list[Tensor] = []
    block = block_of(planner)
    for step in range(world.max_steps):
        latent = encode(pose, episodes.layout_NL)
        noise = planner.noise(len(latent), step_generator(seed, step))
        planned = [
            planner.plan(latent[i : i + block], goal[i : i + block], noise[i : i + block])[0]
            for i in range(0, len(latent), block)
        ]
        latents.append(latent)
        labels.append(torch.cat(planned))
        pose = world.move(pose, policy(latent, goal).numpy().astype(np.float64), episodes.layout_NL)
        report("policy data", {"step": (step + 1) * len(latent), "total_steps": len(latent) * world.max_steps})
    return Pairs(torch.cat(latents), goal.repeat(world.max_steps, 1), torch.cat(labels))


POLICY = PolicyRecipe(name="relabelled", collect=collect, again=again)
