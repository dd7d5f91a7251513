"""What a task asks of its planner beside reaching the goal."""

from __future__ import annotations

import numpy as np

from spikeplan.core.guided_planning import PlannerConfig
from spikeplan.worldmodel.planning.closed_loop import ImageLatent, TrueLatent
from spikeplan.worldmodel.planning.costs import COSTS, Avoid, Cost, LatentDistance, Sum
from spikeplan.worldmodel.tasks.world import KeepOut, World

MARGIN = 0.05  # in the world's own units of pose: how close a path may come to a pose that was shown
WEIGHT = 30.0  # against a latent distance of one step; chosen on other episodes than the reported ones
DRAWS = 400


def task_cost(
    world: World, latent_of: ImageLatent | TrueLatent, config: PlannerConfig, name: str | None = None
) -> Cost | None:
    """The cost that a plan of this task has: distance, or the cost of this name, and a price for places to keep out of.

    None where the planner's own, the latent distance, is all. Raises UserError for an unknown name.
    """
    own = None if name is None else COSTS[name].make(world, latent_of, config)
    if not isinstance(world, KeepOut):
        return own
    avoid = Avoid(margin=latent_margin(world, latent_of), weight=WEIGHT)
    return Sum((LatentDistance.of(config) if own is None else own, avoid))


def latent_margin(world: World, latent_of: ImageLatent | TrueLatent, *, distance: float = MARGIN) -> float:
    """The median latent distance of poses that lie `distance` apart: what a margin in metres is in latent units."""
    rng = np.random.default_rng(0)
    pose, layout = world.random_pose(DRAWS, rng)
    way = rng.standard_normal(pose.shape)
    near = pose + distance * way / np.linalg.norm(way, axis=1, keepdims=True)
    return float((latent_of(pose, layout) - latent_of(near, layout)).abs().sum(1).median())
