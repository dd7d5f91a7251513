"""Any gymnasium environment with image observations as a world to plan in.

    pose (N, 2)     number of the episode, steps taken in it
    layout (N, 1)   the episode's seed
    move            steps the episode's own environment; a pose that was left behind is reached again from the seed
    render          the image that the environment showed at that pose
    goal            the image under "goal" of a dict observation, or what `goal_image` returns

A world of ours is a pure function of its pose; an environment is not, so each episode keeps one, with the actions it was
given. What is asked of an environment: `reset(seed=)` is deterministic, actions are a Box with one limit, images are
(H, W), (H, W, C) or (C, H, W), uint8 or float in [0, 1], with sides that are multiples of 8. Success is read from the last
info (`is_success`, `success`), else from termination; distance is 0 with success and 1 without.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.tasks.world import Array, Episodes, Image

IMAGE_KEYS = ("image", "pixels", "observation", "rgb")
GOAL_KEYS = ("goal", "goal_image", "desired_goal")
SUCCESS_KEYS = ("is_success", "success")
GOAL_STEP = -1.0  # stands for the goal in a pose's second place
DEFAULT_STEPS = 50


class GymWorld:
    """`spikeplan.worldmodel.tasks.world.World` over `gymnasium.make(env_id)`.

    Args:
        env_id: gymnasium's id; `module:id` imports the module first, as gymnasium does.
        image, goal: keys of a dict observation; the first known ones where not given.
        goal_image: called with the environment after its reset, returns the image of the goal.
        max_steps: control steps of an episode; the environment's own limit where not given.

    Raises UserError where the environment cannot be made or shows no image.

    >>> world = GymWorld("my_module:Corridor-v0")
    """

    tolerance = 0.5
    pose_dim = 2

    def __init__(
        self,
        env_id: str,
        *,
        image: str | None = None,
        goal: str | None = None,
        goal_image: Callable[[gymnasium.Env[Any, Any]], Any] | None = None,
        max_steps: int | None = None,
        control_period_s: float = 0.1,
    ) -> None:
        self.env_id, self.name, self.control_period_s = env_id, f"gym:{env_id}", control_period_s
        self.goal_image = goal_image
        env = self._make()
        self.image_key, self.goal_key = image, goal
        space = env.observation_space
        if isinstance(space, gymnasium.spaces.Dict):
            self.image_key = image or next((key for key in IMAGE_KEYS if key in space.spaces), None)
            self.goal_key = goal or next((key for key in GOAL_KEYS if key in space.spaces), None)
        first = self._seen(env.reset(seed=0)[0], self.image_key)
        if self.goal_key is None and goal_image is None:
            raise UserError(
                f"task {self.name}: observations hold no goal image ({', '.join(GOAL_KEYS)}); export a Task with "
                "GymWorld(..., goal_image=...) from a plug-in"
            )
        action = env.action_space
        if not isinstance(action, gymnasium.spaces.Box) or len(action.shape) != 1:
            raise UserError(f"task {self.name}: actions are {action}; a planner here needs a Box of one row")
        limit = float(np.abs(np.concatenate([action.low, action.high])).max())
        if not np.isfinite(limit):
            raise UserError(f"task {self.name}: actions have no limit; wrap the environment in RescaleAction")
        self.image_shape = (int(first.shape[0]), int(first.shape[1]), int(first.shape[2]))
        self.action_dim, self.action_limit = int(action.shape[0]), limit
        own = getattr(env.spec, "max_episode_steps", None)
        self.max_steps = max_steps or own or DEFAULT_STEPS
        env.close()
        self._open: dict[int, _Episode] = {}
        self._count = 0

    def _make(self) -> gymnasium.Env[Any, Any]:
        try:
            return gymnasium.make(self.env_id)
        except Exception as error:  # an environment may raise anything
            detail = " ".join(str(error).split())[:160]
            raise UserError(f"task gym:{self.env_id}: gymnasium cannot make it ({detail}); check the id") from error

    def _seen(self, observation: Any, key: str | None) -> Image:
        """(C, H, W) float32 in [0, 1]."""
        found = np.asarray(observation[key] if isinstance(observation, dict) and key is not None else observation)
        if isinstance(observation, dict) and key is None:
            raise UserError(
                f"task {self.name}: observations {sorted(observation)} hold no image; expected one of "
                f"{', '.join(IMAGE_KEYS)}: wrap the environment in AddRenderObservation"
            )
        if found.ndim == 2:
            found = found[None]
        if found.ndim == 3 and found.shape[2] in (1, 2, 3, 4) and found.shape[0] not in (1, 2, 3, 4):
            found = found.transpose(2, 0, 1)
        if found.ndim != 3 or found.shape[1] % 8 or found.shape[2] % 8 or min(found.shape[1:]) < 8:
            raise UserError(
                f"task {self.name}: observation of shape {found.shape} is no image with sides that are multiples of 8; "
                "wrap the environment in AddRenderObservation and ResizeObservation"
            )
        return found.astype(np.float32) / (255.0 if found.dtype == np.uint8 else 1.0)

    def sample(self, n: int, rng: np.random.Generator) -> Episodes:
        """N episodes, each an environment reset with a seed of its own."""
        start, layout = self.random_pose(n, rng)
        return Episodes(start, np.stack([start[:, 0], np.full(n, GOAL_STEP)], 1), layout)

    def random_pose(self, n: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Where n episodes start: pose (n, 2) and seeds (n, 1)."""
        numbers = np.arange(self._count, self._count + n, dtype=np.float64)
        self._count += n
        seeds = rng.integers(0, 2**31, n).astype(np.float64)
        return np.stack([numbers, np.zeros(n)], 1), seeds[:, None]

    def _episode(self, pose: Array, layout: Array) -> _Episode:
        number = int(pose[0])
        if number not in self._open:
            self._open[number] = _Episode(self, int(layout[0]))
        return self._open[number]

    def move(self, pose_NP: Array, action_NA: Array, layout_NL: Array) -> Array:
        action = np.clip(action_NA, -self.action_limit, self.action_limit)
        for pose, one, layout in zip(pose_NP, action, layout_NL, strict=True):
            self._episode(pose, layout).step(int(pose[1]), one)
        after: Array = pose_NP + np.array([0.0, 1.0])
        return after

    def render(self, pose_NP: Array, layout_NL: Array) -> Image:
        """(N, C, H, W) of each pose; the goal's image where the pose is a goal."""
        rows = zip(pose_NP, layout_NL, strict=True)
        return np.stack([self._episode(pose, layout).image(pose[1]) for pose, layout in rows])

    def proprioception(self, pose_NP: Array) -> Array:
        return np.zeros((len(pose_NP), 0))

    def distance(self, pose_NP: Array, goal_NP: Array) -> Array:
        done = [self._open[int(p[0])].succeeded(int(p[1])) if int(p[0]) in self._open else False for p in pose_NP]
        return 1.0 - np.array(done, np.float64)


