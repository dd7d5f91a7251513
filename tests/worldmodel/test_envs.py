"""The gymnasium shells: single and vector environments are one world, seeded, and interpolate within a step."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from spikeplan import worldmodel
from spikeplan.core.errors import UserError
from spikeplan.worldmodel.tasks import make_world
from spikeplan.worldmodel.tasks.envs import TaskEnv, TaskVectorEnv

assert worldmodel  # importing it registers the environments

IDS = ("spikeplan/TwoRoom-v0", "spikeplan/PlanarReach-v0")


def make(env_id: str, **options) -> TaskEnv:
    env = gymnasium.make(env_id, **options).unwrapped
    assert isinstance(env, TaskEnv)
    return env


@pytest.mark.parametrize("env_id", IDS)
def test_single_and_vector_environments_agree(env_id):
    single = make(env_id)
    vector = gymnasium.make_vec(env_id, num_envs=1, vectorization_mode="vector_entry_point")
    observation, info = single.reset(seed=11)
    observations, infos = vector.reset(seed=11)
    rng = np.random.default_rng(0)
    ended, steps = False, 0
    while not ended:
        for ours, theirs in ((observation, observations), (info, infos)):
            assert ours.keys() == theirs.keys()
            assert all(np.array_equal(ours[key], theirs[key][0]) for key in ours)
        assert single.observation_space.contains(observation)
        action = rng.uniform(-0.1, 0.1, single.action_space.shape).astype(np.float32)
        observation, reward, terminated, ended, info = single.step(action)
        observations, rewards, ends, truncations, infos = vector.step(action[None])
        assert (reward, terminated, ended) == (rewards[0], ends[0], truncations[0])
        steps += 1
    assert steps == single.world.max_steps


@pytest.mark.parametrize("env_id", IDS)
def test_many_environments_are_the_single_ones_side_by_side(env_id):
    vector = gymnasium.make_vec(env_id, num_envs=3, vectorization_mode="vector_entry_point")
    vector.reset(seed=2)
    episodes = vector.unwrapped.episodes
    actions = np.random.default_rng(1).uniform(-0.1, 0.1, (6, 3, 2))
    singles = []
    for i in range(3):
        env = make(env_id)
        env.reset(options={"episodes": episodes.take(slice(i, i + 1))})
        singles.append([env.step(action[i])[0]["image"] for action in actions])
    for t, action in enumerate(actions):
        image = vector.step(action)[0]["image"]
        assert all((image[i] == singles[i][t]).all() for i in range(3))


@pytest.mark.parametrize("env_id", IDS)
def test_reset_is_seeded(env_id):
    env = make(env_id)
    poses = [env.reset(seed=seed)[1]["pose"].tolist() for seed in (3, 3, 4)]
    assert poses[0] == poses[1] != poses[2]
    assert env.reset()[1]["pose"].tolist() != poses[2], "without a seed the stream goes on"
    assert env.reset(seed=3, options={})[1]["pose"].tolist() == poses[0]


def test_options_reach_the_world():
    assert make("spikeplan/TwoRoom-v0", random_door=True).world.random_door
    assert make("spikeplan/PlanarReach-v0", level="near").world.level == "near"


@pytest.mark.parametrize("task", ["two-room", "planar-reach"])
def test_pose_at_is_linear_within_a_step(task):
    env = TaskVectorEnv(make_world(task), 5)
    start = env.reset(seed=1)[1]["pose"]
    assert (env.pose_at(50_000) == start).all(), "before the first step nothing moves"
    after = env.step(np.full((5, 2), 0.05))[4]["pose"]
    assert (after != start).any()
    period_us = env.control_period_s * 1e6
    for share in (0.0, 0.25, 0.5, 1.0):
        assert env.pose_at(share * period_us) == pytest.approx(start + share * (after - start), abs=1e-12)
    assert (env.pose_at(-1.0) == start).all()
    assert (env.pose_at(9 * period_us) == after).all()
    between = env.pose_at(0.3 * period_us)
    assert (env.render(between) == env.world.render(between, env.episodes.layout_NL)).all()
    assert (env.render() == env.render(after)).all()


def test_success_is_judged_at_the_last_step():
    world = make_world("planar-reach")
    env = TaskVectorEnv(world, 2)
    start = np.zeros((2, 2))
    goal = np.array([[0.2, 0.0], [2.0, 0.0]])
    episodes = world.sample(2, np.random.default_rng(0))._replace(start_NP=start, goal_NP=goal)
    env.reset(options={"episodes": episodes})
    for step in range(1, world.max_steps + 1):
        action = np.array([[0.2, 0.0], [0.0, 0.0]]) if step == 1 else np.zeros((2, 2))
        _, reward, terminated, truncated, info = env.step(action)
        last = step == world.max_steps
        assert reward.tolist() == [float(last), 0.0]
        assert terminated.tolist() == [last, False]
        assert truncated.tolist() == [last, last]
    assert info["distance"][0] == pytest.approx(0)


def test_bad_input_is_refused():
    with pytest.raises(UserError, match="num_envs 0"):
        TaskVectorEnv(make_world("two-room"), 0)
    env = TaskEnv(make_world("two-room"))
    env.reset(seed=0)
    with pytest.raises(UserError, match="action is not finite"):
        env.step(np.array([np.nan, 0.0]))
