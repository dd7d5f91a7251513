"""Squared distances as a cost: what they are, what they take on either hardware, and where they are refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from spikeplan.core.counts.charges import COST_BITS
from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.dense_readings import own_function
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.base import Site
from spikeplan.evaluation.shard import Job, run_job
from spikeplan.worldmodel.planning.closed_loop import TrueLatent
from spikeplan.worldmodel.planning.costs import Goal, SquaredDistance, Sum, judged_of
from spikeplan.worldmodel.planning.costs.base import Units
from spikeplan.worldmodel.planning.costs.margin import latent_margin
from spikeplan.worldmodel.planning.guided import GuidedPlanner
from spikeplan.worldmodel.planning.task_cost import task_cost
from spikeplan.worldmodel.tasks import make_world


def test_a_squared_distance_by_hand() -> None:
    """Two steps, (1, 0) and (3, 4), from the goal (0, 0): 1 + 25. Images of one place at (1, 1) and (1, 3), middle (1, 2):
    squared distances 4 and 8, so with a margin of 6 the first step pays 2 x 10. Of two places, the nearer pays: 5 and 1."""
    path = torch.tensor([[[[1.0, 0.0], [3.0, 4.0]]]])
    places = torch.tensor([[[1.0, 1.0], [1.0, 3.0]]])
    goal = Goal(torch.zeros(1, 2), places)
    one = SquaredDistance(margin=6.0, weight=10.0, images=2)
    assert float(one.cost(path, None, goal)) == 26 + 20
    each = SquaredDistance(margin=6.0, weight=10.0)
    assert float(each.cost(path, None, goal)) == 26 + 10 * (6 - 1) + 10 * (6 - 5)
    assert float(one.cost(path, None, Goal(torch.zeros(1, 2)))) == 26
    with pytest.raises(UserError, match="squared: 3 images are no whole places of 2; give all images of a place"):
        one.cost(path, None, Goal(torch.zeros(1, 2), torch.zeros(1, 3, 2)))


def test_images_of_a_disc_are_averaged_and_the_task_adds_no_price_of_its_own() -> None:
    config = GuidedConfig()
    for name, places in (("keep-out", 1), ("keep-out-two", 2)):
        world = make_world(name)
        found = task_cost(world, TrueLatent(), config, "squared")
        assert isinstance(found, SquaredDistance)
        assert found.margin == pytest.approx(3 * latent_margin(world, TrueLatent(), squared=True))
        goal = Goal(torch.zeros(1, 3), torch.zeros(1, 9 * places, 3))
        took = judged_of(found, 4, goal.goal_BD, 2, goal)
        assert (took.terms, took.sums, took.accumulates) == (4 * (2 + places) * 3, 4 * (2 + places), 0)
        assert judged_of(Sum((found, found)), 4, goal.goal_BD, 2, goal) == took + took
    alone = task_cost(make_world("two-room"), TrueLatent(), config, "squared")
    assert isinstance(alone, SquaredDistance) and alone.images == 1
    displaced = latent_margin(make_world("two-room"), TrueLatent(), squared=True)
    assert displaced == pytest.approx(0.05**2, rel=1e-3), "the oracle's latent is the pose"


@pytest.mark.parametrize("method", ["guided", "guided-sigma_delta"])
def test_both_sides_are_charged_the_same_terms(method: str) -> None:
    """3 copies, 2 steps, 32 numbers, no places: a square and a product. The chip pays its sums as neuron updates too; the same
    function run densely pays the terms alone."""
    predictor: Any = METHODS[method].predictor(Site(load_bundle("two-room")))
    counts = OperationCounts(method=method, reference="zero", precision="int8", spiking=predictor.spiking)
    planner = GuidedPlanner(
        predictor,
        GuidedConfig(samples=3, horizon=2),
        action_dim=2,
        action_limit=0.08,
        op_counts=counts,
        evaluator=SquaredDistance(margin=1.0),
    )
    latent = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    planner.plan(latent, latent.flip(0), planner.noise(5, torch.Generator().manual_seed(0)))
    terms, sums = 5 * 3 * 2 * 2 * 32, 5 * 3 * 2 * 2
    found = {key[1]: one for key, one in counts.counts("evaluation")}["inner products"]
    if not predictor.spiking:
        assert (found.macs, found.acs, found.updates) == (terms, 0, 0)
        return
    assert (found.synops, found.updates, found.message_bits) == (terms, sums, sums * COST_BITS)
    job = Job(task="two-room", method=method, role="x", planner=GuidedConfig(), episodes=1, count=1)
    for read in own_function(Run(job, torch.ones(1, 1).numpy(), counts, 0.0, None, {})):
        assert read.op_counts is not None
        dense = {key[1]: one for key, one in read.op_counts.counts("evaluation")}["inner products"]
        assert (dense.macs, dense.synops, dense.acs, dense.updates) == (terms, 0, 0, 0)


def test_the_keep_out_task_is_planned_with_it() -> None:
    job = Job(
        task="keep-out",
        method="guided-narrow-64",
        role="x",
        planner=GuidedConfig(samples=5, horizon=2, spread=0.6, decay=0.9, mirrored=True, to_go=0.15),
        episodes=60,
        count=60,
        cost="squared",
    )
    assert sum(run_job(job).success) >= 0.8 * 60


def test_integers_refuse_it_in_one_line() -> None:
    with pytest.raises(UserError, match="squared: it has no integer form; use l1, summed over steps, where integers"):
        SquaredDistance(margin=1.0).priced(Units(1.0, 1.0))
    with pytest.raises(UserError, match="squared: margin -1.0 must be above 0"):
        SquaredDistance(margin=-1.0)
