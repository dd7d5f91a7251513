"""What a planner is, for callers that do not care which."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError, quoted
from spikeplan.core.guided_planning import PlannerConfig
from spikeplan.core.planning import CEMConfig


class Planner(Protocol):
    """`goal` is a latent (B, D), or a `costs.Goal` where there is more to say.
    `noise` of `episodes` plans, a row each; `plan` returns the action (B, A), the mean that `shift` makes the next warm
    start of, and a trace."""

    @property
    def config(self) -> Any: ...  # a PlannerConfig

    op_counts: OperationCounts | None

    @property
    def predictor(self) -> Any: ...
    def noise(self, episodes: int, generator: torch.Generator) -> Tensor: ...
    def shift(self, mean_BVA: Tensor) -> Tensor: ...
    def plan(
        self, latent_BD: Tensor, goal: Any, noise: Tensor, warm: Tensor | None = None, /, *, record: bool = False
    ) -> tuple[Tensor, Tensor, Any]: ...


@dataclass(frozen=True, kw_only=True)
class PlannerKind:
    """One planner by name.

    `make(predictor, config, action_dim=, action_limit=, reference=, op_counts=)` returns a Planner. `settings` makes its
    settings from those that the world model was validated with; they are CEMConfig's where it is not given, of which a planner
    may ignore some (predictive sampling has no elites).

    >>> PLANNER = PlannerKind(name="random_shooting", make=RandomShooting)
    """

    name: str
    make: Callable[..., Planner]
    settings: Callable[[CEMConfig], PlannerConfig] = lambda validated: validated

    def __post_init__(self) -> None:
        for part in ("make", "settings"):
            if not callable(getattr(self, part)):
                raise UserError(
                    f"planner {self.name!r}: {part} is {quoted(getattr(self, part))}; give it a function, as PlannerKind says"
                )
