"""How far a latent is from the goal's: sum_D |z - g|."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.prices.base import IntegerGoal, Ints, PriceKind


@dataclass(frozen=True)
class Distance:
    """In latent LSB."""

    most = limit(STATE_BITS)

    def step(self, z_SD: Ints, action_SA: Ints, goal: IntegerGoal) -> Ints:
        distance: Ints = np.abs(z_SD - goal.goal_D).sum(1)
        return distance


PRICE = PriceKind(name="distance", make=Distance)
