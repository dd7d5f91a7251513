"""No planning: a policy acts, once an action. What every planner must beat."""

from __future__ import annotations

import torch
from torch import Tensor

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig
from spikeplan.worldmodel.planning.base import PlannerKind
from spikeplan.worldmodel.planning.costs import Cost, Goal, finite_goal
from spikeplan.worldmodel.policies.networks import Policy, told_to
from spikeplan.worldmodel.policies.pair import PolicyAlone


class DirectPlanner:
    """The policy's action, as the Planner contract asks for it.

    Raises UserError for a method that has no policy, and for other settings.

    >>> action_BA, _, _ = DirectPlanner(PolicyAlone(DensePolicy(policy)), DirectConfig(), action_dim=2,
    ...                                 action_limit=0.08).plan(latent_BD, goal_BD, noise)
    """

    def __init__(
        self,
        predictor: PolicyAlone,
        config: DirectConfig,
        *,
        action_dim: int,
        action_limit: float,
        reference: str = "zero",
        op_counts: OperationCounts | None = None,
        evaluator: Cost | None = None,
    ) -> None:
        # A policy weighs nothing: the task's cost is not asked.
        if not isinstance(predictor, PolicyAlone):
            raise UserError("direct: this method has no policy that acts alone; use the method policy")
        if not isinstance(config, DirectConfig):
            raise UserError(f"direct: settings of another planner ({config.label}); a policy has none")
        self.predictor, self.config, self.op_counts = predictor, config, op_counts
        self.policy: Policy = predictor.policy

    def noise(self, episodes: int, generator: torch.Generator) -> Tensor:
        """(B, 1): nothing is drawn from it."""
        return torch.zeros(episodes, 1)

    def shift(self, mean_BVA: Tensor) -> Tensor:
        return mean_BVA

    def plan(
        self, latent_BD: Tensor, goal: Tensor | Goal, noise: Tensor, warm: Tensor | None = None, *, record: bool = False
    ) -> tuple[Tensor, Tensor, None]:
        """The action (B, A). Raises UserError where a latent is not finite."""
        goal = finite_goal(latent_BD, goal)
        action_BSA, counts = self.policy.act(latent_BD[:, None], told_to(self.policy, goal))
        if self.op_counts is not None:
            for layer in counts:
                self.op_counts.add("predictor", layer, iteration=0, step=0)
        return action_BSA[:, 0], action_BSA, None


PLANNER = PlannerKind(name="direct", make=DirectPlanner, settings=lambda validated: DirectConfig())
