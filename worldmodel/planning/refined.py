"""Refined planning: the policy proposes, the cross-entropy method improves, the best future seen acts.

    start    the cheaper of last step's plan, moved on, and the best copy of the policy
    search   CEM from there
    act      the first action of the cheapest candidate that was imagined, a copy's own included

The policy alone walks into whatever it never saw; CEM alone, its actions held for several steps, misses the goal by a little.
Here a copy of the policy ends the way and CEM finds the way round. Shapes as in `cem` and `guided`.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikeplan.core.counts.charges import book_iteration
from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import RefinedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.cem import CEMPlanner, PlanTrace
from spikeplan.worldmodel.planning.costs import Cost, Goal, goal_of, judge, judged_of
from spikeplan.worldmodel.planning.guided import GuidedPlanner, GuidedTrace
from spikeplan.worldmodel.planning.rollout import counting, rollout
from spikeplan.worldmodel.policies.pair import Pair


class RefinedTrace(NamedTuple):
    """Both parts of one control step, and whether a copy of the policy acted (B)."""

    guided: GuidedTrace
    search: PlanTrace
    policy_acted_B: Tensor


class RefinedPlanner:
    """A guided pass, then CEM from the better start.

    Args:
        predictor: a Pair of predictor and policy.
        config: of both parts.
        evaluator: another cost than the latent distance.

    Raises UserError for a predictor without a policy and for settings of another planner.

    >>> planner = RefinedPlanner(Pair(DensePredictor(model.predictor), DensePolicy(policy)), RefinedConfig(), action_dim=2,
    ...                          action_limit=0.08)
    """

    def __init__(
        self,
        predictor: Pair,
        config: RefinedConfig,
        *,
        action_dim: int,
        action_limit: float,
        reference: str = "zero",
        op_counts: OperationCounts | None = None,
        evaluator: Cost | None = None,
    ) -> None:
        if not isinstance(config, RefinedConfig):
            raise UserError(
                f"refined: settings of another planner ({config.label}); use copies, samples and iterations"
            )
        shared: dict[str, Any] = {
            "action_dim": action_dim,
            "action_limit": action_limit,
            "reference": reference,
            "op_counts": op_counts,
            "evaluator": evaluator,
        }
        self.config, self.predictor, self.op_counts = config, predictor, op_counts
        self.guided = GuidedPlanner(predictor, config.guided, **shared)
        shared["evaluator"] = self.guided.evaluator
        # Dense weights are read once a pass, so each pass is booked apart: copies 0, start 1, search from 2 on.
        self.search = CEMPlanner(predictor, config, **shared, first_iteration=2)

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        """(B, N): that of both parts, side by side."""
        parts = self.guided.noise(episodes, generator), self.search.noise(episodes, generator)
        return torch.cat([part.flatten(1) for part in parts], 1)

    def shift(self, mean_BVA: Tensor) -> Tensor:
        return self.search.shift(mean_BVA)

    @torch.no_grad()
    def plan(
        self,
        latent_BD: Tensor,
        goal: Tensor | Goal,
        noise_BN: Tensor,
        warm: Tensor | None = None,
        *,
        record: bool = False,
    ) -> tuple[Tensor, Tensor, RefinedTrace]:
        """The action (B, A), CEM's mean (B, V, A) for `shift`, and both traces."""
        c, goal = self.config, goal_of(goal)
        shape = self.guided.noise_shape
        own = math.prod(shape)
        noise_BSVA = noise_BN[:, own:].unflatten(1, (c.samples, c.variables, self.search.action_dim))
        first, plan_BHA, guided = self.guided.plan(latent_BD, goal, noise_BN[:, :own].unflatten(1, shape))
        start = self._start(latent_BD, goal, self.search.chunks(plan_BHA), warm)
        _, mean, search = self.search.plan(latent_BD, goal, noise_BSVA, start, record=record)
        by_policy = guided.cost_BS.amin(1) <= search.best_cost_B
        return (
            torch.where(by_policy[:, None], first, search.best_action_BA),
            mean,
            RefinedTrace(guided, search, by_policy),
        )

    def _start(self, latent_BD: Tensor, goal: Goal, proposed_BVA: Tensor, warm: Tensor | None) -> Tensor:
        """The cheaper of the policy's plan, in CEM's variables, and the last one, moved on."""
        if warm is None:
            return proposed_BVA
        both = torch.stack([warm, proposed_BVA], 1)
        candidates = self.search.expand(both)
        latents, _ = rollout(
            self.predictor, latent_BD, candidates, reference=self.search.reference, on_step=counting(self.op_counts, 1)
        )
        chosen = judge(self.search.evaluator, latents, candidates, goal, self.op_counts, 1).argmin(1)
        if self.op_counts is not None:
            book_iteration(
                self.op_counts,
                self.config.start,
                spiking=self.predictor.spiking,
                batch=len(latent_BD),
                action_dim=self.search.action_dim,
                iteration=1,
                judged=judged_of(self.search.evaluator, self.config.horizon, latent_BD, self.search.action_dim, goal),
            )
        return both[torch.arange(len(both)), chosen]


def refined_settings(validated: CEMConfig) -> RefinedConfig:
    """Half the samples and three quarters of the iterations of the model's own budget, and shorter variables."""
    return RefinedConfig(
        samples=max(2, validated.samples // 2),
        iterations=max(1, validated.iterations - 1),
        elites=max(1, validated.elites // 2),
        horizon=validated.horizon,
        chunk=min(2, validated.chunk),
        sigma=0.5,
        sigma_floor=validated.sigma_floor,
        energy=validated.energy,
        reduce=validated.reduce,
    )


PLANNER = PlannerKind(name="refined", make=RefinedPlanner, settings=refined_settings)
