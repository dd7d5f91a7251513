"""The fused kernel in Triton's interpreter beside the planner in torch: elites, means, spreads and the action, on the same noise.

A small network with odd sizes, so that every padding is there: 5 latents, 3 actions, 20 and 36 neurons, 70 candidates.
"""

from __future__ import annotations

import os
import sys

import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.planning.costs import Goal
from spikeplan.worldmodel.planning.fused import FusedPlanner, Tile, interpreted_plans, torch_plan
from spikeplan.worldmodel.planning.fused.planner import kernel_module
from spikeplan.worldmodel.planning.fused.weights import kernel_weights, padded
from spikeplan.worldmodel.predictor import DensePredictor, ResidualPredictor

LIMIT = 0.3
PLANS = 3
SMALL = CEMConfig(samples=70, iterations=3, elites=7, horizon=5, chunk=2)


def case(config: CEMConfig, *, spread: str = "std", warm: bool = False):
    """(module, reference planner, latent, goal, noise, warm or None)"""
    generator = torch.Generator().manual_seed(3)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        module = ResidualPredictor(5, 3, (20, 36))
    planner = CEMPlanner(DensePredictor(module), config, action_dim=3, action_limit=LIMIT, spread=spread)
    latent, goal = torch.randn(2, PLANS, 5, generator=generator)
    noise = planner.noise(PLANS, generator)
    start = torch.rand(PLANS, config.variables, 3, generator=generator) * LIMIT if warm else None
    return module, planner, latent, goal, noise, start


def triton_or_skip() -> None:
    pytest.importorskip("triton", reason="Triton is not installed (the extra `fused`)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "spread", "warm", "tile"),
    [
        (SMALL, "std", True, Tile(32, 16)),  # three blocks of candidates, the last one of six; two slices of neurons
        (SMALL, "mad", False, None),
        (SMALL.at(samples=9, elites=9, horizon=1, iterations=1), "std", False, None),  # a block that is not full
        (CEMConfig(samples=16, elites=1, iterations=2, horizon=4, energy="mse", reduce="last"), "std", False, None),
    ],
    ids=["blocks, warm", "mad", "all are elites", "last step, squared"],
)
def test_it_plans_as_the_planner_does(config, spread, warm, tile):
    triton_or_skip()
    module, planner, latent, goal, noise, start = case(config, spread=spread, warm=warm)
    action, mean, wanted = planner.plan(latent, goal, noise, start)
    found_action, found = interpreted_plans(
        module, config, latent, goal, noise, start, action_limit=LIMIT, spread=spread, tile=tile
    )
    torch.testing.assert_close(found.cost_IBS, wanted.cost_IBS, rtol=2e-6, atol=1e-7)
    elites = wanted.cost_IBS.topk(config.elites, dim=2, largest=False).indices.sort(2).values
    ranked = found.rank_IBS.long()
    assert torch.equal(ranked.sort(2).values, torch.arange(config.samples).expand_as(ranked))
    assert torch.equal(ranked.argsort(2)[..., : config.elites].sort(2).values, elites)
    for ours, theirs in (
        (found_action, action),
        (found.mean_IBVA[-1], mean),
        (found.mean_IBVA, wanted.mean_IBVA),
        (found.spread_IBVA, wanted.spread_IBVA),
        (found.best_cost_B, wanted.best_cost_B),
        (found.best_action_BA, wanted.best_action_BA),
    ):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert found_action.abs().max() > 0.01, "a kernel that does nothing would pass"


