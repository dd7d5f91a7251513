"""Fit a policy to pairs, round by round: the same loss and effort whatever the pairs come from."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig
from spikeplan.worldmodel.checkpoint import WorldModel
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, run_episodes
from spikeplan.worldmodel.planning.direct import DirectPlanner
from spikeplan.worldmodel.policies import POLICIES
from spikeplan.worldmodel.policies.base import GoalPolicy, Pairs, PolicyConfig, Report
from spikeplan.worldmodel.policies.networks import Policy
from spikeplan.worldmodel.policies.pair import PolicyAlone
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.train import VALIDATION_SEED


def train_policy(model: WorldModel, recipe: str, config: PolicyConfig, *, report: Report | None = None) -> GoalPolicy:
    """A policy for a world model's task.

    Args:
        recipe: a name of POLICIES.
        report: gets the stage and a dict of figures, now and then.

    Raises UserError for an unknown recipe, and where no pair was collected.

    >>> policy = train_policy(load_model(shipped("two-room")), "cloned", PolicyConfig())
    """
    tell = report or (lambda stage, row: None)
    world, chosen = make_world(model.task), POLICIES[recipe]
    rng = np.random.default_rng([config.seed, 41])
    generator = torch.Generator().manual_seed(config.seed)
    torch.manual_seed(config.seed)
    policy = GoalPolicy(
        model.predictor.latent_dim, world.action_dim, action_limit=world.action_limit, hidden=config.hidden
    )
    pairs = chosen.collect(model, config, rng, tell)
    fit(policy, pairs, config, generator=generator, report=tell)
    for _ in range(config.rounds if chosen.again is not None else 0):
        assert chosen.again is not None
        pairs = pairs + chosen.again(model, config, rng, tell, policy)
        fit(policy, pairs, config, generator=generator, report=tell)
    return policy


def policy_success(model: WorldModel, policy: Policy, episodes: int, task: str | None = None) -> NDArray[np.float64]:
    """Success of the policy alone on validation episodes, which are never reported. `task`: None is the model's own."""
    world = make_world(task or model.task)
    planner = DirectPlanner(
        PolicyAlone(policy), DirectConfig(), action_dim=world.action_dim, action_limit=world.action_limit
    )
    drawn = world.sample(episodes, np.random.default_rng(VALIDATION_SEED + 3))
    outcome = run_episodes(world, ImageLatent(world, model.encoder), planner, drawn, seed=0)
    return outcome.success_N.astype(np.float64)


class Effort(Protocol):
    """Of a fit: steps of AdamW, rows of a batch, rate."""

    @property
    def steps(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def rate(self) -> float: ...


def fit(
    policy: GoalPolicy,
    pairs: Pairs,
    config: Effort,
    *,
    generator: torch.Generator,
    report: Report,
    stage: str = "policy",
) -> None:
    """L1 between the policy's action and the pairs' own, in units of the limit. The policy ends in evaluation mode.

    `stage`: what is reported; a cost-to-go is fitted alike.
    """
    if not len(pairs.latent_ND):
        raise UserError("policy: no pair was collected; plan more episodes or train the world model longer")
    policy.train()
    optimizer = torch.optim.AdamW(policy.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.steps, pct_start=0.1)
    target = pairs.action_NA / policy.action_limit

    def losses(step: int) -> dict[str, Tensor]:
        pick = torch.randint(len(target), (config.rows,), generator=generator)
        return {"total": (policy.raw(pairs.latent_ND[pick], pairs.told_NG[pick]) - target[pick]).abs().mean()}

    descend(
        range(1, config.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=lambda: nn.utils.clip_grad_norm_(policy.parameters(), 1.0),
        progress=lambda step, row: (
            report(stage, {"step": step, "total_steps": config.steps, "loss": row["total"]})
            if step % 100 == 0
            else None
        ),
    )
    policy.eval()
