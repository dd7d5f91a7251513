"""Squared distances, which are inner products: to the goal, and to the middle of each place to keep out of.

    J = sum_t d(z[t], g) + weight relu(margin - min_i d(z[t], k_i)),    d(z, y) = |z|^2 - 2 z.y + |y|^2
    k_i   mean latent of the images of place i

A sum of |z - y| takes a neuron for each number of each place; here a place is one neuron whose weights are y, and z is squared
by the neuron that has it. With P places a candidate's step takes (2 + P) D terms and 2 + P sums: |z|^2, the goal, the places. The
neuron of the goal also holds what is summed over steps: |z|^2 and the places' price reach it.
Shapes: B episodes, S candidates, H steps, D latent, K images of places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from spikeplan.core.counts.charges import Judged
from spikeplan.core.errors import UserError
from spikeplan.core.prices import Priced
from spikeplan.worldmodel.planning.costs.base import Cost, CostKind, Goal, Units, goal_of
from spikeplan.worldmodel.planning.costs.margin import latent_margin

AWAY = 3.0  # margins of one image that a path keeps from the middle of nine; chosen on other episodes than the reported ones
WEIGHT = 30.0


@dataclass(frozen=True, kw_only=True)
class SquaredDistance:
    """`margin`: of a path from the middle of a place, squared; `weight`: of coming closer; `images`: of one place. Where none are
    shown, the goal is all.

    Raises UserError for a margin or a weight that is not positive, and for images that do not make up whole places.

    >>> SquaredDistance(margin=23.0).cost(latents_BSHD, None, goal)
    """

    margin: float
    weight: float = WEIGHT
    images: int = 1

    def __post_init__(self) -> None:
        for name in ("margin", "weight"):
            if not 0 < getattr(self, name) < 1e6:
                raise UserError(f"squared: {name} {getattr(self, name)!r} must be above 0 and below 1,000,000")

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor | None, goal: Tensor | Goal) -> Tensor:
        wanted = goal_of(goal)
        found = _squared(latents_BSHD, wanted.goal_BD)
        if wanted.places:
            middle_BPD = wanted.places_BKD.unflatten(1, (self._places(wanted.places), -1)).mean(2)
            near = torch.stack([_squared(latents_BSHD, each) for each in middle_BPD.unbind(1)]).amin(0)
            found = found + self.weight * (self.margin - near).clamp_min(0.0)
        price: Tensor = found.sum(-1)
        return price

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        """On hardware that multiplies: `judged`."""
        return 0

    def judged(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> Judged:
        """The square, the goal's product, and the places'."""
        products = 2 + self._places(keep_out)
        return Judged(terms=horizon * products * latent_dim, sums=horizon * products)

    def _places(self, images: int) -> int:
        if images % self.images:
            raise UserError(
                f"squared: {images} images are no whole places of {self.images}; give all images of a place"
            )
        return images // self.images

    def priced(self, units: Units) -> tuple[Priced, ...]:
        raise UserError("squared: it has no integer form; use l1, summed over steps, where integers or Lava plan")


def _squared(latents_BSHD: Tensor, to_BD: Tensor) -> Tensor:
    return (latents_BSHD - to_BD[:, None, None]).square().sum(-1)


def _of(world: Any, latent_of: Any, config: object) -> Cost:
    images = getattr(world, "images", 1)
    away = AWAY if images > 1 else 1.0
    return SquaredDistance(margin=away * latent_margin(world, latent_of, squared=True), images=images)


COST = CostKind(name="squared", make=_of, keeps_out=True)
