"""Cloned: what the dense planner did in episodes that it solved; in all of them where it solved none."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.base import Planner
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, goals_of, run_episodes
from spikeplan.worldmodel.policies.base import Pairs, PolicyConfig, PolicyRecipe, Report
from spikeplan.worldmodel.predictor import DensePredictor
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.tasks.world import Episodes, World


def planner_of(model: WorldModel) -> CEMPlanner:
    """The dense planner with the settings that the model was validated with."""
    world = make_world(model.task)
    return CEMPlanner(
        DensePredictor(model.predictor), model.planner, action_dim=world.action_dim, action_limit=world.action_limit
    )


def collect(model: WorldModel, config: PolicyConfig, rng: np.random.Generator, report: Report) -> Pairs:
    """What the dense planner did in episodes of the model's own task that it solved."""
    world, seed = make_world(model.task), int(rng.integers(2**31))
    episodes = world.sample(config.episodes, rng)
    latent_of = ImageLatent(world, model.encoder)
    return demonstrated(world, latent_of, planner_of(model), episodes, seed=seed, report=report)


def demonstrated(
    world: World,
    latent_of: ImageLatent,
    planner: Planner,
    episodes: Episodes,
    *,
    seed: int,
    report: Report,
    stage: str = "policy data",
) -> Pairs:
    """The pairs of every solved episode, its last step included; told of places to keep out of where the world has them."""
    latents: list[list[Tensor]] = []
    done = 0

    def record(step: int, part: slice, latent: Tensor, goal: Tensor, trace: Any) -> None:
        nonlocal done
        if step == 0:
            latents.append([])
        latents[-1].append(latent)
        done += len(latent)
        report(stage, {"step": done, "total_steps": len(episodes.start_NP) * world.max_steps})

    outcome = run_episodes(world, latent_of, planner, episodes, seed=seed, record=record)
    latent_NTD = torch.cat([torch.stack(block, 1) for block in latents])
    wanted = goals_of(world, latent_of, episodes.goal_NP, episodes.layout_NL)
    told_NG = wanted.told_BG(bool(wanted.places))
    solved = outcome.success_N if outcome.success_N.any() else np.ones_like(outcome.success_N)
    won = torch.from_numpy(np.flatnonzero(solved))
    steps = latent_NTD.shape[1]
    return Pairs(
        latent_NTD[won].flatten(0, 1),
        told_NG[won].repeat_interleave(steps, 0),
        torch.from_numpy(outcome.actions_NTA).float()[won].flatten(0, 1),
    )


POLICY = PolicyRecipe(name="cloned", collect=collect)
