"""The tasks: worlds as pure batched functions, and their gymnasium environments.

To add a task, drop a file here that exports TASK (`base.Task`); a plug-in's file works the same. Any gymnasium environment
with image observations is a task by its id, `gym:ENV_ID` (`gym_world`).
"""

from __future__ import annotations

from typing import Any

import gymnasium

from spikeplan.core.registry import Registry
from spikeplan.worldmodel.tasks.base import Task
from spikeplan.worldmodel.tasks.world import Episodes, World

TASKS: Registry[Task] = Registry("TASK", "spikeplan.worldmodel.tasks", Task, "task")
GYM = "gym:"


def task_of(name: str) -> Task:
    """The task of a name; `gym:ENV_ID` makes one of a gymnasium environment. Raises UserError for an unknown name.

    >>> task_of("two-room").recipe
    """
    if name.startswith(GYM):
        from spikeplan.worldmodel.tasks.gym_world import GymWorld

        len(TASKS)  # imports the plug-ins, which may register the environment; a worker has not yet
        return Task(name=name, world=lambda: GymWorld(name.removeprefix(GYM)), recipe={})
    return TASKS[name]


def make_world(task: str) -> World:
    """A fresh world of the task; UserError for an unknown name.

    >>> world = make_world("two-room")
    """
    return task_of(task).world()


def register() -> None:
    """Make the environments known to gymnasium; called by `import spikeplan.worldmodel`."""
    for env_id, task in (("spikeplan/TwoRoom-v0", "two-room"), ("spikeplan/PlanarReach-v0", "planar-reach")):
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point=lambda task=task, **kwargs: _single(task, kwargs),
                vector_entry_point=lambda num_envs=1, task=task, **kwargs: _vector(task, num_envs, kwargs),
                disable_env_checker=True,
                order_enforce=False,
            )


def _single(task: str, changes: dict[str, Any]) -> gymnasium.Env[Any, Any]:
    from spikeplan.worldmodel.tasks.envs import TaskEnv

    return TaskEnv(_changed(task, changes))


def _vector(task: str, num_envs: int, changes: dict[str, Any]) -> Any:
    from spikeplan.worldmodel.tasks.envs import TaskVectorEnv

    return TaskVectorEnv(_changed(task, changes), num_envs)


def _changed(task: str, changes: dict[str, Any]) -> World:
    """The world's class with other fields than the task's."""
    world = make_world(task)
    return type(world)(**changes) if changes else world


__all__ = ["TASKS", "Episodes", "Task", "World", "make_world", "register", "task_of"]
