"""How far imagined latents are from the goal's: sum_t |z[t] - z_goal|_1, or of the last step, or squared."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.prices import Priced
from spikeplan.worldmodel.planning.costs.base import CostKind, Goal, Units, goal_of


@dataclass(frozen=True)
class LatentDistance:
    """How far the imagined latents are from the goal's. `energy`: l1 or mse; `reduce`: sum over steps, or the last."""

    energy: str = "l1"
    reduce: str = "sum"

    @classmethod
    def of(cls, config: object) -> LatentDistance:
        """A planner's own, as its settings say."""
        return cls(getattr(config, "energy", "l1"), getattr(config, "reduce", "sum"))

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor | None, goal: Tensor | Goal) -> Tensor:
        gap = latents_BSHD - goal_of(goal).goal_BD[:, None, None]
        gap = gap.abs() if self.energy == "l1" else gap.square()
        return gap.sum((-1, -2)) if self.reduce == "sum" else gap[:, :, -1].sum(-1)

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        return 2 * latent_dim * (horizon if self.reduce == "sum" else 1)

    def priced(self, units: Units) -> tuple[Priced, ...]:
        if (self.energy, self.reduce) != ("l1", "sum"):
            raise UserError(f"distance: {self.energy}, {self.reduce} has no integer form; use l1, summed over steps")
        return (Priced(name="distance"),)


COST = (
    CostKind(name="distance", make=lambda world, latent_of, config: LatentDistance.of(config)),
    CostKind(
        name="last_distance",
        make=lambda world, latent_of, config: replace(LatentDistance.of(config), reduce="last"),
    ),
)
