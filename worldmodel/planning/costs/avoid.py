"""A price for coming near places to keep out of: weight * sum_t relu(margin - min_k |z[t] - z_keep_out[k]|_1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.prices import Priced
from spikeplan.worldmodel.planning.costs.base import Goal, Units


@dataclass(frozen=True, kw_only=True)
class Avoid:
    """A price for coming closer than `margin` to any place to keep out of, in latent distance.

    Raises UserError for a margin or a weight that is not positive, and for a goal without such places.
    """

    margin: float
    weight: float = 10.0

    def __post_init__(self) -> None:
        for name in ("margin", "weight"):
            if not 0 < getattr(self, name) < 1e6:
                raise UserError(f"avoid: {name} {getattr(self, name)!r} must be above 0 and below 1,000,000")

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor | None, goal: Goal) -> Tensor:
        if goal.keep_out_BKD is None:
            raise UserError("avoid: no image of a place to keep out of was given; give some, or plan without this cost")
        near = (
            torch.cdist(latents_BSHD.flatten(1, 2), goal.keep_out_BKD, p=1.0)
            .amin(-1)
            .unflatten(1, latents_BSHD.shape[1:3])
        )
        price: Tensor = self.weight * (self.margin - near).clamp_min(0.0).sum(-1)
        return price

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        return horizon * keep_out * (2 * latent_dim + 1)

    def priced(self, units: Units) -> tuple[Priced, ...]:
        """Margin and weight rounded to whole numbers."""
        return (
            Priced(name="avoid", weight=round(self.weight), settings={"margin": round(self.margin / units.latent)}),
        )
