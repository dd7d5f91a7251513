"""gymnasium shells over the batched worlds: `TaskEnv` for one episode, `TaskVectorEnv` for many in one call.

Observation: {"image", "goal"} as linear radiance. Info: {"pose", "goal_pose", "proprioception", "distance"}.
Within a control step motion is linear: `pose_at(t_us)` gives the pose t_us microseconds into the last step.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.tasks.world import Array, Episodes, Image, World


def _spaces(world: World) -> tuple[gymnasium.spaces.Dict, gymnasium.spaces.Box]:
    image = gymnasium.spaces.Box(0.0, 1.0, world.image_shape, np.float32)
    limit = np.float32(world.action_limit)
    return (
        gymnasium.spaces.Dict({"image": image, "goal": image}),
        gymnasium.spaces.Box(-limit, limit, (world.action_dim,), np.float32),
    )


Observation = dict[str, Image]
Info = dict[str, Any]


class TaskVectorEnv(gymnasium.vector.VectorEnv):
    """N episodes stepped together. All end at `world.max_steps`; success is judged at that step."""

    metadata = {"autoreset_mode": gymnasium.vector.AutoresetMode.DISABLED}

    def __init__(self, world: World, num_envs: int = 1) -> None:
        if num_envs < 1:
            raise UserError(f"{world.name}: num_envs {num_envs}; at least one environment is needed")
        self.world = world
        self.num_envs = num_envs
        self.control_period_s = world.control_period_s
        self.single_observation_space, self.single_action_space = _spaces(world)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        super().reset(seed=seed)
        episodes = (options or {}).get("episodes")
        self.episodes: Episodes = self.world.sample(self.num_envs, self.np_random) if episodes is None else episodes
        self.pose = self.before = self.episodes.start_NP.copy()
        self._goal_image = self.world.render(self.episodes.goal_NP, self.episodes.layout_NL)
        self._steps = 0
        return self._observation(), self._info()

    def step(self, actions: Array) -> tuple[Observation, Array, NDArray[np.bool_], NDArray[np.bool_], Info]:
        if not np.isfinite(actions).all():
            raise UserError(f"{self.world.name}: an action is not finite; check the planner's output")
        self.before = self.pose
        self.pose = self.world.move(self.pose, np.asarray(actions, np.float64), self.episodes.layout_NL)
        self._steps += 1
        info = self._info()
        last = self._steps >= self.world.max_steps
        success = info["distance"] <= self.world.tolerance
        truncated = np.full(self.num_envs, last)
        return self._observation(), (success & last).astype(np.float64), success & last, truncated, info

    def pose_at(self, t_us: float) -> Array:
        """Pose t_us after the last control step began, in [0, control period]. (N, P)"""
        share = np.clip(t_us * 1e-6 / self.control_period_s, 0.0, 1.0)
        pose: Array = self.before + share * (self.pose - self.before)
        return pose

    def render(self, pose: Array | None = None) -> Image:  # type: ignore[override]
        """Linear radiance of the given poses (or of the present ones). (N, C, H, W) float32 in [0, 1]"""
        return self.world.render(self.pose if pose is None else pose, self.episodes.layout_NL)

    def _observation(self) -> Observation:
        return {"image": self.render(), "goal": self._goal_image}

    def _info(self) -> Info:
        return {
            "pose": self.pose,
            "goal_pose": self.episodes.goal_NP,
            "proprioception": self.world.proprioception(self.pose),
            "distance": self.world.distance(self.pose, self.episodes.goal_NP),
        }


class TaskEnv(gymnasium.Env):
    """One episode: the vector environment with N = 1, unbatched."""

    metadata = {"render_modes": []}

    def __init__(self, world: World) -> None:
        self._vector = TaskVectorEnv(world, 1)
        self.world = world
        self.control_period_s = world.control_period_s
        self.observation_space, self.action_space = _spaces(world)

    def reset(self, *, seed: int | None = None, options: Info | None = None) -> tuple[Observation, Info]:
        super().reset(seed=seed)
        episodes = (options or {}).get("episodes") or self.world.sample(1, self.np_random)
        observation, info = self._vector.reset(options={"episodes": episodes})
        return _first(observation), _first(info)

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, Info]:
        observation, reward, ended, truncated, info = self._vector.step(np.asarray(action)[None])
        return _first(observation), float(reward[0]), bool(ended[0]), bool(truncated[0]), _first(info)

    def pose_at(self, t_us: float) -> Array:
        pose: Array = self._vector.pose_at(t_us)[0]
        return pose

    def render(self, pose: Array | None = None) -> Image:
        image: Image = self._vector.render(None if pose is None else np.asarray(pose)[None])[0]
        return image


def _first(batched: dict[str, Any]) -> dict[str, Any]:
    return {key: value[0] for key, value in batched.items()}
