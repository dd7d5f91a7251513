"""An amortised policy: one small network from (latent, goal latent) to an action, in place of planning.

    a = limit * clip(net([z, told]), -1, 1)         net: ReLU chain; told: z_goal, or z_goal and the mean of places to keep out of

It is an opponent of planning (a task that it solves needs no planner), a method, and what a policy-guided planner perturbs.
A clip instead of a tanh at its end is what integer hardware has anyway.
Shapes: D latent, A action, G what it is told: D, or 2 D with places; leading dimensions are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.checkpoint import WorldModel

Report = Callable[[str, dict[str, Any]], None]


class GoalPolicy(nn.Module):
    """The network. `linears` are its layers, as those of a predictor, so that converters read both alike.

    `places`: it is told where not to go, too (`Goal.told_BG`).

    >>> action_BA = GoalPolicy(32, 2, action_limit=0.08)(latent_BD, goal_BD)
    """

    def __init__(
        self,
        latent_dim: int,
        action_dim: int,
        *,
        action_limit: float,
        hidden: tuple[int, ...] = (128, 128),
        places: bool = False,
    ) -> None:
        super().__init__()
        self.latent_dim, self.action_dim, self.action_limit = latent_dim, action_dim, action_limit
        self.hidden, self.places = tuple(hidden), places
        sizes = (latent_dim * (3 if places else 2), *hidden)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], action_dim))

    def forward(self, latent: Tensor, told: Tensor) -> Tensor:
        return self.action_limit * self.raw(latent, told).clamp(-1.0, 1.0)

    def raw(self, latent: Tensor, told: Tensor) -> Tensor:
        """Before the clip, in units of the action limit: what is trained, since a clip has no gradient beyond its ends."""
        out: Tensor = self.net(torch.cat([latent, told], -1))
        return out

    def linears(self) -> list[nn.Linear]:
        return [module for module in self.net if isinstance(module, nn.Linear)]


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """How a policy is trained; the same effort for every recipe.

    Args:
        episodes: that the data come from. rounds: of relabelling, each with as many episodes again (relabelled only).
        steps, rows, rate: of the fit: L1 loss, AdamW.
    """

    hidden: tuple[int, ...] = (128, 128)
    episodes: int = 600
    rounds: int = 2
    steps: int = 6000
    rows: int = 512
    rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("episodes", "rounds", "steps", "rows"):
            if getattr(self, name) < 1:
                raise UserError(f"policy: {name} {getattr(self, name)} must be at least 1")
        if not self.hidden or min(self.hidden) < 1:
            raise UserError(f"policy: hidden {self.hidden} must be widths of at least 1")


class Pairs(NamedTuple):
    """What a policy is fitted to: where it was, what it was told, and what was done."""

    latent_ND: Tensor
    told_NG: Tensor
    action_NA: Tensor

    def __add__(self, other: tuple[Any, ...]) -> Pairs:
        return Pairs(*(torch.cat([a, b]) for a, b in zip(self, other, strict=True)))


@dataclass(frozen=True, kw_only=True)
class PolicyRecipe:
    """One way to get a policy from a world model. `collect(model, config, rng, report)` returns Pairs; `again`, if there is
    one, gets the fitted policy as well and returns the pairs of a further round.

    >>> POLICY = PolicyRecipe(name="mine", collect=my_pairs)
    """

    name: str
    collect: Callable[[WorldModel, PolicyConfig, np.random.Generator, Report], Pairs]
    again: Callable[[WorldModel, PolicyConfig, np.random.Generator, Report, GoalPolicy], Pairs] | None = None
