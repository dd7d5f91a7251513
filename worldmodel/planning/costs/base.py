"""What a cost is: an object that judges imagined futures, and that others are added to.

A cost is any object with `cost` and `accumulates`; a user's own goes into a planner the same way. One that integer planners
and Lava run says its integer form too: `priced(units)` names prices of core/prices/, with whole weights and settings.
Shapes: B episodes, S candidates, H steps, D latent, A action, K images of places to keep out of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from spikeplan.core.counts.charges import Judged
from spikeplan.core.counts.operations import LayerCounts, OperationCounts
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

    @property
    def places_BKD(self) -> Tensor:
        """The same, also where there are none: K is then 0."""
        return self.goal_BD[:, None][:, :0] if self.keep_out_BKD is None else self.keep_out_BKD

    def told_BG(self, places: bool) -> Tensor:
        """What a policy is told beside where it is: the goal, G = D, and where `places` the mean of the places too, G = 2 D.

        Raises UserError for a policy that is told of places where there are none.
        """
        if not places:
            return self.goal_BD
        if not self.places:
            raise UserError(
                "policy: it is told of places to keep out of, and none were given; use the policy of a task that has none"
            )
        return torch.cat([self.goal_BD, self.places_BKD.mean(1)], -1)

    def finite(self) -> bool:
        """Whether every latent is."""
        return all(bool(torch.isfinite(each).all()) for each in (self.goal_BD, self.places_BKD))


def goal_of(goal: Tensor | Goal) -> Goal:
    """A Goal, also where a caller has nothing but the goal's latent."""
    return goal if isinstance(goal, Goal) else Goal(goal)


def finite_goal(latent_BD: Tensor, goal: Tensor | Goal) -> Goal:
    """The goal of a plan from these latents. Raises UserError where a latent of either is not finite."""
    wanted = goal_of(goal)
    if not (torch.isfinite(latent_BD).all() and wanted.finite()):
        raise UserError("planner: a latent is not finite; check the encoder's checkpoint and its input images")
    return wanted


def judged_of(cost: Cost, horizon: int, latent_BD: Tensor, action_dim: int, goal: Goal) -> Judged:
    """What a cost says that one candidate takes. Raises UserError where its accumulates are no whole number >= 0."""
    sizes = {"horizon": horizon, "latent_dim": latent_BD.shape[1], "action_dim": action_dim, "keep_out": goal.places}
    return _judged(cost, sizes)


def _judged(cost: Cost, sizes: dict[str, int]) -> Judged:
    own = getattr(cost, "judged", None)
    if own is not None:
        found: Judged = own(**sizes)
        return found
    count = cost.accumulates(**sizes)
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise UserError(f"cost {type(cost).__name__}: accumulates returned {count!r}; expected a whole number >= 0")
    return Judged(count)


class Cost(Protocol):
    """`cost`: (B, S), smaller is better. `accumulates`: additions and subtractions a candidate, as dense hardware does them; they
    are booked as the evaluation of every plan. A cost of inner products has `judged`, which says in their place what a candidate
    takes on either hardware (core/counts/charges.py)."""

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> Tensor: ...
    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int: ...


def judge(
    cost: Cost,
    latents_BSHD: Tensor,
    actions_BSHA: Tensor,
    goal: Goal,
    op_counts: OperationCounts | None = None,
    iteration: int = 0,
) -> Tensor:
    """Costs (B, S). A cost with a network of its own has `counted`, which gives its operations too; they are booked."""
    found, layers = counted(cost, latents_BSHD, actions_BSHA, goal)
    if op_counts is not None:
        for layer in layers:
            op_counts.add("predictor", layer, iteration=iteration)
    return found


def counted(cost: Cost, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> tuple[Tensor, list[LayerCounts]]:
    """Costs (B, S), and the operations of a network that the cost has; most have none."""
    own = getattr(cost, "counted", None)
    found, layers = (
        (cost.cost(latents_BSHD, actions_BSHA, goal), []) if own is None else own(latents_BSHD, actions_BSHA, goal)
    )
    if not isinstance(found, Tensor) or found.shape != latents_BSHD.shape[:2]:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise UserError(
            f"cost {type(cost).__name__}: cost returned {shape}; expected {tuple(latents_BSHD.shape[:2])}, one a candidate"
        )
    return found, layers


class Units(NamedTuple):
    """Real value of one latent LSB and of one action LSB."""

    latent: float
    action: float


def priced_by(cost: Cost, units: Units) -> tuple[Priced, ...]:
    """The integer form of a cost. Raises UserError for one that has none, or that is no tuple of prices."""
    form = getattr(cost, "priced", None)
    if form is None:
        raise UserError(
            f"cost {type(cost).__name__} has no integer form; give it `priced(units)`, or use a planner in real numbers"
        )
    found = form(units)
    if not isinstance(found, tuple) or not found or not all(isinstance(each, Priced) for each in found):
        raise UserError(
            f"cost {type(cost).__name__}: priced returned {found!r}; expected a tuple of at least one Priced"
        )
    return found


@dataclass(frozen=True)
class Sum:
    """Several costs, added up."""

    costs: tuple[Cost, ...]

    def cost(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> Tensor:
        return torch.stack([counted(each, latents_BSHD, actions_BSHA, goal)[0] for each in self.costs]).sum(0)

    def counted(self, latents_BSHD: Tensor, actions_BSHA: Tensor, goal: Goal) -> tuple[Tensor, list[LayerCounts]]:
        """The sum, and the operations of those costs that have a network."""
        parts = [counted(each, latents_BSHD, actions_BSHA, goal) for each in self.costs]
        return torch.stack([cost for cost, _ in parts]).sum(0), [layer for _, layers in parts for layer in layers]

    def accumulates(self, *, horizon: int, latent_dim: int, action_dim: int, keep_out: int) -> int:
        sizes = {"horizon": horizon, "latent_dim": latent_dim, "action_dim": action_dim, "keep_out": keep_out}
        return sum(each.accumulates(**sizes) for each in self.costs)

    def judged(self, **sizes: int) -> Judged:
        return sum((_judged(each, sizes) for each in self.costs), Judged())

    def priced(self, units: Units) -> tuple[Priced, ...]:
        return tuple(one for each in self.costs for one in priced_by(each, units))


@dataclass(frozen=True, kw_only=True)
class CostKind:
    """A cost by name.

    Args:
        name: what `plan --cost` takes.
        make: `make(world, latent_of, config)` -> Cost; `latent_of(pose_NP, layout_NL)` gives latents of poses, `config` is the
            planner's. It takes the place of the latent distance; places to keep out of are added by the task.
        keeps_out: it prices those places itself, so that the task adds nothing.

    >>> COST = CostKind(name="mine", make=lambda world, latent_of, config: MyCost())
    """

    name: str
    make: Callable[[Any, Any, Any], Cost]
    keeps_out: bool = False
