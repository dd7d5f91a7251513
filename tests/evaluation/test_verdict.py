"""The verdict names the cheapest equal points of each family, and who is ahead in Joules and in operations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spikeplan.evaluation.iso_success import Comparison, compare, family_of
from spikeplan.evaluation.rows import FrontRow, PlacedEnergyRow, PointEnergy
from spikeplan.evaluation.verdict import verdict


def point(
    method: str, success: float, equivalents: float, joules: dict[str, float], schedule: str = "batched", **more: Any
) -> FrontRow:
    fields = {
        "task": "toy",
        "method": method,
        "family": family_of(method),
        "budget": "64x4",
        "reference": "zero",
        "threshold": None,
        "success": success,
        "role": "front",
        "ci95": (0.9, 1.0),
        "paired_vs_dense": (-0.021, 0.011),
        "episodes": 1,
        "episodes_won": "1",
        "schedule": schedule,
        "synop_equivalents": equivalents,
        "joules": {name: PointEnergy(low=value / 2, nominal=value, high=value * 2) for name, value in joules.items()},
    }
    return FrontRow(**(fields | more))


DENSE = [
    point("int8", 0.95, 100e6, {"orin_nano": 2e-3, "h100": 3e-3}),
    point("narrow-96", 0.93, 40e6, {"orin_nano": 1e-3, "h100": 2e-3}),
    point("narrow-64", 0.80, 10e6, {"orin_nano": 1e-4}, paired_vs_dense=(-0.19, -0.1)),
]
DELTA = point("sigma_delta", 0.94, 20e6, {"loihi2": 5e-3}, "interleaved")
SKIP = point("sigma_delta/skip", 0.94, 16e6, {})


def test_cheapest_equal_points_by_hand() -> None:
    """Level .92: narrow-64 drops out; narrow-96 stands at 1 mJ on orin_nano and 40 M, delta at 5 mJ and 20 M; the same network
    run densely takes 30 M, with zeros skipped 16 M; delta's sequential schedule 44 M. 5 mJ / 25 W = 200 us."""
    full = point("sigma_delta/dense", 0.94, 30e6, {"orin_nano": 1.5e-3})
    slow = replace(DELTA, schedule="sequential", synop_equivalents=44e6)
    joules, trained, own, skipped = verdict([*DENSE, DELTA, slow, full, SKIP], 0.95).split(").", 1)[1].split(" Synop-")
    assert "the other side is ahead, spiking / other = 5.00" in joules
    assert "delta 64x4 on loihi2, success 0.94 (-0.021 .. +0.011), 5 [2.5 .. 10] mJ" in joules
    assert "narrow-96 64x4 on orin_nano" in joules and "1 [0.5 .. 2] mJ" in joules
    assert "takes orin_nano more than 200 us; it is charged 40 us" in joules
    assert (
        "trained to run densely: spiking is ahead, spiking / other = 0.50" in trained and "1.10 sequential" in trained
    )
    assert "run densely: spiking is ahead, spiking / other = 0.67" in own
    assert "skips zeros at no cost: the other side is ahead, spiking / other = 1.25" in skipped


def test_the_lower_bounds_are_asked_too() -> None:
    """The cheap spiking point's interval reaches below -3 points, the dear one's does not."""
    doubtful = replace(DELTA, paired_vs_dense=(-0.06, 0.0))
    sure = point("sigma_delta", 0.94, 36e6, {}, "interleaved", budget="64x8")
    said = verdict([*DENSE, doubtful, sure], 0.95)
    assert "trained to run densely: spiking is ahead, spiking / other = 0.50; 0.90 by the lower bounds" in said


@pytest.mark.parametrize("changes", [{"schedule": "sequential"}, {"role": "sweep"}])
def test_neither_the_sequential_schedule_nor_a_sweep_decides(changes: dict[str, str]) -> None:
    said = verdict([*DENSE, replace(DELTA, **changes)], 0.95)
    assert said.count("dense is ahead (the other side has no point)") == 2


def test_nobody_near_the_full_planner() -> None:
    assert verdict([point("narrow-64", 0.2, 1.0, {})], 0.95).count("neither side has a point") == 4
    assert verdict([point("int8", 0.95, 1.0, {})], 0.95) == "Not compared at equal cost: no front was run."


@pytest.mark.parametrize(
    ("method", "family"),
    [
        ("int8", "dense"),
        ("narrow-64", "dense"),
        ("sigma_delta-96/dense", "dense_replay"),
        ("zero_skipping", "zero_skipping"),
        ("sigma_delta-96/skip", "zero_skipping"),
        ("sigma_delta-96", "spiking"),
        ("lif", "spiking"),
    ],
)
def test_families(method: str, family: str) -> None:
    assert family_of(method) == family


def test_a_point_without_a_price_is_not_the_cheapest() -> None:
    rows = [point("int8", 0.95, 5.0, {"h100": 5.0}), point("narrow-64", 0.95, 1.0, {})]

    def cost(row: FrontRow) -> float | None:
        return row.joules["h100"].nominal if row.joules else None

    found = compare(
        rows,
        0.95,
        what="",
        unit="",
        against=("dense",),
        dense_cost=cost,
        spiking_cost=cost,
    )
    assert found.dense_cost == 5.0 and found.spiking is None and found.ahead == "dense"


def test_a_side_whose_points_have_no_price_is_not_beaten() -> None:
    def compared(*rows: FrontRow) -> Comparison[FrontRow]:
        def cost(row: FrontRow) -> float | None:
            return row.joules["h100"].nominal if row.joules else None

        return compare(rows, 0.95, what="", unit="", against=("dense",), dense_cost=cost, spiking_cost=cost)

    dense = point("int8", 0.95, 5.0, {"h100": 5.0})
    unplaced, low = point("sigma_delta", 0.95, 1.0, {}), point("sigma_delta", 0.5, 1.0, {"h100": 1.0})
    assert (compared(dense, unplaced).ahead, compared(dense, unplaced).unpriced) == ("not compared", ("spiking",))
    assert compared(dense, low).ahead == "dense" and not compared(dense, low).unpriced
    assert compared(unplaced).ahead == "not compared" and compared(low).ahead == "neither reaches it"


def test_placed_copies_stand_beside_the_one_copy_figures() -> None:
    row = PlacedEnergyRow(
        task="toy",
        schedule="interleaved",
        method="sigma_delta",
        budget="64x4",
        device="loihi2",
        extent="loop",
        scope="system",
        unit="J/action",
        evidence="D",
        replicas=1,
        cores=6,
        chips=1,
        latency_s=0.0432,
        low=1e-4,
        nominal=0.0115,
        high=0.042,
    )
    rows = [row, replace(row, replicas=64, cores=321, chips=3, latency_s=0.00445)]
    slow = replace(row, schedule="sequential", latency_s=9.0)
    before, said = verdict([*DENSE, DELTA], 0.95), verdict([*DENSE, DELTA], 0.95, [*rows, slow])
    assert said.startswith(before) and said[len(before) :] == (
        " Placed with its loop, neurons that wait charged (sigma_delta 64x4 on loihi2, interleaved): "
        "1 replica on 6 cores, 1 chip: "
        "43.2 ms, 11.5 [0.1 .. 42] mJ; 64 replicas on 321 cores, 3 chips: 4.45 ms, 11.5 [0.1 .. 42] mJ."
    )
