"""The batched world under a task: poses in, poses and images out, no hidden state.

A world is pure: `move`, `render` and `distance` are functions of arrays with a leading batch axis N, so the planner's
experiments run hundreds of episodes in one call; the gymnasium environments in `envs.py` are shells over the same
functions.

Shapes: pose (N, P) float64; layout (N, L) float64 (what differs between episodes, e.g. where the door is);
action (N, A); image (N, C, H, W) float32, linear radiance in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]


class Episodes(NamedTuple):
    """Where N episodes start, what they must reach, and their layouts. Start-solved episodes are excluded.

    >>> episodes = make_world("two-room").sample(100, np.random.default_rng(0))
    """

    start_NP: Array
    goal_NP: Array
    layout_NL: Array

    def take(self, index: slice | NDArray[np.int64]) -> Episodes:
        """The episodes of these rows."""
        return Episodes(self.start_NP[index], self.goal_NP[index], self.layout_NL[index])


class World(Protocol):
    """What a task must offer: pure functions of arrays with a leading axis N. The module's docstring has the shapes.

    sample           N episodes that are not solved at their start
    random_pose      N poses and layouts, for training data
    move             poses after one control step; actions are in the task's units
    render           images of poses
    proprioception   what joint encoders say
    distance         from pose to goal; up to `tolerance` is success
    """

    @property
    def name(self) -> str: ...
    @property
    def control_period_s(self) -> float: ...
    @property
    def action_dim(self) -> int: ...
    @property
    def action_limit(self) -> float: ...
    @property
    def pose_dim(self) -> int: ...
    @property
    def image_shape(self) -> tuple[int, int, int]: ...
    @property
    def max_steps(self) -> int: ...
    @property
    def tolerance(self) -> float: ...

    def sample(self, n: int, rng: np.random.Generator) -> Episodes: ...
    def random_pose(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]: ...
    def move(self, pose_NP: Array, action_NA: Array, layout_NL: Array) -> Array: ...
    def render(self, pose_NP: Array, layout_NL: Array) -> Image: ...
    def proprioception(self, pose_NP: Array) -> Array: ...
    def distance(self, pose_NP: Array, goal_NP: Array) -> Array: ...


@runtime_checkable
class KeepOut(Protocol):
    """What a world offers beside World where its episodes have places that must not be entered.

    violated         whether the path of one control step enters one, (N,)
    keep_out_poses   poses inside them, (N, K, P): a planner is shown images of these
    images           optional attribute: how many images in a row are of one place; 1 where there is none
    """

    def violated(self, before_NP: Array, after_NP: Array, layout_NL: Array) -> NDArray[np.bool_]: ...
    def keep_out_poses(self, layout_NL: Array) -> Array: ...


Draw = Callable[[int, np.random.Generator], Episodes]


def sample_unsolved(world: World, n: int, draw: Draw, rng: np.random.Generator) -> Episodes:
    """Draw episodes until n of them do not start solved. `draw(count, rng)` returns Episodes."""
    kept: list[Episodes] = []
    have = 0
    while have < n:
        batch = draw(2 * (n - have) + 8, rng)
        batch = batch.take(np.flatnonzero(world.distance(batch.start_NP, batch.goal_NP) > world.tolerance))
        kept.append(batch)
        have += len(batch.start_NP)
    joined = Episodes(*(np.concatenate(parts) for parts in zip(*kept, strict=True)))
    return joined.take(slice(0, n))
