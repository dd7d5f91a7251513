"""Gradient refinement: copies of the policy propose plans, and each plan is improved along the gradient of its cost.

    plans    what S copies of the policy do inside the model; last step's best plan, moved on, in place of the last copy
    descend  K times: all plans forward, cost, backward, an Adam step of `rate` action limits, clip
    act      the first action of the cheapest plan that was seen

Only a dense predictor has a gradient: this is an opponent, no spiking method. Forward and backward are charged: a gradient that
stops at the actions takes as many MACs as the forward pass. The copies' pass is the first way there. Shapes as in `guided`.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikeplan.core.counts.charges import book_iteration
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GradientConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.costs import Cost, Goal, LatentDistance, goal_of, judged_of
from spikeplan.worldmodel.planning.guided import GuidedPlanner, GuidedTrace
from spikeplan.worldmodel.planning.rollout import unroll
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import DensePredictor


class GradientTrace(NamedTuple):
    """The copies' pass, the cost of every plan before each step and after the last (K+1, B, S), and the best of each (B)."""

    guided: GuidedTrace
    cost_KBS: Tensor
    best_cost_B: Tensor


class GradientPlanner:
    """A guided pass, then gradient descent on all plans at once.

    Raises UserError for a predictor without a policy, for one in spikes or 8 bits, and for settings of another planner.

    >>> planner = GradientPlanner(Pair(DensePredictor(model.predictor), DensePolicy(policy)), GradientConfig(), action_dim=2,
    ...                           action_limit=0.08)
    """

    def __init__(
        self,
        predictor: Pair,
        config: GradientConfig,
        *,
        action_dim: int,
        action_limit: float,
        reference: str = "zero",
        op_counts: OperationCounts | None = None,
        evaluator: Cost | None = None,
    ) -> None:
        if not isinstance(config, GradientConfig):
            raise UserError(
                f"gradient: settings of another planner ({config.label}); use samples, horizon and descents"
            )
        if not isinstance(predictor, Pair) or not isinstance(predictor.predictor, DensePredictor):
            raise UserError(
                "gradient: only a dense network in fp32 has a gradient; use a method whose name begins with gradient"
            )
        self.predictor, self.config, self.op_counts = predictor, config, op_counts
        self.action_dim, self.action_limit = action_dim, action_limit
        self.own: Cost = evaluator or LatentDistance(config.energy, config.reduce)
        self.guided = GuidedPlanner(
            predictor,
            config.guided,
            action_dim=action_dim,
            action_limit=action_limit,
            reference=reference,
            op_counts=op_counts,
            evaluator=self.own,
        )

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        return self.guided.noise(episodes, generator)

    def shift(self, plan_BHA: Tensor) -> Tensor:
        """The plan one control step later, its last action repeated."""
        return torch.cat([plan_BHA[:, 1:], plan_BHA[:, -1:]], 1)

    def plan(
        self,
        latent_BD: Tensor,
        goal: Tensor | Goal,
        noise: Tensor,
        warm: Tensor | None = None,
        *,
        record: bool = False,
    ) -> tuple[Tensor, Tensor, GradientTrace]:
        """The action (B, A), the plan (B, H, A) that `shift` moves on, and the trace."""
        c, goal, limit = self.config, goal_of(goal), self.action_limit
        _, _, guided = self.guided.plan(latent_BD, goal, noise)
        plans = guided.actions_BSHA.clone()
        if warm is not None:
            plans[:, -1] = warm
        plans.requires_grad_(True)
        optimizer = torch.optim.Adam([plans], c.rate * limit)
        best_cost, best = torch.full((len(plans),), torch.inf), torch.zeros_like(plans[:, 0])
        costs = []
        for k in range(c.descents + 1):
            with torch.enable_grad():
                cost = self._cost(latent_BD, plans, goal)
            # The copies' pass was the first way there; only last step's plan is new.
            forward = c.samples if k else int(warm is not None)
            self._book(latent_BD, plans, goal, forward=forward, iteration=1 + 2 * k)
            least = cost.detach().min(1)
            better = least.values < best_cost
            best_cost = torch.where(better, least.values, best_cost)
            seen = plans.detach()[torch.arange(len(plans)), least.indices]
            best = torch.where(better[:, None, None], seen, best)
            costs.append(cost.detach())
            if k == c.descents:
                break
            self._book(latent_BD, plans, goal, forward=c.samples, iteration=2 + 2 * k)  # and the way back
            (plans.grad,) = torch.autograd.grad(cost.sum(), plans)
            optimizer.step()
            with torch.no_grad():
                plans.clamp_(-limit, limit)
        return best[:, 0], best, GradientTrace(guided, torch.stack(costs), best_cost)

    def _cost(self, latent_BD: Tensor, plans: Tensor, goal: Goal) -> Tensor:
        """Costs (B, S) with their graph."""
        start = latent_BD[:, None].expand(-1, plans.shape[1], -1)
        module = self.predictor.predictor.module  # type: ignore[attr-defined]

        def step(latent: Tensor, action: Tensor, state: None) -> tuple[Tensor, None, list[Any]]:
            return module(latent, action), None, []

        latents = unroll(step, start, plans, None).latents_BSHD
        cost = self.own.cost(latents, plans, goal)
        value = self.predictor.value
        if self.config.to_go and isinstance(value, DensePolicy):
            end = latents[:, :, -1]
            cost = cost + self.config.to_go * value.policy(end, goal.goal_BD[:, None].expand_as(end))[..., 0]
        if not torch.isfinite(cost).all():
            raise UserError("planner: a cost is not finite; the predictor diverged (check its checkpoint)")
        return cost

    def _book(self, latent_BD: Tensor, plans: Tensor, goal: Goal, *, forward: int, iteration: int) -> None:
        """One pass of so many plans, whichever way."""
        if self.op_counts is None or not forward:
            return
        batch, horizon = len(plans), plans.shape[2]
        one, futures = latent_BD[:1, None], batch * forward
        for layer in self.predictor.step(one, plans[:1, :1, 0].detach(), None)[2]:
            for t in range(horizon):
                self.op_counts.add("predictor", _repeated(layer, futures), iteration=iteration, step=t)
        if self.config.to_go and self.predictor.value is not None:
            for layer in self.predictor.value.act(one, goal.goal_BD[:1])[1]:
                self.op_counts.add("predictor", _repeated(layer, futures), iteration=iteration)
        judged = judged_of(self.own, horizon, latent_BD, self.action_dim, goal)
        book_iteration(
            self.op_counts,
            replace(self.config.guided, samples=forward),
            spiking=False,
            batch=batch,
            action_dim=self.action_dim,
            iteration=iteration,
            judged=judged,
        )


def _repeated(layer: LayerCounts, number: int) -> LayerCounts:
    """The counts of one row, for so many."""
    counts = {name: value * number for name, value in asdict(layer).items() if name != "layer"}
    return LayerCounts(layer=layer.layer, **counts)


def gradient_settings(validated: CEMConfig) -> GradientConfig:
    """Two steps more than half of the validated horizon, with the same distance."""
    return GradientConfig(horizon=max(1, validated.horizon // 2 + 2), energy=validated.energy, reduce=validated.reduce)


PLANNER = PlannerKind(name="gradient", make=GradientPlanner, settings=gradient_settings)
