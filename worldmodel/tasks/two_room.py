"""TwoRoom: a point robot, a wall with one door, the goal in the other room.

Unit square. The wall stands at x = 1/2, half-thickness 0.02, open for |y - door| < 0.11. An action is a displacement
of at most `action_limit` per axis; motion stops at walls (the component into the wall is lost, the other one kept).
The straight line to the goal usually ends at the wall, so a planner must look past it.

Image: channel 0 the robot (Gaussian spot), channel 1 the wall and border; 32 x 32 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.tasks.base import Task
from spikeplan.worldmodel.tasks.world import Array, Episodes, Image, sample_unsolved

WALL_X = 0.5
HALF_THICKNESS = 0.02
DOOR_HALF_WIDTH = 0.11
FIXED_DOOR_Y = 0.51
MARGIN = 0.05
SPOT_SIGMA = 0.035


@dataclass(frozen=True, kw_only=True)
class TwoRoomWorld:
    """`random_door` draws the door's height per episode (it is in the image, never in the latent by hand)."""

    random_door: bool = False
    name: str = "two-room"
    control_period_s: float = 0.1
    action_dim: int = 2
    action_limit: float = 0.08
    pose_dim: int = 2
    image_shape: tuple[int, int, int] = (2, 32, 32)
    max_steps: int = 25
    tolerance: float = 0.06

    def _layout(self, n: int, rng: np.random.Generator) -> Array:
        if self.random_door:
            return rng.uniform(0.2, 0.8, (n, 1))
        return np.full((n, 1), FIXED_DOOR_Y)

    def sample(self, n: int, rng: np.random.Generator) -> Episodes:
        """Start in the left room, goal in the right one."""

        def draw(count: int, rng: np.random.Generator) -> Episodes:
            y = rng.uniform(MARGIN, 1 - MARGIN, (count, 2))
            start = np.stack([rng.uniform(0.08, 0.40, count), y[:, 0]], 1)
            goal = np.stack([rng.uniform(0.60, 0.92, count), y[:, 1]], 1)
            return Episodes(start, goal, self._layout(count, rng))

        return sample_unsolved(self, n, draw, rng)

    def random_pose(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Free poses for training data: half uniform, half near the door (where the dynamics are hard to learn)."""
        layout = self._layout(n, rng)
        pose = rng.uniform(MARGIN, 1 - MARGIN, (n, 2))
        near = rng.random(n) < 0.5
        pose[near, 0] = WALL_X + rng.uniform(-0.2, 0.2, near.sum())
        inside = np.abs(pose[:, 0] - WALL_X) < HALF_THICKNESS
        side = np.where(rng.random(n) < 0.5, -1.0, 1.0)
        blocked = inside & (np.abs(pose[:, 1] - layout[:, 0]) >= DOOR_HALF_WIDTH)
        pose[blocked, 0] = WALL_X + side[blocked] * (HALF_THICKNESS + 0.01)
        return pose, layout

    def move(self, pose_NP: Array, action_NA: Array, layout_NL: Array) -> Array:
        """One control step. A path that meets the wall outside the door stops at its face; y goes on."""
        step = np.clip(action_NA, -self.action_limit, self.action_limit)
        x0, y0 = pose_NP[:, 0], pose_NP[:, 1]
        y1 = np.clip(y0 + step[:, 1], MARGIN, 1 - MARGIN)
        x1 = np.clip(x0 + step[:, 0], MARGIN, 1 - MARGIN)
        door = layout_NL[:, 0]
        left, right = WALL_X - HALF_THICKNESS, WALL_X + HALF_THICKNESS
        inside = (x0 > left) & (x0 < right)
        # Between the jambs only y is limited.
        y1 = np.where(inside, np.clip(y1, door - DOOR_HALF_WIDTH, door + DOOR_HALF_WIDTH), y1)
        dx = np.where(np.abs(x1 - x0) < 1e-12, 1e-12, x1 - x0)
        face = np.where(x0 <= left, left, right)
        crosses = ~inside & ((x0 <= left) & (x1 > left) | (x0 >= right) & (x1 < right))
        y_at_face = y0 + (y1 - y0) * (face - x0) / dx
        blocked = crosses & (np.abs(y_at_face - door) >= DOOR_HALF_WIDTH)
        x1 = np.where(blocked, face, x1)
        ends_inside = (x1 > left) & (x1 < right) | crosses & ~blocked
        y1 = np.where(ends_inside & ~inside, np.clip(y1, door - DOOR_HALF_WIDTH, door + DOOR_HALF_WIDTH), y1)
        return np.stack([x1, y1], 1)

    def render(self, pose_NP: Array, layout_NL: Array) -> Image:
        size = self.image_shape[1]
        axis = ((np.arange(size) + 0.5) / size).astype(np.float32)
        pose = pose_NP.astype(np.float32)
        column = np.exp(-0.5 * ((axis[None] - pose[:, :1]) / SPOT_SIGMA) ** 2)
        row = np.exp(-0.5 * ((axis[None] - pose[:, 1:2]) / SPOT_SIGMA) ** 2)
        robot = row[:, :, None] * column[:, None, :]
        pixel = 1.0 / size
        # Area coverage of the wall's columns and of its closed rows: anti-aliased to the sub-pixel.
        wall_x = np.clip((HALF_THICKNESS + pixel / 2 - np.abs(axis - WALL_X)) / pixel, 0, 1)
        gap = np.abs(axis[None] - layout_NL[:, :1].astype(np.float32))
        closed = np.clip((gap - DOOR_HALF_WIDTH) / pixel + 0.5, 0, 1)
        wall = closed[:, :, None] * wall_x[None, None, :]
        return np.stack([robot, wall], 1).astype(np.float32)

    def proprioception(self, pose_NP: Array) -> Array:
        return pose_NP

    def distance(self, pose_NP: Array, goal_NP: Array) -> Array:
        """Metres between robot and goal."""
        metres: Array = np.linalg.norm(pose_NP - goal_NP, axis=1)
        return metres


PLANNER = CEMConfig(samples=64, iterations=4, elites=8, horizon=12, chunk=3)
TASK = (
    Task(
        name="two-room",
        world=TwoRoomWorld,
        recipe={"planner": PLANNER},
        target_success=0.85,
        checkpoint="two-room",
        tutorial=True,
    ),
    Task(
        name="two-room-random",
        world=lambda: TwoRoomWorld(random_door=True, name="two-room-random"),
        recipe={"steps": 2400, "planner": PLANNER},
        checkpoint="two-room-random",
    ),
)
