"""Properties of the two worlds: walls hold, motion is clipped, images show the pose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.tasks import TASKS, make_world
from spikeplan.worldmodel.tasks.planar_reach import LEVELS, LINKS, PlanarReachWorld
from spikeplan.worldmodel.tasks.two_room import DOOR_HALF_WIDTH, HALF_THICKNESS, MARGIN, WALL_X, TwoRoomWorld

TINY = 1e-9


def in_wall(point_NP: np.ndarray, door_N: np.ndarray) -> np.ndarray:
    """Strictly inside the wall and outside the door."""
    deep = np.abs(point_NP[:, 0] - WALL_X) < HALF_THICKNESS - TINY
    return deep & (np.abs(point_NP[:, 1] - door_N) > DOOR_HALF_WIDTH + TINY)


def walk_is_free(pose: np.ndarray, actions: list[np.ndarray], layout: np.ndarray) -> tuple[np.ndarray, int]:
    """Walk, and look at 41 points of every straight step; returns the last pose and the steps through the door."""
    world, crossed = TwoRoomWorld(random_door=True), 0
    for action in actions:
        after = world.move(pose, action, layout)
        for share in np.linspace(0, 1, 41):
            assert not in_wall(pose + share * (after - pose), layout[:, 0]).any()
        assert (np.abs(after - pose) <= world.action_limit + TINY).all()
        assert ((after >= MARGIN - TINY) & (after <= 1 - MARGIN + TINY)).all()
        crossed += int(((pose[:, 0] < WALL_X) != (after[:, 0] < WALL_X)).sum())
        pose = after
    return pose, crossed


def test_walls_hold_on_large_random_walks():
    rng = np.random.default_rng(0)
    world = TwoRoomWorld(random_door=True)
    pose, layout = world.random_pose(4000, rng)
    assert not in_wall(pose, layout[:, 0]).any()
    # Long headings make robots press against walls and jambs.
    heading = rng.uniform(-0.1, 0.1, (4000, 2))
    actions = [np.where(rng.random((4000, 1)) < 0.8, heading, rng.uniform(-0.1, 0.1, (4000, 2))) for _ in range(40)]
    _, crossed = walk_is_free(pose, actions, layout)
    assert crossed > 500, "the door is open"


COORDINATE = st.floats(MARGIN, 1 - MARGIN)
ACTION = st.floats(-0.2, 0.2)


@given(
    x=st.one_of(COORDINATE, st.sampled_from([WALL_X - HALF_THICKNESS, WALL_X + HALF_THICKNESS])),
    y=COORDINATE,
    door=st.floats(0.2, 0.8),
    actions=st.lists(st.tuples(ACTION, ACTION), min_size=1, max_size=6),
)
def test_walls_hold_anywhere(x, y, door, actions):
    pose, layout = np.array([[x, y]]), np.array([[door]])
    if in_wall(pose, layout[:, 0]).any():
        pose[0, 1] = np.clip(y, door - DOOR_HALF_WIDTH, door + DOOR_HALF_WIDTH)
    walk_is_free(pose, [np.array([a]) for a in actions], layout)


def test_two_room_motion_by_hand():
    """Door at 0.5: open from 0.39 to 0.61. Into the wall x stops at its face and y goes on; through the door it passes."""
    world = TwoRoomWorld()
    pose = np.array([[0.45, 0.20], [0.45, 0.50], [0.30, 0.30], [0.50, 0.60], [0.94, 0.06]])
    action = np.array([[0.08, 0.05], [0.08, 0.05], [-0.50, 0.02], [0.01, 0.08], [0.08, -0.08]])
    expected = [[0.48, 0.25], [0.53, 0.55], [0.22, 0.32], [0.51, 0.61], [0.95, 0.05]]
    assert world.move(pose, action, np.full((5, 1), 0.5)) == pytest.approx(np.array(expected), abs=1e-12)


@pytest.mark.parametrize("task", TASKS)
def test_a_world_is_pure_and_its_rows_are_independent(task):
    world = make_world(task)
    rng = np.random.default_rng(3)
    pose, layout = world.random_pose(7, rng)
    action = rng.uniform(-1, 1, (7, world.action_dim))
    before = pose.copy(), action.copy(), layout.copy()
    after, image = world.move(pose, action, layout), world.render(pose, layout)
    for i in range(7):
        one = slice(i, i + 1)
        assert (world.move(pose[one], action[one], layout[one]) == after[one]).all()
        assert (world.render(pose[one], layout[one]) == image[one]).all()
    assert all((a == b).all() for a, b in zip(before, (pose, action, layout), strict=True))
    assert (image.shape, image.dtype) == ((7, *world.image_shape), np.float32)
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.05
    limit = np.clip(action, -world.action_limit, world.action_limit)
    assert (after == world.move(pose, limit, layout)).all(), "larger actions are clipped"
    assert (world.distance(pose, pose) == 0).all()
    assert (world.distance(pose, after) == world.distance(after, pose)).all()
    assert len(world.proprioception(pose)) == 7


@pytest.mark.parametrize("task", TASKS)
def test_start_solved_episodes_are_excluded_and_sampling_is_seeded(task):
    world = make_world(task)
    one, two, other = (world.sample(3000, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert len(one.start_NP) == len(one.goal_NP) == len(one.layout_NL) == 3000
    assert (world.distance(one.start_NP, one.goal_NP) > world.tolerance).all()
    assert all((a == b).all() for a, b in zip(one, two, strict=True))
    assert (one.start_NP != other.start_NP).any()


def test_excluding_is_not_vacuous():
    """Near goals start solved often: drawn plainly, some must fall within the tolerance."""
    world = PlanarReachWorld(level="near")
    rng = np.random.default_rng(0)
    start = rng.uniform(-np.pi, np.pi, (3000, 2))
    goal = start + rng.uniform(-LEVELS["near"], LEVELS["near"], (3000, 2))
    assert (world.distance(start, goal) <= world.tolerance).mean() > 0.02


def test_two_room_starts_left_and_ends_right():
    for world in (TwoRoomWorld(), TwoRoomWorld(random_door=True)):
        episodes = world.sample(500, np.random.default_rng(0))
        assert (episodes.start_NP[:, 0] < WALL_X - HALF_THICKNESS).all()
        assert (episodes.goal_NP[:, 0] > WALL_X + HALF_THICKNESS).all()
        assert (episodes.layout_NL.std() > 0.1) == world.random_door


def test_two_room_image_shows_robot_and_door():
    rng = np.random.default_rng(1)
    world = TwoRoomWorld(random_door=True)
    pose, layout = rng.uniform(0.2, 0.8, (50, 2)), rng.uniform(0.3, 0.7, (50, 1))
    robot, wall = world.render(pose, layout).transpose(1, 0, 2, 3)
    axis = (np.arange(32) + 0.5) / 32
    mass = robot.sum((1, 2))
    assert (robot.sum(1) @ axis) / mass == pytest.approx(pose[:, 0], abs=1e-3)
    assert (robot.sum(2) @ axis) / mass == pytest.approx(pose[:, 1], abs=1e-3)
    opening = 1 - wall[:, :, 15] / wall[:, :1, 15]
    assert opening.sum(1) / 32 == pytest.approx(2 * DOOR_HALF_WIDTH, abs=1e-3)
    assert (opening @ axis) / opening.sum(1) == pytest.approx(layout[:, 0], abs=1e-3)
    assert (wall[:, :, :14] == 0).all()
    assert (wall[:, :, 18:] == 0).all()


def test_arm_geometry_and_image():
    world = PlanarReachWorld()
    pose = np.random.default_rng(2).uniform(-np.pi, np.pi, (40, 2))
    joint = world.joints(pose)
    for link, length in enumerate(LINKS):
        assert np.linalg.norm(joint[:, link + 1] - joint[:, link], axis=1) == pytest.approx(length)
    assert world.joints(np.zeros((1, 2)))[0].tolist() == [[0, 0], [0.5, 0], [0.9, 0]]
    assert world.joints(np.array([[np.pi / 2, -np.pi / 2]]))[0, 2] == pytest.approx([0.4, 0.5])
    image = world.render(pose)[:, 0]
    for n in range(40):  # the middle of each link is lit with its radiance
        for link, radiance in enumerate((0.6, 1.0)):
            x, y = joint[n, link : link + 2].mean(0)
            lit = image[n, int((y + 1) * 24), int((x + 1) * 24)]
            assert lit in (np.float32(radiance), np.float32(1.0)), "the forearm may lie over the upper link"
    turned = world.render(pose + np.array([np.pi, 0.0]))[:, 0]
    assert turned == pytest.approx(image[:, ::-1, ::-1], abs=2e-3)


def test_a_slow_joint_changes_the_image_smoothly():
    """A tenth of a pixel at the tip must change the image, and no pixel by much more than a tenth."""
    world = PlanarReachWorld()
    pose = np.random.default_rng(4).uniform(-np.pi, np.pi, (40, 2))
    step = 0.1 * (2 / 48) / 0.9
    change = np.abs(world.render(pose + np.array([step, 0.0])) - world.render(pose))
    assert (change.max((1, 2, 3)) > 0.02).all()
    assert change.max() < 0.2


def test_levels_bound_the_goal():
    for level, reach in LEVELS.items():
        episodes = PlanarReachWorld(level=level).sample(2000, np.random.default_rng(0))
        gap = np.abs(episodes.goal_NP - episodes.start_NP).max()
        assert 0.95 * reach < gap <= reach


def test_unknown_names_are_refused():
    with pytest.raises(UserError, match="task 'maze' is unknown; use one of .*two-room"):
        make_world("maze")
    with pytest.raises(UserError, match="level 'off' is unknown; use one of near"):
        PlanarReachWorld(level="off")