@pytest.mark.slow
def test_the_best_of_all_iterations_is_kept():
    """With a spread that never shrinks the last iteration is not always the best one."""
    triton_or_skip()
    config = SMALL.at(samples=16, elites=2, sigma=2.0, sigma_floor=3.0)
    module, planner, latent, goal, noise, _ = case(config)
    wanted = planner.plan(latent, goal, noise)[2]
    assert (wanted.cost_IBS[:-1].amin((0, 2)) < wanted.cost_IBS[-1].amin(1)).any()
    _, found = interpreted_plans(module, config, latent, goal, noise, action_limit=LIMIT)
    torch.testing.assert_close(found.best_cost_B, wanted.best_cost_B, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.best_action_BA, wanted.best_action_BA, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_equal_costs_are_ranked_by_their_number():
    """A network of zeros leaves the latent where it is: all candidates cost the same, and the first are the elites."""
    triton_or_skip()
    module, planner, latent, goal, noise, _ = case(SMALL.at(iterations=1))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    action, found = interpreted_plans(module, planner.config, latent, goal, noise, action_limit=LIMIT)
    assert torch.equal(found.rank_IBS.long(), torch.arange(70).expand(1, PLANS, 70))
    drawn = (planner.config.sigma * LIMIT * noise).clamp(-LIMIT, LIMIT)
    torch.testing.assert_close(action, drawn[:, : planner.config.elites, 0].mean(1))
    torch.testing.assert_close(found.best_action_BA, drawn[:, 0, 0])


@pytest.mark.slow
def test_half_precision_changes_costs_and_little_else():
    triton_or_skip()
    module, planner, latent, goal, noise, _ = case(SMALL)
    wanted = planner.plan(latent, goal, noise)[2].cost_IBS[0]
    _, found = interpreted_plans(module, SMALL, latent, goal, noise, action_limit=LIMIT, precision="fp16")
    error = (found.cost_IBS[0] - wanted).abs() / wanted
    assert 1e-6 < error.max() < 3e-3  # fp16 keeps 11 bits


@pytest.mark.slow
def test_a_diverged_predictor_is_refused_in_one_line():
    triton_or_skip()
    module, _, latent, goal, noise, _ = case(SMALL)
    with torch.no_grad():
        module.linears()[-1].bias.fill_(float("inf"))
    with pytest.raises(UserError, match="a cost is not finite"):
        interpreted_plans(module, SMALL, latent, goal, noise, action_limit=LIMIT)


def test_this_process_is_left_as_it_is():
    assert "TRITON_INTERPRET" not in os.environ


def test_without_triton_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "spikeplan.worldmodel.planning.fused.kernel", None)
    with pytest.raises(UserError, match="Triton is not installed .* the extra `fused`"):
        kernel_module()
    module, _, latent, goal, noise, _ = case(SMALL)
    with pytest.raises(UserError, match="the extra `fused`"):
        interpreted_plans(module, SMALL, latent, goal, noise, action_limit=LIMIT)


def test_what_it_cannot_run_is_refused_by_name():
    triton_or_skip()
    module = case(SMALL)[0]
    with pytest.raises(UserError, match="use interpreted_plans"):
        FusedPlanner(module, SMALL, action_limit=LIMIT, device="cpu")
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="this torch finds no GPU"):
            FusedPlanner(module, SMALL, action_limit=LIMIT)
    with pytest.raises(UserError, match="spread 'iqr'"):
        FusedPlanner(module, SMALL, action_limit=LIMIT, spread="iqr")
    for refused, what in (
        (ResidualPredictor(5, 3, (20,)), "1 hidden layers"),
        (torch.nn.Linear(5, 3), "Linear"),
        (ResidualPredictor(5, 3, (20, 300)), r"hidden \(20, 300\)"),
        (ResidualPredictor(65, 3, (20, 20)), "latent 65"),
    ):
        with pytest.raises(UserError, match=what):
            kernel_weights(refused)
    with pytest.raises(UserError, match="precision 'int8'"):
        kernel_weights(module, "int8")


def test_padded_weights_are_the_network():
    module = case(SMALL)[0]
    w = kernel_weights(module)
    assert [padded(size) for size in (3, 16, 17, 96, 256)] == [16, 16, 32, 128, 256]
    assert (w.w1z.shape, w.w1a.shape, w.w2.shape, w.w3.shape) == ((16, 32), (16, 32), (32, 64), (64, 16))
    latent, action = torch.randn(2, 5), torch.randn(2, 3)
    z, a = torch.zeros(2, 16), torch.zeros(2, 16)
    z[:, :5], a[:, :3] = latent, action
    hidden = ((z @ w.w1z + a @ w.w1a + w.b1).relu() @ w.w2 + w.b2).relu()
    after = z + hidden @ w.w3 + w.b3
    torch.testing.assert_close(after[:, :5], module(latent, action))
    assert not after[:, 5:].any()


@pytest.mark.parametrize("spread", ["std", "mad"])
def test_the_plan_in_torch_is_the_planners_bit_for_bit(spread):
    module, planner, latent, goal, noise, _ = case(SMALL, spread=spread)
    wanted = planner.plan(latent, Goal(goal), noise)[1]
    assert torch.equal(torch_plan(module, SMALL, latent, goal, noise, action_limit=LIMIT, spread=spread), wanted)
