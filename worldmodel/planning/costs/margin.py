"""How close a path may come to a place that was shown, in the units of latents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

from spikeplan.worldmodel.tasks.world import Array, World

MARGIN = 0.05  # in the world's own units of pose: how close a path may come to a pose that was shown
DRAWS = 400


def latent_margin(
    world: World, latent_of: Callable[[Array, Array], Tensor], *, distance: float = MARGIN, squared: bool = False
) -> float:
    """The median latent distance of poses that lie `distance` apart: what a margin in metres is in latent units.

    `squared`: of squared distances in place of sums of absolute differences.
    """
    rng = np.random.default_rng(0)
    pose, layout = world.random_pose(DRAWS, rng)
    way = rng.standard_normal(pose.shape)
    near = pose + distance * way / np.linalg.norm(way, axis=1, keepdims=True)
    gap = latent_of(pose, layout) - latent_of(near, layout)
    return float((gap.square() if squared else gap.abs()).sum(1).median())
