"""Every recipe is a method: what it converts can be planned with from the command line."""

from __future__ import annotations

import pytest

from spikeplan.conversion.recipes import RECIPES
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.shard import Job, run_job

SMALL = CEMConfig(samples=16, elites=4, iterations=2, horizon=6, chunk=2)


def test_each_recipe_but_the_shipped_one_has_a_method() -> None:
    assert {name for name in METHODS if name.startswith("converted-")} == {
        f"converted-{name}" for name in RECIPES if name != "sigma_delta"
    }


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["lif_rate", "one_quantum", "delta_transformer"])
def test_what_a_recipe_makes_plans(recipe: str) -> None:
    """Of twelve episodes it ends as near to the goals as the network that it was made from, within a quarter of what is lost
    without a model."""
    results = {}
    for method in (f"converted-{recipe}", "dense", "random"):
        job = Job(task="two-room", method=method, role="x", planner=SMALL, episodes=12, count=12)
        results[method] = run_job(job)
    found, dense, floor = (sum(one.distance) for one in results.values())
    assert found - dense < 0.25 * (floor - dense)
    counts = results[f"converted-{recipe}"].op_counts
    assert counts is not None and counts.spiking
    assert sum(c.synops for _, c in counts.counts("predictor")) > 0
