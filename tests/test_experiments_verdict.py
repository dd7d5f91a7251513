"""The verdict names the cheapest equal points of each family, and who is ahead in Joules and in operations."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.equal_success import compare, family_of
from experiments.verdict import verdict


def point(
    arm: str, success: float, equivalents: float, joules: dict[str, float], schedule: str = "batched", **more: Any
) -> dict[str, Any]:
    bands = {name: {"low": value / 2, "nominal": value, "high": value * 2} for name, value in joules.items()}
    return {
        "arm": arm, "budget": "64x4", "success": success, "synop_equivalents": equivalents, "schedule": schedule,
        "joules": bands, "paired_vs_dense": [-0.021, 0.011], **more,
    }  # fmt: skip


DENSE = [
    point("int8", 0.95, 100e6, {"orin_nano": 2e-3, "h100": 3e-3}),
    point("narrow-96", 0.93, 40e6, {"orin_nano": 1e-3, "h100": 2e-3}),
    point("narrow-64", 0.80, 10e6, {"orin_nano": 1e-4}),
]
DELTA = point("delta", 0.94, 20e6, {"loihi2": 5e-3}, "interleaved")
SKIP = point("delta/skip", 0.94, 16e6, {})


def test_cheapest_equal_points_by_hand() -> None:
    """Level .92: narrow-64 drops out; narrow-96 stands at 1 mJ on orin_nano and 40 M, delta at 5 mJ and 20 M, the same
    network on hardware that skips zeros at 16 M."""
    joules, computed, skipped = verdict([*DENSE, DELTA, SKIP], 0.95).split(").", 1)[1].split("). ")
    assert "dense is ahead, spiking / other = 5.00" in joules
    assert "delta 64x4 on loihi2, success 0.94 (-0.021 .. +0.011), 5 [2.5 .. 10] mJ" in joules
    assert "narrow-96 64x4 on orin_nano" in joules and "1 [0.5 .. 2] mJ" in joules
    assert "every MAC: spiking is ahead, spiking / other = 0.50" in computed
    assert "skips zeros at no cost: skipping is ahead, spiking / other = 1.25" in skipped


@pytest.mark.parametrize("changes", [{"schedule": "sequential"}, {"role": "sweep"}])
def test_neither_the_sequential_schedule_nor_a_sweep_decides(changes: dict[str, str]) -> None:
    said = verdict([*DENSE, {**DELTA, **changes}], 0.95)
    assert said.count("dense is ahead (the other family has no point)") == 2


def test_nobody_near_the_full_planner() -> None:
    assert verdict([point("int8", 0.2, 1.0, {})], 0.95).count("nobody is ahead") == 3
    assert verdict([], None) == "not run"


@pytest.mark.parametrize(
    ("arm", "family"),
    [("int8", "dense"), ("narrow-64", "dense"), ("delta-96/full", "dense"), ("zero-skip", "skipping"),
     ("delta-96/skip", "skipping"), ("delta-96", "spiking"), ("lif", "spiking")],
)  # fmt: skip
def test_families(arm: str, family: str) -> None:
    assert family_of({"arm": arm}) == family


def test_a_point_without_a_price_is_not_the_cheapest() -> None:
    rows = [point("int8", 0.95, 5.0, {}), {**point("narrow-64", 0.95, 1.0, {}), "synop_equivalents": None}]
    found = compare(
        rows, 0.95, what="", unit="", against="dense", dense_cost=lambda r: r["synop_equivalents"],
        spiking_cost=lambda r: r["synop_equivalents"],
    )  # fmt: skip
    assert found.dense_cost == 5.0 and found.spiking is None and found.ahead == "dense"
