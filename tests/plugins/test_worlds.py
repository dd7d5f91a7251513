"""A task or an environment from outside the repository, planned in by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.tasks import TASKS, make_world

CORRIDOR = '''
    """A robot in a corridor that must reach a mark on the wall."""
    from dataclasses import dataclass

    import numpy as np

    from spikeplan.worldmodel.tasks.base import Task
    from spikeplan.worldmodel.tasks.world import Episodes, sample_unsolved


    @dataclass(frozen=True, kw_only=True)
    class Corridor:
        name: str = "corridor"
        control_period_s: float = 0.1
        action_dim: int = 1
        action_limit: float = 0.2
        pose_dim: int = 1
        image_shape: tuple = (1, 8, 16)
        max_steps: int = 5
        tolerance: float = 0.1

        def sample(self, n, rng):
            def draw(count, rng):
                return Episodes(rng.uniform(0, 1, (count, 1)), rng.uniform(0, 1, (count, 1)), np.zeros((count, 0)))

            return sample_unsolved(self, n, draw, rng)

        def random_pose(self, n, rng):
            return rng.uniform(0, 1, (n, 1)), np.zeros((n, 0))

        def move(self, pose, action, layout):
            return np.clip(pose + np.clip(action, -self.action_limit, self.action_limit), 0, 1)

        def render(self, pose, layout):
            place = np.exp(-((np.arange(16) / 15 - pose) ** 2) / 0.01)
            return np.repeat(place[:, None, None], 8, 2).astype(np.float32)

        def proprioception(self, pose):
            return pose

        def distance(self, pose, goal):
            return np.abs(pose - goal)[:, 0]


    TASK = Task(name="corridor", world=Corridor, recipe={"steps": 2, "latent_dim": 4})
'''


def test_a_task(planned: Any, model_of: Any, plug: Any, tmp_path: Path) -> None:
    path = plug(CORRIDOR)
    model = model_of("corridor", tmp_path / "corridor.safetensors")
    found = planned("corridor", "dense", tmp_path / "out", "--checkpoint", str(model), "--chunk", "1")
    assert found["episodes"] == 3 and found["macs_per_action"] > 0
    assert TASKS["corridor"].world().name == "corridor" and path.is_file()


def test_a_gymnasium_environment_by_its_id(planned: Any, model_of: Any, plug: Any, tmp_path: Path) -> None:
    """Observations are uint8 pictures, actions a Box; planned in by id with the dense planner."""
    plug(
        """
        import gymnasium
        import numpy as np


        class Track(gymnasium.Env):
            observation_space = gymnasium.spaces.Dict({
                key: gymnasium.spaces.Box(0, 255, (16, 16, 3), np.uint8) for key in ("image", "goal")
            })
            action_space = gymnasium.spaces.Box(-0.3, 0.3, (2,), np.float32)

            def _picture(self, at):
                picture = np.zeros((16, 16, 3), np.uint8)
                x, y = (np.clip(at, 0, 0.99) * 16).astype(int)
                picture[y, x] = 255
                return picture

            def reset(self, *, seed=None, options=None):
                super().reset(seed=seed)
                self.at, self.goal = self.np_random.uniform(0, 1, 2), self.np_random.uniform(0, 1, 2)
                return {"image": self._picture(self.at), "goal": self._picture(self.goal)}, {}

            def step(self, action):
                self.at = np.clip(self.at + action, 0, 1)
                done = bool(np.abs(self.at - self.goal).max() < 0.2)
                return {"image": self._picture(self.at), "goal": self._picture(self.goal)}, 0.0, done, False, {}


        gymnasium.register("outside/Track-v0", entry_point=Track, max_episode_steps=6)
        TASK = ()
        """
    )
    task = "gym:outside/Track-v0"
    world = make_world(task)
    assert (world.image_shape, world.action_dim, world.max_steps) == ((3, 16, 16), 2, 6)
    start, goal, layout = world.sample(2, np.random.default_rng(0))
    first = world.render(start, layout)
    forward = world.move(start, np.full((2, 2), 0.3), layout)
    after = world.render(forward, layout)
    assert not np.array_equal(first, after) and not np.array_equal(world.render(goal, layout), first)
    other = world.move(start, np.full((2, 2), -0.3), layout)  # another future of the same pose
    assert np.array_equal(world.render(start, layout), first) and not np.array_equal(world.render(other, layout), after)
    model = model_of(task, tmp_path / "track.safetensors")
    found = planned(task, "dense", tmp_path / "out", "--checkpoint", str(model), "--chunk", "1")
    assert found["episodes"] == 3 and 0 <= found["success"] <= 1


@pytest.mark.parametrize(
    ("env_id", "remedy"), [("CartPole-v1", "wrap the environment"), ("outside/Missing-v0", "check the id")]
)
def test_an_environment_that_shows_nothing_is_refused(
    env_id: str, remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["plan", "--task", f"gym:{env_id}", "--method", "random", "--out", str(tmp_path / "o"), "--episodes", "1"])
    said = capsys.readouterr().err
    assert stop.value.code == 2 and remedy in said and said.count("\n") == 1
