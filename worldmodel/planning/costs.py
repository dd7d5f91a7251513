"""Costs of imagined futures, as objects that are added up: what a plan is for is said when it is made.

    LatentDistance   sum_t |z[t] - z_goal|_1         (or the last step; or squared)
    Avoid            weight * sum_t relu(margin - min_k |z[t] - z_keep_out[k]|_1)
    Effort           weight * sum_t |a[t]|^2 / limit^2
    Sum              of several

A cost is any object with `cost` and `accumulates`; a user's own goes into a planner the same way. One that integer planners
and Lava run says its integer form too: `priced(units)` names prices of core/prices/, with whole weights and settings.
Shapes: B episodes, S candidates, H steps, D latent, A action, K images of places to keep out of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.prices import Priced


class Goal(NamedTuple):
    """What a plan is for: the goal's latent (B, D), and latents of places to keep out of (B, K, D), where there are any."""

    goal_BD: Tensor
    keep_out_BKD: Tensor | None = None

    @property
    def places(self) -> int:
        """Images of places to keep out of."""
        return 0 if self.keep_out_BKD is None else self.keep_out_BKD.shape[1]

    def finite(self) -> bool:
        """Whether every latent is."""
        latents = (self.goal_BD, *(() if self.keep_out_BKD is None else (self.keep_out_BKD,)))
        return all(bool(torch.isfinite(each).all()) for each in latents)


def goal_of(goal: Tensor | Goal) -> Goal:
    """A Goal, also where a caller has nothing but the goal's latent."""
    return goal if isinstance(goal, Goal) else Goal(goal)


def finite_goal(latent_BD: Tensor, goal: Tensor | Goal) -> Goal:
    """The goal of a plan from these latents. Raises UserError where a latent of either is not finite."""
    wanted = goal_of(goal)
    if not (torch.isfinite(latent_BD).all() and wanted.finite()):
        raise UserError("planner: a latent is not finite; check the encoder's checkpoint and its input images")
    return wanted


class Cost(Protocol):
    """`cost`: (B, S), smaller is better. `accumulates`: additions and subtractions a candidate, as dense hardware does them.

    Planners do not book `accumulates` yet: they book the latent distance, to the goal and to every place to keep out of.
    """

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> Tensor: ...
    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int: ...


class Units(NamedTuple):
    """Real value of one latent LSB and of one action LSB."""

    latent: float
    action: float


def priced_by(cost: Cost, units: Units) -> tuple[Priced, ...]:
    """The integer form of a cost. Raises UserError for one that has none."""
    form = getattr(cost, "priced", None)
    if form is None:
        raise UserError(
            f"cost {type(cost).__name__} has no integer form; give it `priced(units)`, or use a planner in real numbers"
        )
    found: tuple[Priced, ...] = form(units)
    return found


@dataclass(frozen=True)
class LatentDistance:
    """How far the imagined latents are from the goal's. `energy`: l1 or mse; `reduce`: sum over steps, or the last."""

    energy: str = "l1"
    reduce: str = "sum"

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


@dataclass(frozen=True, kw_only=True)
class Effort:
    """A price for large actions, in units of their limit."""

    limit: float
    weight: float = 1.0

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> Tensor:
        return self.weight * (actions_BSHA / self.limit).square().sum((-1, -2))

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        return 2 * horizon * action_dim


@dataclass(frozen=True)
class Sum:
    """Several costs, added up."""

    costs: tuple[Cost, ...]

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> Tensor:
        return torch.stack([each.cost(latents_BSHD, actions_BSHA, goal) for each in self.costs]).sum(0)

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        sizes = {"horizon": horizon, "latent_dim": latent_dim, "action_dim": action_dim, "keep_out": keep_out}
        return sum(each.accumulates(**sizes) for each in self.costs)

    def priced(self, units: Units) -> tuple[Priced, ...]:
        return tuple(one for each in self.costs for one in priced_by(each, units))
