"""The keep-out task: discs lie on the way, a path through one fails, and planning with its cost goes round."""

from __future__ import annotations

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.shard import Job, run_job
from spikeplan.worldmodel.planning.closed_loop import TrueLatent, goals_of, random_policy, run_episodes
from spikeplan.worldmodel.planning.task_cost import latent_margin, task_cost
from spikeplan.worldmodel.tasks import make_world, task_of
from spikeplan.worldmodel.tasks.keep_out import RADIUS, KeepOutWorld
from spikeplan.worldmodel.tasks.places import check_places
from spikeplan.worldmodel.tasks.world import Episodes, KeepOut


@pytest.mark.parametrize(("task", "discs"), [("keep-out", 1), ("keep-out-two", 2)])
def test_discs_lie_on_the_way_and_clear_of_both_ends(task: str, discs: int) -> None:
    world = make_world(task)
    assert isinstance(world, KeepOut) and world.name == task
    episodes = world.sample(200, np.random.default_rng(0))
    centres = episodes.layout_NL[:, 1:].reshape(200, discs, 2)
    assert len(episodes.start_NP) == 200
    for end in (episodes.start_NP, episodes.goal_NP):
        assert (np.linalg.norm(end[:, None] - centres, axis=-1) > RADIUS).all()
    door = np.stack([np.full(200, 0.5), episodes.layout_NL[:, 0]], 1)
    straight = np.zeros(200, bool)
    for begin, end in ((episodes.start_NP, door), (door, episodes.goal_NP)):
        for share in np.linspace(0, 1, 40):
            at = begin + share * (end - begin)
            straight |= (np.linalg.norm(at[:, None] - centres, axis=-1) < RADIUS).any(1)
    assert straight.all(), "the straight way through the door enters a disc"
    again = world.sample(200, np.random.default_rng(0))
    assert all((a == b).all() for a, b in zip(episodes, again, strict=True))


def test_a_path_is_checked_between_its_ends() -> None:
    world = KeepOutWorld()
    layout = np.array([[0.51, 0.3, 0.3]])
    for before, after, entered in (
        ([0.26, 0.2], [0.34, 0.2], False),  # passes 0.1 below the centre
        ([0.3, 0.2], [0.3, 0.28], True),
        ([0.205, 0.3], [0.395, 0.3], True),  # both ends outside
    ):
        assert world.violated(np.array([before]), np.array([after]), layout)[0] == entered


def test_a_planner_is_shown_the_inside_of_the_discs() -> None:
    world = make_world("keep-out-two")
    episodes = world.sample(3, np.random.default_rng(1))
    goal = goals_of(world, TrueLatent(), episodes.goal_NP, episodes.layout_NL)
    assert goal.places == 18 and goal.keep_out_BKD is not None
    poses = goal.keep_out_BKD[..., :2].numpy()
    centres = episodes.layout_NL[:, 1:].reshape(3, 2, 2)
    inside = np.linalg.norm(poses[:, :, None] - centres[:, None], axis=-1).min(2)
    assert (inside < RADIUS).all() and np.allclose(inside[:, 0], 0, atol=1e-6)
    assert goals_of(make_world("two-room"), TrueLatent(), episodes.goal_NP, episodes.layout_NL[:, :1]).places == 0


def test_a_margin_is_measured_in_latents() -> None:
    """Of the oracle's latent, which is the pose: the displacement's own L1 length, between 1 and sqrt(2) of it."""
    world = make_world("keep-out")
    assert 0.05 <= latent_margin(world, TrueLatent()) <= 0.05 * 2**0.5
    assert task_cost(make_world("two-room"), TrueLatent(), CEMConfig()) is None


def job(method: str, **more: object) -> Job:
    settings = {"task": "keep-out", "role": "headline", "episodes": 16, "count": 16, "planner": CEMConfig()}
    return Job(method=method, **(settings | more))  # type: ignore[arg-type]


def test_planning_goes_round_where_a_policy_that_was_told_walks_through() -> None:
    planner = task_of("keep-out").planner
    assert planner is not None
    many = {"episodes": 32, "count": 32}
    planned = run_job(job("guided", planner=planner, **many))
    acted = run_job(job("policy", planner=DirectConfig(), **many))
    assert sum(planned.success) >= 26 and sum(acted.success) <= sum(planned.success) - 6


def test_a_search_finds_a_way_round_without_a_policy() -> None:
    small = CEMConfig(samples=32, iterations=3, elites=4, horizon=12, chunk=3)
    assert sum(run_job(job("dense", planner=small)).success) >= 10


def test_chance_enters_discs_too() -> None:
    world = make_world("keep-out")
    outcome = random_policy(world, world.sample(60, np.random.default_rng(2)), rng=np.random.default_rng(3))
    assert not outcome.clean_N.all() and not (outcome.success_N & ~outcome.clean_N).any()


def test_a_planner_without_costs_says_so() -> None:
    with pytest.raises(UserError, match="planner 'integer_cem' takes no cost, and task 'keep-out' needs one"):
        run_job(job("integer", episodes=1, count=1))


@pytest.mark.parametrize(
    ("disc", "said"),
    [
        ((0.2, 0.5), "task keep-out: episode 11: a place to keep out of covers its start; move the place"),
        ((0.8, 0.55), "task keep-out: episode 11: a place to keep out of covers its goal"),
        ((1.5, 0.5), "task keep-out: episode 11: a place to keep out of lies outside the image"),
        ((float("nan"), 0.5), "task keep-out: episode 11: a place to keep out of is not finite"),
    ],
)
def test_a_place_that_nobody_could_keep_out_of_is_refused_by_episode(disc: tuple[float, float], said: str) -> None:
    world = make_world("keep-out")
    start, goal = np.array([[0.2, 0.5]] * 2), np.array([[0.8, 0.5]] * 2)
    layout = np.array([[0.51, 0.35, 0.8], [0.51, *disc]])
    check_places(world, Episodes(start[:1], goal[:1], layout[:1]))
    with pytest.raises(UserError, match=said):
        check_places(world, Episodes(start, goal, layout), first=10)
    with pytest.raises(UserError, match=said.replace("11", "1")):  # the loop asks before it plans
        run_episodes(world, TrueLatent(), _Never(), Episodes(start, goal, layout), seed=0, block=2)  # type: ignore[arg-type]


def test_a_world_that_shows_no_place_is_refused() -> None:
    class Blind(KeepOutWorld):
        def keep_out_poses(self, layout_NL: np.ndarray) -> np.ndarray:
            return np.zeros((len(layout_NL), 0, 2))

    world = Blind()
    with pytest.raises(UserError, match=r"keep_out_poses has shape \(3, 0, 2\), .* at least one pose is expected"):
        check_places(world, world.sample(3, np.random.default_rng(0)))


class _Never:
    """A planner that must not be asked."""

    op_counts = None