class _Episode:
    """One environment with what it was told and what it showed."""

    def __init__(self, world: GymWorld, seed: int) -> None:
        self.world, self.seed = world, seed
        self.env = world._make()
        self.actions: list[NDArray[np.float64]] = []
        observation, _ = self.env.reset(seed=seed)
        goal = world.goal_image(self.env) if world.goal_image is not None else observation[world.goal_key]
        self.goal = world._seen(goal, None)
        self.images = [world._seen(observation, world.image_key)]
        self.success = [False]
        self.ended = False

    def step(self, at: int, action: NDArray[np.float64]) -> None:
        if at != len(self.actions):  # another future of a pose that was left behind
            kept = self.actions[:at]
            self.env.reset(seed=self.seed)
            self.actions, self.images, self.success, self.ended = [], self.images[:1], [False], False
            for before in kept:
                self.step(len(self.actions), before)
        self.actions.append(action)
        if self.ended:  # the environment is over; the episode stays where it was
            self.images.append(self.images[-1])
            self.success.append(self.success[-1])
            return
        space = self.env.action_space
        assert isinstance(space, gymnasium.spaces.Box)
        told = np.clip(action, space.low, space.high).astype(space.dtype)
        observation, _, terminated, truncated, info = self.env.step(told)
        self.images.append(self.world._seen(observation, self.world.image_key))
        known = next((info[key] for key in SUCCESS_KEYS if key in info), terminated)
        self.success.append(bool(np.asarray(known).item()))
        self.ended = bool(terminated or truncated)

    def image(self, at: float) -> Image:
        return self.goal if at == GOAL_STEP else self.images[int(at)]

    def succeeded(self, at: int) -> bool:
        return at >= 0 and self.success[min(at, len(self.success) - 1)]
