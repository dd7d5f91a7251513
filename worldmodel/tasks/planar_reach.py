"""PlanarReach: a two-link arm in the plane that must bring its fingertip to where a goal image shows it.

Links 0.5 and 0.4 in a world of half-width 1; an action changes each joint by at most 0.4 rad. Levels: the goal's joints
lie within 0.5 (`near`) or 2.0 rad (`far`) of the start's, or `anywhere`.

Image: one channel, 48 x 48, anti-aliased capsules (upper link radiance 0.6, forearm 1.0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.losses import LossWeights
from spikeplan.worldmodel.tasks.base import Task
from spikeplan.worldmodel.tasks.world import Array, Episodes, Image, sample_unsolved

LINKS = (0.5, 0.4)
RADIANCE = (0.6, 1.0)
HALF_WIDTH_OF_LINK = 0.05
LEVELS = {"near": 0.5, "far": 2.0, "anywhere": np.pi}


@dataclass(frozen=True, kw_only=True)
class PlanarReachWorld:
    level: str = "far"
    name: str = "planar-reach"
    control_period_s: float = 0.1
    action_dim: int = 2
    action_limit: float = 0.4
    pose_dim: int = 2
    image_shape: tuple[int, int, int] = (1, 48, 48)
    max_steps: int = 20
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise UserError(f"planar-reach: level {self.level!r} is unknown; use one of {', '.join(LEVELS)}")

    def sample(self, n: int, rng: np.random.Generator) -> Episodes:
        reach = LEVELS[self.level]

        def draw(count: int, rng: np.random.Generator) -> Episodes:
            start = rng.uniform(-np.pi, np.pi, (count, 2))
            goal = start + rng.uniform(-reach, reach, (count, 2))
            return Episodes(start, goal, np.zeros((count, 0)))

        return sample_unsolved(self, n, draw, rng)

    def random_pose(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        return rng.uniform(-np.pi, np.pi, (n, 2)), np.zeros((n, 0))

    def move(self, pose_NP: Array, action_NA: Array, layout_NL: Array) -> Array:
        return pose_NP + np.clip(action_NA, -self.action_limit, self.action_limit)

    def joints(self, pose_NP: Array) -> Array:
        """Base, elbow and fingertip in world units. (N, 3, 2)"""
        shoulder = pose_NP[:, 0]
        wrist = pose_NP[:, 0] + pose_NP[:, 1]
        elbow = LINKS[0] * np.stack([np.cos(shoulder), np.sin(shoulder)], 1)
        tip = elbow + LINKS[1] * np.stack([np.cos(wrist), np.sin(wrist)], 1)
        return np.stack([np.zeros_like(elbow), elbow, tip], 1)

    def render(self, pose_NP: Array, layout_NL: Array | None = None) -> Image:
        """Coverage falls linearly over one pixel at a capsule's edge, so a slow joint changes radiance smoothly."""
        size = self.image_shape[1]
        pixel = 2.0 / size
        axis = ((np.arange(size) + 0.5) * pixel - 1.0).astype(np.float32)
        joint = self.joints(pose_NP).astype(np.float32)
        image = np.zeros((len(pose_NP), size, size), np.float32)
        for link, radiance in enumerate(RADIANCE):
            origin, end = joint[:, link], joint[:, link + 1]
            along = (end - origin) / np.float32(LINKS[link] ** 2)
            dx = axis[None, None, :] - origin[:, 0, None, None]
            dy = axis[None, :, None] - origin[:, 1, None, None]
            t = np.clip(dx * along[:, 0, None, None] + dy * along[:, 1, None, None], 0, 1)
            direction = end - origin
            dx = dx - t * direction[:, 0, None, None]
            dy = dy - t * direction[:, 1, None, None]
            gap = np.sqrt(dx * dx + dy * dy)
            coverage = np.clip((HALF_WIDTH_OF_LINK - gap) / np.float32(pixel) + 0.5, 0, 1)
            np.maximum(image, np.float32(radiance) * coverage, out=image)
        return image[:, None]

    def proprioception(self, pose_NP: Array) -> Array:
        """Joint encoders as cos and sin. (N, 4)"""
        return np.concatenate([np.cos(pose_NP), np.sin(pose_NP)], 1)

    def distance(self, pose_NP: Array, goal_NP: Array) -> Array:
        """Fingertip to the goal's fingertip, world units."""
        units: Array = np.linalg.norm(self.joints(pose_NP)[:, 2] - self.joints(goal_NP)[:, 2], axis=1)
        return units


TASK = (
    Task(
        name="planar-reach",
        world=lambda: PlanarReachWorld(level="far"),
        recipe={
            "batch": 64,
            "latent_dim": 64,
            "rate": 2e-3,
            "losses": LossWeights(variance=1.0, covariance=0.04, time=0.1, inverse=1.0),
            "planner": CEMConfig(samples=64, iterations=4, elites=8, horizon=6, chunk=2),
        },
        target_success=0.90,
        checkpoint="planar-reach",
        tutorial=True,
    ),
    Task(
        name="planar-reach-near",
        world=lambda: PlanarReachWorld(level="near", name="planar-reach-near"),
        checkpoint="planar-reach",
    ),
    Task(
        name="planar-reach-anywhere",
        world=lambda: PlanarReachWorld(level="anywhere", name="planar-reach-anywhere"),
        checkpoint="planar-reach",
    ),
)
