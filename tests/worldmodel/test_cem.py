"""CEM: plans with the true state where chance fails, pairs its noise, and counts every multiplication."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeplan.core.counts.operations import OperationCounts, total
from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.closed_loop import TrueLatent, random_policy, run_episodes, step_generator
from spikeplan.worldmodel.planning.costs import LatentDistance
from spikeplan.worldmodel.predictor import DensePredictor, ResidualPredictor, TrueStatePredictor
from spikeplan.worldmodel.tasks import make_world


def oracle(task: str, config: CEMConfig) -> tuple:
    world = make_world(task)
    planner = CEMPlanner(
        TrueStatePredictor(world), config, action_dim=world.action_dim, action_limit=world.action_limit
    )
    return world, planner


def test_cem_with_the_true_state_reaches_where_a_random_policy_does_not():
    world, planner = oracle("planar-reach", CEMConfig(samples=48, iterations=3, elites=6, horizon=6, chunk=2))
    episodes = world.sample(20, np.random.default_rng(0))
    outcome = run_episodes(world, TrueLatent(), planner, episodes, seed=1)
    assert outcome.success_N.sum() >= 18
    assert random_policy(world, episodes, rng=np.random.default_rng(2)).success_N.sum() <= 4
    assert (outcome.success_N == (world.distance(outcome.poses_NTP[:, -1], episodes.goal_NP) <= 0.1)).all()
    assert (np.abs(outcome.actions_NTA) <= world.action_limit).all()
    pose = episodes.start_NP
    for step in range(world.max_steps):
        pose = world.move(pose, outcome.actions_NTA[:, step], episodes.layout_NL)
        assert (pose == outcome.poses_NTP[:, step + 1]).all()


SMALL = CEMConfig(samples=12, iterations=2, elites=3, horizon=3)


def test_noise_is_paired_whatever_the_blocks_and_shards():
    world, planner = oracle("two-room", SMALL)
    episodes = world.sample(7, np.random.default_rng(0))
    whole = run_episodes(world, TrueLatent(), planner, episodes, seed=5)
    for block in (1, 3, 7):
        again = run_episodes(world, TrueLatent(), planner, episodes, seed=5, block=block)
        assert all((a == b).all() for a, b in zip(whole, again, strict=True)), block
    shards = [
        run_episodes(
            world,
            TrueLatent(),
            planner,
            episodes.take(slice(a, b)),
            seed=5,
            block=2,
            noise_rows=(a, len(whole.success_N)),
        )
        for a, b in ((0, 4), (4, 7))
    ]
    for ours, *theirs in zip(whole, *shards, strict=True):
        assert (ours == np.concatenate(theirs)).all()
    other = run_episodes(world, TrueLatent(), planner, episodes, seed=6)
    assert (other.actions_NTA != whole.actions_NTA).any()


def test_noise_depends_on_seed_and_step_only():
    _, planner = oracle("two-room", SMALL)
    draws = [planner.noise(4, step_generator(*key)) for key in ((1, 2), (1, 2), (1, 3), (2, 2))]
    assert draws[0].shape == (4, 12, 3, 2)
    assert (draws[0] == draws[1]).all()
    assert (draws[0] != draws[2])[:, 1:].any()
    assert (draws[0] != draws[3])[:, 1:].any()
    assert (draws[0][:, 0] == 0).all()
    assert draws[0][:, 1:].std() == pytest.approx(1, abs=0.2)


def test_candidate_zero_is_the_mean():
    config = CEMConfig(samples=10, iterations=3, elites=2, horizon=5, chunk=2)
    world, planner = oracle("two-room", config)
    episodes = world.sample(3, np.random.default_rng(0))
    latent, goal = (TrueLatent()(pose, episodes.layout_NL) for pose in (episodes.start_NP, episodes.goal_NP))
    warm = torch.rand(3, 3, 2) * 0.1 - 0.05
    action, mean, trace = planner.plan(latent, goal, planner.noise(3, step_generator(0, 0)), warm, record=True)
    before = [warm, *trace.mean_IBVA[:-1]]
    for candidates, expected in zip(trace.candidates_IBSHA, before, strict=True):
        assert (candidates[:, 0] == planner.expand(expected)).all()
    assert (mean == trace.mean_IBVA[-1]).all()
    assert (action == mean[:, 0]).all()
    assert (trace.candidates_IBSHA[..., 0, :] == trace.candidates_IBSHA[..., 1, :]).all(), "a variable holds 2 steps"
    assert (trace.candidates_IBSHA[..., 1, :] != trace.candidates_IBSHA[..., 2, :]).any()
    assert (trace.candidates_IBSHA.abs() <= world.action_limit).all()
    # Refit: mean and spread of the two candidates with the least cost.
    first = trace.candidates_IBSHA[0][:, :, ::2]
    for b in range(3):
        elite = first[b, trace.cost_IBS[0, b].argsort()[:2]]
        assert trace.mean_IBVA[0, b] == pytest.approx(elite.mean(0), abs=1e-6)
        floor = config.sigma_floor * world.action_limit
        assert trace.spread_IBVA[0, b] == pytest.approx(elite.std(0, correction=0).clamp_min(floor), abs=1e-6)
    costs = LatentDistance().cost(trace.latents_IBSHD[0], None, goal)
    assert (costs == trace.cost_IBS[0]).all()


def test_distance_by_hand():
    latent, goal = torch.tensor([[[[1.0, -2.0], [3.0, 0.0]]]]), torch.tensor([[0.0, 1.0]])
    gaps = {("l1", "sum"): 1 + 3 + 3 + 1, ("l1", "last"): 4, ("mse", "sum"): 1 + 9 + 9 + 1, ("mse", "last"): 10}
    for (energy, reduce), expected in gaps.items():
        assert LatentDistance(energy, reduce).cost(latent, None, goal).tolist() == [[expected]]


@pytest.mark.parametrize(
    ("horizon", "chunk", "plan", "expected"),
    [
        (3, 1, [1, 2, 3], [2, 3, 3]),
        (6, 3, [3, 9], [5, 9]),  # 3 3 3 9 9 9 -> 3 3 9 | 9 9 9
        (5, 3, [3, 9], [5, 9]),  # 3 3 3 9 9 -> 3 3 9 | 9 9 (9)
        (4, 3, [3, 9], [5, 9]),  # 3 3 3 9 -> 3 3 9 | 9 (9 9)
        (2, 4, [7], [7]),
    ],
)
def test_warm_start_shifts_by_one_control_step(horizon, chunk, plan, expected):
    _, planner = oracle("two-room", CEMConfig(horizon=horizon, chunk=chunk))
    mean = torch.tensor(plan, dtype=torch.float32)[None, :, None].expand(1, -1, 2)
    assert planner.expand(mean)[0, :, 0].tolist() == [plan[t // chunk] for t in range(horizon)]
    assert planner.shift(mean)[0, :, 1].tolist() == expected


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        *(
            ({name: 0}, f"{name} 0 must be at least 1")
            for name in ("samples", "iterations", "elites", "horizon", "chunk")
        ),
        ({"samples": 4, "elites": 5}, "elites 5 exceed samples 4; lower"),
        ({"energy": "l3"}, "energy 'l3'"),
        ({"reduce": "max"}, "reduce 'max'"),
        ({"sigma": 0.0}, "sigma 0.0 must be > 0"),
        ({"sigma": float("nan")}, "sigma nan must be > 0"),
    ],
)
def test_impossible_settings_are_refused(change, complaint):
    with pytest.raises(UserError, match=complaint):
        CEMConfig(**change)


def test_budgets():
    config = CEMConfig(samples=64, iterations=4, elites=8, horizon=12, chunk=5)
    assert (config.variables, config.evaluations, config.label) == (3, 64 * 4 * 12, "64x4 H12")
    assert config.at(samples=16).elites == 2
    assert config.at(samples=2).elites == 1
    assert config.at(samples=16, elites=5, horizon=1).elites == 5


def test_latents_and_costs_that_are_not_finite_are_refused():
    world, planner = oracle("two-room", SMALL)
    good, noise = torch.zeros(2, 3), planner.noise(2, step_generator(0, 0))
    for latent, goal in ((good / 0, good), (good, good + float("inf"))):
        with pytest.raises(UserError, match=r"latent is not finite.*encoder"):
            planner.plan(latent, goal, noise)
    module = ResidualPredictor(3, 2, (4,))
    with torch.no_grad():
        module.net[-1].bias.fill_(float("inf"))
    diverging = CEMPlanner(DensePredictor(module), SMALL, action_dim=2, action_limit=world.action_limit)
    with pytest.raises(UserError, match=r"cost is not finite.*predictor diverged"):
        diverging.plan(good, good, noise)


def test_references_that_a_predictor_lacks_are_refused():
    _, planner = oracle("two-room", SMALL)
    planner.reference = "mean_candidate"
    with pytest.raises(UserError, match="reference 'mean_candidate' is not offered.*use one of zero"):
        planner.plan(torch.zeros(1, 3), torch.zeros(1, 3), planner.noise(1, step_generator(0, 0)))
    world = planner.predictor.world
    with pytest.raises(UserError, match="0 episodes"):
        run_episodes(world, TrueLatent(), planner, world.sample(1, np.random.default_rng(0)).take(slice(0, 0)), seed=0)


def test_the_op_counts_counts_every_multiplication():
    """MACs are S x I x H x weights for each action, evaluated in S x I x H calls; nothing else multiplies."""
    module = ResidualPredictor(3, 2, (7, 5))
    weights = 5 * 7 + 7 * 5 + 5 * 3
    world = make_world("two-room")
    op_counts = OperationCounts(method="dense", reference="zero", precision="fp32", spiking=False)
    config = CEMConfig(samples=6, iterations=2, elites=2, horizon=5, chunk=2)
    planner = CEMPlanner(DensePredictor(module), config, action_dim=2, action_limit=0.08, op_counts=op_counts)
    episodes = world.sample(3, np.random.default_rng(0))
    run_episodes(world, TrueLatent(), planner, episodes, seed=0, block=2)
    actions = 3 * world.max_steps
    assert op_counts.actions == actions
    rows = op_counts.rows("batched")
    assert total(rows, "macs") == actions * 6 * 2 * 5 * weights
    assert sum(c.calls for key, c in op_counts.counts("predictor") if key[1] == "h1") == actions * 6 * 2 * 5
    by_place = {(key[1], key[2], key[3]): c.macs for key, c in op_counts.counts("predictor")}
    assert set(by_place) == {(f"h{n}", i, t) for n in (1, 2, 3) for i in range(2) for t in range(5)}
    assert by_place["h2", 1, 4] == actions * 6 * 35
    phases = {row.layer: row for row in rows}
    assert sum(row.acs for row in rows if row.layer == "distance") == actions * 2 * (2 * 6 * 5 * 3)
    assert sum(row.acs for row in rows if row.layer == "select") == actions * 2 * (6 * 24)
    assert sum(row.acs for row in rows if row.layer == "refit") == actions * 2 * (2 * 2 * 3 * 2)
    assert phases["candidates"].host_words == actions * 2 * 6 * 3 * 2
    assert phases["latents"].host_words == actions * 2 * 3
