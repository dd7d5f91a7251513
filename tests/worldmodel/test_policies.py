"""Amortised policies: what they are fitted to, what their files refuse, and that they act as the planner did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.checkpoint import load_model, shipped
from spikeplan.worldmodel.planning.costs import Goal
from spikeplan.worldmodel.policies import POLICIES, GoalPolicy, Pairs, PolicyConfig
from spikeplan.worldmodel.policies.networks import DensePolicy, Int8Policy, told_to
from spikeplan.worldmodel.policies.policy_file import PolicyMeta, load_policy, save_policy
from spikeplan.worldmodel.policies.training import fit, policy_success, train_policy

TASK = "planar-reach"
SMALL = PolicyConfig(hidden=(32,), episodes=6, rounds=1, steps=60, rows=64)
META = PolicyMeta(task=TASK, recipe="cloned", config=SMALL, source_sha256="0", validation_success=0.5)


def made(seed: int = 0) -> GoalPolicy:
    torch.manual_seed(seed)
    return GoalPolicy(8, 2, action_limit=0.5, hidden=(16,)).eval()


def test_a_policy_learns_the_pairs_and_stays_within_the_limit() -> None:
    """A linear law of latent and goal, clipped: what is learned is the law, not its scale."""
    generator = torch.Generator().manual_seed(1)
    latent, goal = torch.randn(2000, 8, generator=generator), torch.randn(2000, 8, generator=generator)
    action = (0.3 * (goal - latent)[:, :2]).clamp(-0.5, 0.5)
    policy = made()
    before = (policy(latent, goal) - action).abs().mean()
    fit(
        policy,
        Pairs(latent, goal, action),
        replace(SMALL, steps=400),
        generator=generator,
        report=lambda stage, row: None,
    )
    after = (policy(latent, goal) - action).abs().mean()
    assert after < 0.25 * before and policy(10 * latent, goal).abs().max() <= 0.5 and not policy.training


@pytest.mark.parametrize("recipe", ["cloned", "hindsight", "relabelled"])
def test_every_recipe_makes_the_same_policy_twice(recipe: str) -> None:
    model = load_model(shipped(TASK))
    stages: list[str] = []
    first = train_policy(model, recipe, SMALL, report=lambda stage, row: stages.append(stage))
    again = train_policy(model, recipe, SMALL)
    assert recipe in POLICIES and "policy data" in stages
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_shipped_policy_solves_its_task_without_planning() -> None:
    """PlanarReach needs no planner, and the file says who made it."""
    model, path = load_model(shipped(TASK)), shipped(TASK).with_suffix(".policy.safetensors")
    policy = load_policy(path, task=TASK, latent_dim=model.predictor.latent_dim, action_dim=2)
    assert policy_success(model, DensePolicy(policy), 40).mean() >= 0.9


def test_int8_acts_nearly_as_fp32_and_both_count_every_mac() -> None:
    policy, generator = made(), torch.Generator().manual_seed(2)
    latent, goal = torch.randn(5, 3, 8, generator=generator), torch.randn(5, 8, generator=generator)
    dense, counted = DensePolicy(policy).act(latent, goal)
    eight, also = Int8Policy(policy, latent.flatten(0, 1), goal.repeat(3, 1)).act(latent, goal)
    assert (dense - eight).abs().mean() < 0.02 * policy.action_limit
    assert [c.macs for c in counted] == [c.macs for c in also] == [15 * 16 * 16, 15 * 16 * 2]
    assert [c.layer for c in counted] == ["policy.h1", "policy.h2"]


def test_a_file_is_read_back_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    policy = made()
    path = save_policy(policy, tmp_path / "mine.policy.safetensors", META)
    back = load_policy(path, task=TASK, latent_dim=8, action_dim=2)
    latent = torch.randn(4, 8)
    assert torch.equal(back(latent, latent.flip(0)), policy(latent, latent.flip(0)))
    for wrong, message in (
        ({"task": "two-room"}, "a policy for task planar-reach, not two-room"),
        ({"latent_dim": 9}, "made for latents of 8 and actions of 2, the world model has 9"),
        ({"action_dim": 3}, "has 8 and 3"),
    ):
        with pytest.raises(UserError, match=message):
            load_policy(path, **({"task": TASK, "latent_dim": 8, "action_dim": 2} | wrong))  # type: ignore[arg-type]
    with torch.no_grad():
        policy.linears()[0].weight[0, 0] = float("nan")
    bad = save_policy(policy, tmp_path / "bad.safetensors", META)
    with pytest.raises(UserError, match="weights are not finite"):
        load_policy(bad, task=TASK, latent_dim=8, action_dim=2)
    with pytest.raises(UserError, match="no such policy; make one with"):
        load_policy(tmp_path / "none.safetensors", task=TASK, latent_dim=8, action_dim=2)
    with pytest.raises(UserError, match="no policy of"):
        load_policy(shipped(TASK), task=TASK, latent_dim=8, action_dim=2)


@pytest.mark.parametrize("wrong", [{"episodes": 0}, {"hidden": ()}, {"steps": -1}, {"hidden": (0,)}])
def test_settings_that_make_no_policy_are_refused(wrong: dict) -> None:
    with pytest.raises(UserError, match="policy: "):
        PolicyConfig(**wrong)


def test_no_pair_is_an_error() -> None:
    nothing = Pairs(torch.zeros(0, 8), torch.zeros(0, 8), torch.zeros(0, 2))
    with pytest.raises(UserError, match="no pair was collected"):
        fit(made(), nothing, SMALL, generator=torch.Generator(), report=lambda stage, row: None)


def test_a_policy_may_be_told_of_places(tmp_path: Path) -> None:
    """It hears the goal and the places' mean, in fp32, 8 bits and from its file; the order of the places says nothing."""
    torch.manual_seed(4)
    policy = GoalPolicy(8, 2, action_limit=0.5, hidden=(16,), places=True).eval()
    latent, goal, places = torch.randn(5, 3, 8), torch.randn(5, 8), torch.randn(5, 4, 8)
    dense = DensePolicy(policy)
    told = told_to(dense, Goal(goal, places))
    assert torch.equal(told, torch.cat([goal, places.sum(1) / 4], 1)) and torch.equal(
        told_to(DensePolicy(made()), Goal(goal, places)), goal
    )
    assert torch.allclose(told, told_to(dense, Goal(goal, places.flip(1))))
    action, counted = dense.act(latent, told)
    expected = policy(latent, torch.cat([goal, places.mean(1)], 1)[:, None].expand(-1, 3, -1))
    assert torch.equal(action, expected) and counted[0].macs == 15 * 24 * 16
    eight, _ = Int8Policy(policy, latent.flatten(0, 1), told.repeat_interleave(3, 0)).act(latent, told)
    assert (action - eight).abs().mean() < 0.02 * policy.action_limit
    path = save_policy(policy, tmp_path / "told.safetensors", META)
    back = load_policy(path, task=TASK, latent_dim=8, action_dim=2)
    assert back.places and torch.equal(back(latent, told[:, None].expand(-1, 3, -1)), action)
    with pytest.raises(UserError, match="policy: it is told of places to keep out of, and none were given"):
        told_to(dense, Goal(goal))
    with pytest.raises(UserError, match="none were given"):
        told_to(dense, Goal(goal, places[:, :0]))
