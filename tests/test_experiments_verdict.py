"""The verdict names the cheapest equal points of both families, and who is ahead in Joules and in operations."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.verdict import verdict


def point(
    arm: str, success: float, equivalents: float, joules: dict[str, float], schedule: str = "batched"
) -> dict[str, Any]:
    return {
        "arm": arm, "budget": "64x4", "success": success, "synop_equivalents": equivalents, "schedule": schedule,
        "joules": {name: {"nominal": value} for name, value in joules.items()},
    }  # fmt: skip


DENSE = [
    point("int8", 0.95, 100e6, {"orin_nano": 2e-3, "h100": 3e-3}),
    point("narrow-96", 0.93, 40e6, {"orin_nano": 1e-3, "h100": 2e-3}),
    point("narrow-64", 0.80, 10e6, {"orin_nano": 1e-4}),
]
DELTA = point("delta", 0.94, 20e6, {"loihi2": 5e-3}, "interleaved")


def test_cheapest_equal_points_by_hand() -> None:
    """Level .92: narrow-64 drops out; narrow-96 stands at 1 mJ on orin_nano and 40 M, delta at 5 mJ and 20 M."""
    said = verdict([*DENSE, DELTA], 0.95)
    assert "dense is ahead, spiking / dense = 5.00" in said and "5 mJ; narrow-96 64x4 on orin_nano" in said
    assert "spiking is ahead, spiking / dense = 0.50" in said
    assert said.index("Ledger C") < said.index("Synop-equivalents")


@pytest.mark.parametrize("schedule", ["sequential"])
def test_the_sequential_schedule_does_not_decide(schedule: str) -> None:
    assert "dense is ahead (the other family has no point)" in verdict([*DENSE, {**DELTA, "schedule": schedule}], 0.95)


def test_nobody_near_the_full_planner() -> None:
    assert verdict([point("int8", 0.2, 1.0, {})], 0.95).count("nobody is ahead") == 2
    assert verdict([], None) == "not run"
