"""A policy recipe and a cost of a user's own, each from one file outside the repository."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from spikeplan.experiments.cli.main import main
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


OWN_COST = """
    from dataclasses import dataclass

    import numpy as np

    from spikeplan.core.prices import Priced, PriceKind
    from spikeplan.worldmodel.planning.costs import CostKind


    class Away:
        def cost(self, latents_BSHD, actions_BSHA, goal):
            gap = (latents_BSHD - goal.goal_BD[:, None, None]).abs().sum(-1)
            return (20.0 - gap).clamp_min(0.0).sum(-1)

        def accumulates(self, **sizes):
            return 0

        def priced(self, units):
            return (Priced(name="nearness", settings={"far": round(20.0 / units.latent)}),)


    @dataclass(frozen=True)
    class Nearness:
        far: int

        @property
        def most(self):
            return self.far

        def step(self, z_SD, action_SA, goal):
            return np.maximum(0, self.far - np.abs(z_SD - goal.goal_D).sum(1))


    COST = CostKind(name="away", make=lambda world, latent_of, config: Away())
    PRICE = PriceKind(name="nearness", make=Nearness)
    """


@pytest.mark.slow
def test_a_cost_of_ones_own_plans_in_real_numbers_in_integers_and_in_lava(plug: Any, tmp_path: Any) -> None:
    """Far from the goal is good; each copy strays, and the one that strays farthest wins."""
    plug(OWN_COST)
    for method in ("guided", "guided-integer"):
        found = {}
        for cost in ("distance", "away"):
            out = tmp_path / f"{method}-{cost}"
            small = ["--episodes", "8", "--samples", "12", "--horizon", "4"]
            main(["plan", "--task", "planar-reach", "--method", method, "--out", str(out), "--cost", cost, *small])
            methods = json.loads((out / "summary.json").read_text())["tasks"]["planar-reach"]["methods"]
            found[cost] = methods[method]["success"]
        assert found["away"] < 0.3 < 0.6 < found["distance"]
    small = ["--episodes", "1", "--samples", "12", "--horizon", "4", "--out", str(tmp_path / "lava")]
    main(["plan", "--task", "planar-reach", "--method", "guided-lava", "--cost", "away", *small])
    in_lava = json.loads((tmp_path / "lava" / "summary.json").read_text())["tasks"]["planar-reach"]["methods"][
        "guided-lava"
    ]
    assert in_lava["values_different"] == 0 < in_lava["values_compared"] and in_lava["success"] == 0
