"""A task: a world, how a model of it is trained, and what is asked of a planner in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from spikeplan.core.guided_planning import PlannerConfig, RefinedConfig
from spikeplan.worldmodel.tasks.world import World


@dataclass(frozen=True, kw_only=True)
class Task:
    """One file of this folder, or of a plug-in, exports it as TASK (or a tuple of several).

    Args:
        name: what `--task` takes.
        world: makes the world; a fresh one at each call.
        recipe: settings of `worldmodel.train.TrainConfig` beside task and seed; None: `spikeplan train` refuses the task.
        target_success: what the dense planner is expected to reach; None: nothing is asked.
        checkpoint: name of the shipped world model without its suffix; levels of one world share one. None: none ships.
        trained_on: the task that the world model was trained on, where it is another one.
        planner: settings of the planner that solves it best; None: those that its world model was validated with.
        teacher: planner that a policy of the task's own is cloned from, where its world model is another's; None: that model's
            policy is used.
        budgets: other settings of that planner, from the dearest down: the front of a study. Networks are fine-tuned for the
            dearest.
        tutorial: a policy that never plans does as well, so the task carries no claim about planning.

    >>> TASK = Task(name="corridor", world=CorridorWorld, recipe={"latent_dim": 16, "steps": 900})
    """

    name: str
    world: Callable[[], World]
    recipe: Mapping[str, Any] | None = field(default=None, hash=False)
    target_success: float | None = None
    checkpoint: str | None = None
    trained_on: str | None = None
    planner: PlannerConfig | None = None
    teacher: RefinedConfig | None = None
    budgets: tuple[PlannerConfig, ...] = ()

    tutorial: bool = False

    @property
    def dearest(self) -> PlannerConfig | None:
        """The planner's own settings or those of `budgets` with the most predictions; None without a planner."""
        return None if self.planner is None else max((self.planner, *self.budgets), key=lambda one: one.evaluations)
