"""A policy recipe and a cost of a user's own, each from one file outside the repository."""

from __future__ import annotations

from typing import Any

import torch

from spikeplan.worldmodel.checkpoint import load_model, shipped
from spikeplan.worldmodel.policies import POLICIES, PolicyConfig
from spikeplan.worldmodel.policies.training import train_policy


def test_a_policy_recipe(plug: Any) -> None:
    """It goes the same way, whatever it sees."""
    plug(
        """
        import torch

        from spikeplan.worldmodel.policies.base import Pairs, PolicyRecipe


        def collect(model, config, rng, report):
            latent = torch.randn(64, model.predictor.latent_dim)
            return Pairs(latent, latent.flip(0), torch.full((64, model.predictor.action_dim), 0.04))


        POLICY = PolicyRecipe(name="north_east", collect=collect)
        """
    )
    assert set(POLICIES) == {"cloned", "hindsight", "north_east", "relabelled"}
    model = load_model(shipped("two-room"))
    latent = torch.randn(50, model.predictor.latent_dim)
    policy = train_policy(model, "north_east", PolicyConfig(hidden=(16,), steps=400, rows=64))
    assert abs(policy(latent, latent.flip(0)).mean().item() - 0.04) < 0.015


def test_a_cost(plug: Any, planned: Any, tmp_path: Any) -> None:
    """Far from the goal is good: the same planner, with a cost of its own, never arrives."""
    plug(
        """
        from functools import partial

        from spikeplan.worldmodel.planning.base import PlannerKind
        from spikeplan.worldmodel.planning.cem import CEMPlanner
        from spikeplan.worldmodel.planning.costs import LatentDistance


        class Away:
            def cost(self, latents_BSHD, actions_BSHA, goal):
                return -LatentDistance().cost(latents_BSHD, actions_BSHA, goal)

            def accumulates(self, **sizes):
                return 0


        PLANNER = PlannerKind(name="away", make=partial(CEMPlanner, evaluator=Away()))
        """
    )
    small = ("--samples", "16", "--iterations", "2")
    there = planned("planar-reach", "dense", tmp_path / "there", *small)
    away = planned("planar-reach", "dense", tmp_path / "away", *small, "--planner", "away")
    assert away["success"] == 0 < there["success"]
