"""Constants of one integer planner: what the reference (snn/integer_cem.py, which has the equations) and the Lava loop
(lava_procs/planning.py) are both given. They travel as JSON; both sides write their arithmetic from them on their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spec.errors import UserError


@dataclass(frozen=True, kw_only=True)
class PlanParams:
    """`limit` in plan LSB, `start_spread` and `least_spread` in its spread unit; `deviation_factor` is C and `warm_factor` R of
    the equations."""

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

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> PlanParams:
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"plan: {error}") from error

    @property
    def variables(self) -> int:
        return -(-self.horizon // self.chunk)
