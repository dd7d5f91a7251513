"""`bench sparse_front`: points are trained and held against dense networks, chosen on other episodes than reported."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from spikeplan.experiments.bench.sparse.compared import chosen_of, compared, of_seeds
from spikeplan.experiments.bench.sparse.front import Point, bench_sparse_front, budgets_of
from spikeplan.experiments.bench.sparse.measured import Measured
from spikeplan.snn.sparse_training import SparseTraining

GOOD, BAD = (1,) * 290 + (0,) * 10, (1,) * 200 + (0,) * 100


def net(side: str, full: float, chosen: Any = GOOD, reported: Any = GOOD, **made: Any) -> Measured:
    """`made`: point, seed and budget, where they matter."""
    return Measured(
        side=side,
        **{"point": f"{full:g}", "budget": "guided 3 H2", **made},
        full=full,
        alone=2 * full,
        placed=3 * full,
        split={"synops": full},
        judging=0.0,
        origin="64",
        chosen_N=chosen,
        reported_N=reported,
    )


def test_the_cheapest_that_is_as_good_is_compared_and_held_on_the_reported_episodes() -> None:
    dense, narrow, cheap = net("dense", 1000), net("dense", 400), net("dense", 300, BAD, BAD)
    mine = net("spiking", 100)
    found = [dense, narrow, cheap, mine, net("spiking", 50, BAD), net("own dense", 350), net("2:4", 200)]
    rows = {row.name: row for row in compared(found)}
    assert (rows["equivalents_vs_dense"].ours, rows["equivalents_vs_dense"].other) == (100, 350)
    assert rows["equivalents_vs_dense"].holds and rows["equivalents_vs_dense"].ratio == pytest.approx(100 / 350)
    assert rows["equivalents_vs_narrow_dense"].other == 400 and rows["equivalents_vs_2to4"].ratio == 0.5
    assert rows["equivalents_vs_zero_skipping"].ours is None, "there is none"
    found[3] = replace(mine, reported_N=BAD)
    assert not {row.name: row for row in compared(found)}["equivalents_vs_dense"].holds, "it does worse where it counts"
    found[3] = replace(mine, chosen_N=BAD)
    none = {row.name: row for row in compared(found)}["equivalents_vs_dense"]
    assert not none.holds and "none of ours is shown within 3 points of the best dense one" in none.unit


def test_seeds_of_the_chosen_point_are_averaged_at_its_budget() -> None:
    """Of a point with seeds 0 to 2 at two budgets; another point's name begins alike. Losses of the worst seed are beside the
    network that it was made from, at that budget: 29 of 300 episodes."""
    worse = (1,) * 261 + (0,) * 39
    mine = [
        net("spiking", 100, point="64 zero rate 1"),
        net("spiking", 130, point="64 zero rate 1", budget="guided 5 H2"),
        net("spiking", 110, point="64 zero rate 1", seed=1),
        net("spiking", 120, worse, worse, point="64 zero rate 1", seed=2),
        net("spiking", 90, BAD, BAD, point="64 zero rate 10"),
    ]
    assert mine[2].label == "64 zero rate 1 seed 1 guided 3 H2"
    found = [net("dense", 400, point="64"), net("dense", 1000, point="96", budget="guided 5 H2"), *mine]
    chosen = chosen_of(found)
    assert chosen is mine[0]
    rows = {row.name: row for row in of_seeds(found)}
    over = rows["equivalents_vs_dense_seeds"]
    assert (over.ours, over.other) == (110, 400) and over.ratio == pytest.approx(0.275) and not over.holds
    assert rows["equivalents_vs_dense_waiting"].ours == 330
    worst = rows["conversion_points_worst_seed"]
    assert worst.ours == pytest.approx(-29 / 300) and not worst.holds and "3 seeds" in worst.unit


@pytest.mark.slow
def test_points_are_trained_measured_and_compared() -> None:
    kept: list[Measured] = []
    sparse = SparseTraining(pruned=0.5, removed=0.3)
    planner = budgets_of("keep-out")[0]
    rows = bench_sparse_front(
        Console(file=StringIO(), width=200),
        ours=[Point(width=64, steps=20, sparse=sparse), Point(width=64, steps=2, reference="previous_step")],
        two_of_four=[Point(width=64, steps=20, sparse=SparseTraining(pruned=0.5, how="n_of_m"), rate_weight=0.0)],
        fewer=[Point(width=64, steps=20, sparse=SparseTraining(pruned=0.0, removed=0.3), rate_weight=0.0)],
        widths=(64,),
        budgets=[planner, planner.at(samples=3)],
        seeds=2,
        episodes=4,
        recorded=2,
        keep=kept.append,
    )
    sides = [one.side for one in kept]
    trained = ["2:4"] * 2 + ["dense"] * 2 + ["spiking", "own dense", "skipping"] * 2 + ["spiking"] * 2
    assert sides[: 2 + len(trained)] == ["dense"] * 2 + trained and "seed 1" in kept[-1].label
    dense, two, fewer, ours, own = kept[0], kept[2], kept[4], kept[6], kept[7]
    assert 0.3 < two.split["macs"] / dense.split["macs"] < 0.52 and two.split["acs"] == dense.split["acs"]
    assert 0.4 < fewer.split["macs"] / dense.split["macs"] < 0.9, "a third of the neurons is gone"
    assert own.split["macs"] < 0.9 * dense.split["macs"], "of ours too"
    assert ours.split["synops"] < 0.6 * own.split["macs"] and ours.alone > ours.full
    split = ours.split["synops"] + 10 * (ours.split["updates"] + ours.split["state_restores"])
    assert ours.full == pytest.approx(split) and 0 < ours.judging < ours.full
    assert ours.placed > ours.full and own.placed == own.full, "dense hardware waits for nothing"
    on_step = next(one for one in kept if "previous_step" in one.label)
    assert on_step.split["state_restores"] > ours.split["state_restores"], "contexts of every candidate"
    assert [row.name for row in rows[: len(kept)]] == [f"{one.side}: {one.label}" for one in kept]
    names = [row.name for row in rows[len(kept) :]]
    assert names[0] == "equivalents_vs_dense" and names[-1] == "conversion_points_worst_seed"
