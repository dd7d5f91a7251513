"""What connects two layers of an artifact."""

from __future__ import annotations

from dataclasses import dataclass

from spikeplan.core.errors import UserError

ROLES = ("feed", "residual")


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`weight_exp`: shift of what this edge brings, besides its receiver's own."""

    src: str
    dst: str
    delay_steps: int = 1
    role: str = "feed"
    weight_exp: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.weight_exp, bool) or not isinstance(self.weight_exp, int) or not 0 <= self.weight_exp <= 62:
            raise UserError(
                f"edge {self.src}->{self.dst}: weight_exp {str(self.weight_exp)[:40]} must be an integer from 0 to 62"
            )
        if self.role not in ROLES:
            raise UserError(f"edge {self.src}->{self.dst}: role {self.role!r} is unknown; use {' or '.join(ROLES)}")
