"""Constants of the integer guided planner: what the reference (worldmodel/planning/integer_guided.py, which has the equations)
and the Lava graph (lava_procs/guided/) are both given. They travel as JSON; both write their arithmetic on their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.noise import CENTRE
from spikeplan.core.prices import Price, Priced, made

TOP = limit(STATE_BITS)


@dataclass(frozen=True, kw_only=True)
class GuidedParams:
    """`limit` in plan LSB, 2^action_shift action LSB each; `spread` of each step in 443/256 plan LSB a standard deviation, as
    in PlanParams. `prices`: terms of the cost. `places`: how many places to keep out of the host sends; `told`: how many
    latents it tells the policy, its goal first. `mirrored`: copies 2, 4, ... take the noise of the copy before, negated. The
    cost-to-go V is clipped to plus and minus `to_go_limit`, and its price is `to_go_weight` times trunc(V / 2^to_go_shift), in
    units of the cost; weight 0: there is none.

    Raises UserError, naming what leaves 24 bits and what to change.
    """

    samples: int
    horizon: int
    limit: int
    action_shift: int
    spread: tuple[int, ...]
    cost_shift: int
    latent_dim: int
    action_dim: int
    places: int
    prices: tuple[Priced, ...]
    told: int = 1
    mirrored: bool = False
    to_go_weight: int = 0
    to_go_shift: int = 0
    to_go_limit: int = 0

    def __post_init__(self) -> None:
        for name in ("samples", "horizon", "limit", "latent_dim", "action_dim", "told"):
            self._whole(name, 1)
        for name in ("action_shift", "cost_shift", "places", "to_go_weight", "to_go_shift", "to_go_limit"):
            self._whole(name, 0)
        if len(self.spread) != self.horizon or any(not isinstance(w, int) or w < 0 for w in self.spread):
            raise UserError(f"guided plan: spread {self.spread} must be {self.horizon} whole numbers, one a step")
        if not self.prices:
            raise UserError("guided plan: no price; a plan needs at least the distance to its goal")
        for what, reaches, remedy in (
            ("a spread times its noise", max(self.spread) * CENTRE, "lower --spread"),
            (
                "the cost-to-go times its weight",
                self.to_go_weight * (self.to_go_limit >> self.to_go_shift),
                "lower --to-go",
            ),
            ("an action", self.limit << self.action_shift, "convert with a larger action scale"),
            *(self._reach(priced) for priced in self.prices),
        ):
            if reaches > TOP:
                raise UserError(f"guided plan: {what} reaches {reaches}, beyond {STATE_BITS} bits; {remedy}")

    def _reach(self, priced: Priced) -> tuple[str, int, str]:
        if not isinstance(priced.weight, int) or priced.weight < 1:
            raise UserError(
                f"guided plan: weight {priced.weight!r} of {priced.name} must be a whole number of at least 1"
            )
        most = made(priced).most
        return f"{priced.name} times its weight", priced.weight * (most >> self.cost_shift), "lower its weight"

    def _whole(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UserError(f"guided plan: {name} {value!r} must be a whole number of at least {least}")

    def made(self) -> list[tuple[int, Price]]:
        """Each term's weight and price."""
        return [(priced.weight, made(priced)) for priced in self.prices]

    def as_json(self) -> dict[str, Any]:
        """What `of` reads back."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> GuidedParams:
        """From JSON. Raises UserError for what does not fit."""
        try:
            prices = tuple(Priced.of(each) for each in values["prices"])
            return cls(**{**values, "spread": tuple(values["spread"]), "prices": prices})
        except (TypeError, KeyError) as error:
            raise UserError(f"guided plan: {error!r}; write it with GuidedParams.as_json") from error
