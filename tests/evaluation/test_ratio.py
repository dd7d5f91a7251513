"""The interval of a ratio: by hand where nothing varies, and as wide as episodes and constants make it."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeplan.evaluation.ratio import counted, ratio_interval
from spikeplan.evaluation.rows import FrontRow


def row(method: str, family: str, won: str, cost: float, **more: Any) -> FrontRow:
    fields = {
        "task": "toy",
        "method": method,
        "family": family,
        "budget": "4x2 H3",
        "reference": "zero",
        "threshold": None,
        "success": won.count("1") / len(won),
        "role": "front",
        "ci95": (0.0, 1.0),
        "paired_vs_dense": (-0.1, 0.1),
        "episodes": len(won),
        "episodes_won": won,
        "schedule": "batched",
        "synop_equivalents": cost,
        "joules": {},
    }
    return FrontRow(**(fields | more))


ALL = "1" * 40
DENSE = row("dense", "dense", ALL, 100.0)


def interval(rows: list[FrontRow], **more: Any) -> Any:
    settings = {"against": ("dense",), "dense": counted, "spiking": counted, "rng": np.random.default_rng(0)}
    return ratio_interval(rows, **(settings | more))


def test_without_chance_it_is_the_ratio() -> None:
    found = interval([DENSE, row("sigma_delta", "spiking", ALL, 25.0)])
    assert (found.low, found.high, found.one_sided, found.undecided) == (0.25, 0.25, 0.0, False)


def test_episodes_widen_it_where_points_lie_at_the_level() -> None:
    near = "1" * 39 + "0"  # .975: above 1 - .03 in most resamples, below it in some
    rows = [DENSE, row("cheap", "spiking", near, 10.0), row("dear", "spiking", ALL, 200.0)]
    found = interval(rows)
    assert (found.low, found.high) == (0.1, 2.0) and found.undecided


def test_constants_widen_it() -> None:
    def band(r: FrontRow) -> tuple[float, float, float]:
        return (10.0, 25.0, 90.0) if r.family == "spiking" else (100.0, 100.0, 100.0)

    found = interval([DENSE, row("sigma_delta", "spiking", ALL, 25.0)], spiking=band, dense=band)
    assert 0.1 < found.low < 0.25 < found.high < 0.9 and found.high / found.low > 2


def test_a_side_that_never_reaches_the_level_gives_none() -> None:
    assert interval([DENSE, row("lif", "spiking", "0" * 40, 1.0)]) is None
    assert interval([DENSE]) is None
    assert interval([row("sigma_delta", "spiking", ALL, 25.0)]) is None


def test_fewer_episodes_and_sweeps() -> None:
    short = row("lif", "spiking", "1" * 10, 50.0)
    sweep = row("sigma_delta", "spiking", ALL, 1.0, role="sweep")
    slow = row("sigma_delta", "spiking", ALL, 2.0, schedule="sequential")
    found = interval([DENSE, short, sweep, slow])
    assert (found.low, found.high) == (0.5, 0.5)


def test_a_point_without_a_price_is_left_out() -> None:
    assert interval([DENSE, row("lif", "spiking", ALL, 0.0)]) is None


def test_the_level_is_that_of_the_planner_that_is_named() -> None:
    """A task's full planner need not be the method `dense`, which then stands in the front as a lesser one."""
    lesser = row("dense", "dense", "0" * 30 + "1" * 10, 5.0)
    rows = [lesser, row("refined", "dense", ALL, 100.0), row("bad", "spiking", lesser.episodes_won, 1.0)]
    rows.append(row("good", "spiking", ALL, 50.0))
    assert interval(rows, full="refined").low == interval(rows, full="refined").high == 0.5
    assert interval(rows).low == 0.2, "a quarter of the episodes is no level for this task"
