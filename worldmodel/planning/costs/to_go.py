"""A price at the end of the horizon: weight * V(z[H], z_goal), what the policy would still pay from there on.

V is a network (worldmodel/policies/cost_to_go.py), in whatever arithmetic the rest of the plan has. What it computes is counted
with the predictor, under its own layers' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.prices import Priced
from spikeplan.worldmodel.planning.costs.base import Goal, Units

if TYPE_CHECKING:
    from spikeplan.worldmodel.policies.networks import Policy


@dataclass(frozen=True, kw_only=True)
class CostToGo:
    """`network`: `act(latent_BSD, goal_BD)` gives V (B, S, 1) and what it took.

    Raises UserError for a weight that is not positive.
    """

    network: Policy
    weight: float

    def __post_init__(self) -> None:
        if not 0 < self.weight < 1e6:
            raise UserError(f"cost-to-go: weight {self.weight!r} must be above 0 and below 1,000,000")

    def counted(
        self, latents_BSHD: Tensor, actions_BSHA: Tensor | None, goal: Goal
    ) -> tuple[Tensor, list[LayerCounts]]:
        """The cost (B, S), and the operations of each layer."""
        sharing = {"told_rows": len(goal.goal_BD)} if getattr(self.network, "shared", False) else {}
        value, counts = self.network.act(latents_BSHD[:, :, -1], goal.goal_BD, **sharing)
        return self.weight * value[..., 0], counts

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor | None, goal: Goal) -> Tensor:
        return self.counted(latents_BSHD, actions_BSHA, goal)[0]

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        """It is added once; the network's own operations are counted apart."""
        return 1

    def priced(self, units: Units) -> tuple[Priced, ...]:
        raise UserError("cost-to-go: it has no price a step; an integer planner takes its weight, to_go")
