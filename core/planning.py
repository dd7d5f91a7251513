"""Constants of one integer planner: what the reference (worldmodel/planning/integer_cem.py, which has the equations) and
the Lava loop
(lava_procs/planning.py) are both given. They travel as JSON; both sides write their arithmetic from them on their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.noise import CENTRE

LEAST_FACTOR = 8  # of the spread's estimate: rounded to a whole number, at most 6 % off


@dataclass(frozen=True, kw_only=True)
class PlanParams:
    """`limit` in plan LSB, `start_spread` and `least_spread` in its spread unit; `deviation_factor` is C and `warm_factor` R of
    the equations. Elites are at most 64: the factor falls as 1 / k."""

    samples: int
    iterations: int
    elites: int
    horizon: int
    chunk: int
    limit: int
    action_shift: int
    cost_shift: int
    start_spread: int
    least_spread: int
    deviation_factor: int
    warm_factor: int
    latent_dim: int
    action_dim: int

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not isinstance(value, int) or value < (0 if name.endswith("shift") else 1):
                raise UserError(f"plan: {name} {value!r} must be a positive integer")
        if self.elites & (self.elites - 1) or self.elites > self.samples:
            raise UserError(f"plan: elites {self.elites} must be a power of two and at most {self.samples} samples")
        if self.deviation_factor < LEAST_FACTOR:
            raise UserError(
                f"plan: elites {self.elites} leave a spread factor of {self.deviation_factor}, too coarse below "
                f"{LEAST_FACTOR}; use fewer elites"
            )
        self._check_widths()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> PlanParams:
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"plan: {error}") from error

    def _check_widths(self) -> None:
        """No product or sum of the planner's own registers leaves 24 bits; latents, distances and costs saturate, counted."""
        k, top = self.elites, self.limit
        widest = max(self.start_spread, self.least_spread, self.deviation_factor * k * top >> 8)
        for what, reaches, remedy in (
            ("a spread times its noise", widest * CENTRE, "lower --sigma"),
            ("the elites' deviation times its factor", self.deviation_factor * k * top, "use fewer elites"),
            ("a warm start's product", self.warm_factor * self.chunk * top, "shorten --chunk"),
            ("an action", top << self.action_shift, "convert with a larger action scale"),
        ):
            if reaches > limit(STATE_BITS):
                raise UserError(f"plan: {what} reaches {reaches}, beyond {STATE_BITS} bits; {remedy}")

    @property
    def variables(self) -> int:
        return -(-self.horizon // self.chunk)
