"""A price for coming closer than `margin` to any place to keep out of: max(0, margin - min_k sum_D |z - o_k|)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.prices.base import IntegerGoal, Ints, PriceKind


@dataclass(frozen=True, kw_only=True)
class Avoid:
    """`margin` in latent LSB. Raises UserError for one that is not positive or leaves 24 bits."""

    margin: int

    def __post_init__(self) -> None:
        if not 0 < self.margin <= limit(STATE_BITS):
            raise UserError(
                f"avoid: a margin of {self.margin} latent LSB does not fit {STATE_BITS} bits; lower it, or convert with a "
                "larger latent scale"
            )

    @property
    def most(self) -> int:
        return self.margin

    def step(self, z_SD: Ints, action_SA: Ints, goal: IntegerGoal) -> Ints:
        if not goal.places_KD.shape[-2]:
            raise UserError("avoid: no image of a place to keep out of was given; give some, or plan without this cost")
        near = np.abs(z_SD[:, None] - goal.places_KD).sum(2).min(1)
        price: Ints = np.maximum(0, self.margin - near)
        return price


PRICE = PriceKind(name="avoid", make=Avoid)
