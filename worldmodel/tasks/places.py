"""Places to keep out of that no planner could respect: an episode with one is refused by its number, before it is planned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.tasks.world import Episodes, KeepOut, World

FAINTEST = 0.05  # of an image's first channel: below it nothing of a pose is to be seen
REMEDY = "move the place, or draw other episodes"


def check_places(world: World, episodes: Episodes, *, first: int = 0) -> None:
    """Raises UserError, in one line, for an episode whose start or goal is in a place, whose place no image shows, or that has
    no pose in one. A world without places is left alone.

    Args:
        first: number of the first of these episodes in the whole set.

    >>> check_places(make_world("keep-out"), episodes)
    """
    if not isinstance(world, KeepOut):
        return
    start, goal, layout = episodes
    poses_NKP = world.keep_out_poses(layout)
    n, k = len(start), poses_NKP.shape[1] if poses_NKP.ndim == 3 else 0
    if poses_NKP.shape != (n, k, world.pose_dim) or not k:
        raise UserError(
            f"task {world.name}: keep_out_poses has shape {poses_NKP.shape}, (episodes, poses, {world.pose_dim}) with at least "
            "one pose is expected; show the planner some, or use a world without places"
        )
    faults: dict[str, NDArray[np.bool_]] = {
        "a place to keep out of is not finite": np.asarray(~np.isfinite(poses_NKP).all((1, 2))),
        "a place to keep out of covers its start": world.violated(start, start, layout),
        "a place to keep out of covers its goal": world.violated(goal, goal, layout),
        "a place to keep out of lies outside the image": _unseen(world, poses_NKP, layout),
    }
    for fault, of_N in faults.items():
        if of_N.any():
            others = f" (and {of_N.sum() - 1} more)" if of_N.sum() > 1 else ""
            raise UserError(f"task {world.name}: episode {first + int(of_N.argmax())}{others}: {fault}; {REMEDY}")


def _unseen(world: World, poses_NKP: NDArray[np.float64], layout_NL: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether not one image of an episode's places shows anything in its first channel, the robot's."""
    n, k, width = poses_NKP.shape
    images = world.render(np.nan_to_num(poses_NKP).reshape(n * k, width), layout_NL.repeat(k, 0))
    seen: NDArray[np.bool_] = images[:, 0].max((1, 2)).reshape(n, k).max(1) >= FAINTEST
    return ~seen
