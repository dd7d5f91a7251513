"""`bench sparse_front`: points are trained and held against dense networks, chosen on other episodes than reported."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from spikeplan.experiments.bench.sparse_front import Point, bench_sparse_front
from spikeplan.experiments.bench.sparse_measured import Measured, compared
from spikeplan.snn.sparse_training import SparseTraining

GOOD, BAD = (1,) * 290 + (0,) * 10, (1,) * 200 + (0,) * 100


def net(side: str, full: float, chosen: Any = GOOD, reported: Any = GOOD) -> Measured:
    return Measured(
        side=side,
        label=f"{full:g}",
        full=full,
        alone=2 * full,
        split={"synops": full},
        judging=0.0,
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
    assert not none.holds and "none of ours is as good as the best dense network" in none.unit


@pytest.mark.slow
def test_points_are_trained_measured_and_compared() -> None:
    kept: list[Measured] = []
    sparse = SparseTraining(pruned=0.5, removed=0.3)
    rows = bench_sparse_front(
        Console(file=StringIO(), width=200),
        ours=[Point(width=64, steps=20, sparse=sparse), Point(width=64, steps=2, reference="previous_step")],
        two_of_four=[Point(width=64, steps=20, sparse=SparseTraining(pruned=0.5, how="n_of_m"), rate_weight=0.0)],
        widths=(64,),
        episodes=4,
        recorded=2,
        keep=kept.append,
    )
    sides = [one.side for one in kept]
    assert sides == ["dense"] * 3 + ["2:4"] * 2 + ["spiking", "own dense", "skipping"] * 2 + ["spiking"] * 2
    dense, two, ours, own = kept[0], kept[3], kept[5], kept[6]
    assert 0.3 < two.split["macs"] / dense.split["macs"] < 0.52 and two.split["acs"] == dense.split["acs"]
    assert own.split["macs"] < 0.9 * dense.split["macs"], "a third of the neurons is gone"
    assert ours.split["synops"] < 0.6 * own.split["macs"] and ours.alone > ours.full
    split = ours.split["synops"] + 10 * (ours.split["updates"] + ours.split["state_restores"])
    assert ours.full == pytest.approx(split) and 0 < ours.judging < ours.full
    assert kept[-2].split["state_restores"] > kept[5].split["state_restores"], "contexts of every candidate"
    assert [row.name for row in rows[: len(kept)]] == [f"{one.side}: {one.label}" for one in kept]
    assert rows[len(kept)].name == "equivalents_vs_dense"
