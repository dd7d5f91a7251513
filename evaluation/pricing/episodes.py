"""Which plans are as good as the full dense planner, if other episodes had come? Drawn, and paired where the run allows it.

    episodes kept     they are resampled, the same for every method, so that paired methods stay paired
    an interval kept  success less the full planner's is normal, as wide as the paired interval
    neither           both successes are drawn from Jeffreys' posterior, Beta(k + 1/2, n - k + 1/2), apart: wider than paired

A draw that leaves a plan no episode of its own does not reach it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spikeplan.evaluation.intervals import Z95
from spikeplan.evaluation.iso_success import MARGIN
from spikeplan.evaluation.pricing.runs import PricedRun

KEPT = "episodes resampled, paired"
POSTERIOR = "drawn from the intervals of success: the run kept no episodes"
BOTH = "episodes resampled, paired; without them, drawn from the interval of success"
ROUNDING = 1e-9

Bools = NDArray[np.bool_]
Reals = NDArray[np.float64]


def reached(
    methods: Sequence[PricedRun], full: PricedRun, *, draws: int, rng: np.random.Generator
) -> tuple[list[Bools], str]:
    """For each method the draws (draws,) in which its success lies within MARGIN of the full planner's; and how they were drawn.

    >>> reached(run.methods["two-room"], full, draws=2000, rng=rng)[0][0].mean()
    """
    longest = max(len(method.won) for method in (full, *methods))
    picked = rng.multinomial(longest, np.full(longest, 1 / longest), draws) if full.won else np.zeros((draws, 0))
    level = _shares(picked, full) if full.won else None
    found, kept = [], 0
    for method in methods:
        if method.row is full.row:
            found.append(np.ones(draws, bool))
        elif level is not None and method.won:
            found.append(_shares(picked, method) >= level - MARGIN - ROUNDING)
            kept += 1
        else:
            found.append(_differences(method, full, draws, rng) >= -MARGIN - ROUNDING)
    others = sum(method.row is not full.row for method in methods)
    return found, KEPT if kept == others else BOTH if kept else POSTERIOR


def _shares(picked: NDArray[np.int64] | Reals, method: PricedRun) -> Reals:
    """Of episodes won, of those that were picked and that it planned; -inf where there are none."""
    won = np.frombuffer(method.won.encode(), np.uint8) == ord("1")
    own = picked[:, : len(won)]
    count = own.sum(1)
    return np.where(count > 0, own @ won / np.maximum(count, 1), -np.inf)


def _differences(method: PricedRun, full: PricedRun, draws: int, rng: np.random.Generator) -> Reals:
    if method.paired_vs_dense is not None:
        low, high = method.paired_vs_dense
        return rng.normal(method.success - full.success, (high - low) / 2 / Z95, draws)
    ours, theirs = (_posterior(one, draws, rng) for one in (method, full))
    return ours - theirs


def _posterior(method: PricedRun, draws: int, rng: np.random.Generator) -> Reals:
    won = method.success * method.row.episodes
    return rng.beta(won + 0.5, method.row.episodes - won + 0.5, draws)
