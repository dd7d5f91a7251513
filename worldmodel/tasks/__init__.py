"""The tasks: worlds as pure batched functions, and their gymnasium environments."""

from __future__ import annotations

from typing import Any

import gymnasium

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.tasks.envs import TaskEnv, TaskVectorEnv
from spikeplan.worldmodel.tasks.planar_reach import PlanarReachWorld
from spikeplan.worldmodel.tasks.two_room import TwoRoomWorld
from spikeplan.worldmodel.tasks.world import Episodes, World

WORLDS: dict[str, Any] = {
    "two-room": lambda: TwoRoomWorld(),
    "two-room-random": lambda: TwoRoomWorld(random_door=True, name="two-room-random"),
    "planar-reach": lambda: PlanarReachWorld(level="far"),
    "planar-reach-near": lambda: PlanarReachWorld(level="near", name="planar-reach-near"),
    "planar-reach-anywhere": lambda: PlanarReachWorld(level="anywhere", name="planar-reach-anywhere"),
}


def make_world(task: str) -> World:
    if task not in WORLDS:
        raise UserError(f"task {task!r} is unknown; use one of {', '.join(WORLDS)}")
    return WORLDS[task]()


def register() -> None:
    """Make the environments known to gymnasium; called by `import worldmodel`."""
    for env_id, world in (("spikeplan/TwoRoom-v0", TwoRoomWorld), ("spikeplan/PlanarReach-v0", PlanarReachWorld)):
        if env_id not in gymnasium.registry:
            gymnasium.register(
                env_id,
                entry_point=lambda world=world, **kwargs: TaskEnv(world(**kwargs)),
                vector_entry_point=lambda num_envs=1, world=world, **kwargs: TaskVectorEnv(world(**kwargs), num_envs),
                disable_env_checker=True,
                order_enforce=False,
            )


__all__ = ["WORLDS", "Episodes", "TaskEnv", "TaskVectorEnv", "World", "make_world", "register"]
