"""A price for large actions: weight * sum_t |a[t]|^2 / limit^2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from spikeplan.worldmodel.planning.costs.base import Cost, CostKind, Goal, Sum
from spikeplan.worldmodel.planning.costs.distance import LatentDistance


@dataclass(frozen=True, kw_only=True)
class Effort:
    """A price for large actions, in units of their limit."""

    limit: float
    weight: float = 1.0

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> Tensor:
        return self.weight * (actions_BSHA / self.limit).square().sum((-1, -2))

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        return 2 * horizon * action_dim


def _with_effort(world: Any, latent_of: object, config: object) -> Cost:
    return Sum((LatentDistance.of(config), Effort(limit=world.action_limit, weight=0.1)))


COST = CostKind(name="effort", make=_with_effort)
