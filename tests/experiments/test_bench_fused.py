"""The comparison of the fused kernel with the planner: it counts what differs, and what is too close to be told apart."""

from __future__ import annotations

import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.experiments.bench import fused
from spikeplan.experiments.bench.fused import (
    Agreement,
    action_rounding,
    agreement,
    compare_plans,
    cost_rounding,
    rows_of,
)
from spikeplan.worldmodel.predictor import ResidualPredictor

COSTS = torch.tensor([[[1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0, 3.0, 4.0]]])  # two iterations of one plan


def of(wanted=COSTS, found=COSTS, ranks=None, action=0.0, share=1e-3):
    ranks = found.argsort(dim=2, stable=True).argsort(dim=2) if ranks is None else ranks
    return agreement(
        wanted,
        found,
        ranks,
        torch.zeros(1, 2),
        torch.full((1, 2), action),
        elites=2,
        limit=1.0,
        cost_share=share,
        action_share=1e-3,
    )


def test_what_is_equal_differs_nowhere():
    assert of() == Agreement(plans=1, elites_compared=2, actions_compared=1)


def test_another_elite_is_counted():
    found = torch.tensor([[[1.0, 3.5, 3.0, 4.0]], [[1.0, 2.0, 3.0, 4.0]]])
    counted = of(found=found)
    assert (counted.elites_different, counted.tied, counted.tied_changed, counted.actions_compared) == (1, 0, 0, 1)
    assert counted.cost_off == pytest.approx(0.75 / 1e-3)


def test_costs_closer_than_their_rounding_are_ties_and_end_the_comparison():
    wanted = torch.tensor([[[1.0, 2.0, 2.001, 4.0]], [[1.0, 2.0, 3.0, 4.0]]])
    swapped = torch.tensor([[[1.0, 2.001, 2.0, 4.0]], [[4.0, 3.0, 2.0, 1.0]]])
    assert of(wanted, wanted).tied == 1 and of(wanted, wanted).elites_compared == 2
    assert of(wanted, swapped) == Agreement(
        plans=1, elites_compared=1, tied=1, tied_changed=1, cost_off=pytest.approx(0.5, rel=1e-3)
    )
    assert of(wanted, swapped, share=1e-5).elites_different == 2, "the rounding does not reach so far"


def test_a_swap_beyond_the_tie_is_no_tie():
    """The last place is tied, but the candidate that took it is not the one that is as close."""
    wanted = torch.tensor([[[1.0, 2.0, 2.001, 4.0]]])
    ranks = torch.tensor([[[0, 2, 3, 1]]])
    counted = of(wanted, wanted, ranks)
    assert (counted.tied, counted.tied_changed, counted.elites_different) == (1, 0, 1)


def test_actions_and_numbers_that_are_none():
    assert of(action=2e-3).actions_different == 1 and of(action=0.5e-3).actions_different == 0
    assert of(action=float("nan")).actions_different == 1
    assert of(found=COSTS * torch.nan).cost_off == float("inf")
    held = {row.name: row.holds for row in rows_of(of(found=COSTS * torch.nan))}
    assert held["fused_cost_off"] is False
    assert {row.name: row.holds for row in rows_of(Agreement())}["fused_elites_different"] is False, "nothing compared"


def test_the_rounding_is_that_of_its_sums():
    module, config = ResidualPredictor(32, 2, (256, 256)), CEMConfig(horizon=12, iterations=4, elites=8)
    assert cost_rounding(module, config) == pytest.approx((12 * (32 + 34 + 512)) ** 0.5 / 2**24)
    assert action_rounding(config) == 48 / 2**24


def test_without_triton_the_row_says_so(monkeypatch):
    def missing():
        raise UserError("Triton is not installed")

    monkeypatch.setattr(fused, "kernel_module", missing)
    (row,) = fused.fused_rows()
    assert (row.ours, row.holds, row.goal) == (None, None, "0") and "Triton is not installed" in row.unit


@pytest.mark.slow
@pytest.mark.parametrize("task", fused.TASKS)
def test_shipped_plans_have_the_same_elites(task):
    pytest.importorskip("triton", reason="Triton is not installed (the extra `fused`)")
    found = compare_plans(task, 4)
    assert (found.elites_different, found.actions_different) == (0, 0)
    assert found.elites_compared == 16 and found.actions_compared == 4
    assert 0 < found.cost_off <= 1, "another order of sums shows, within the rounding"
