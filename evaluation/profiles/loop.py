"""A loop around one call of a network: candidates, iterations and rollout steps of a planner.

    rows of an action = iterations x horizon x (rows of a call x candidates)

A row of the predictor becomes one row an iteration and rollout step, in which all candidates share one read of the weights; so a
GPU starts one kernel a layer for all of them. Other rows (encoder) stay as they are. What a planner does beside the network,
distance and selection, is not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from spikeplan.core.counts.operations import COUNTS, CountRow
from spikeplan.core.errors import UserError

MOST = 10_000_000
MOST_ROWS = 200_000
SIZES = ("weight_bytes", "state_bytes")  # of the network, however often it is called


@dataclass(frozen=True, kw_only=True)
class Loop:
    """How often an action calls the network; `batch`: how many candidates share a read of the weights, None: all of them.

    Raises UserError for numbers below 1.

    >>> Loop(candidates=64, iterations=4, horizon=12).calls
    3072
    """

    candidates: int = 1
    iterations: int = 1
    horizon: int = 1
    batch: int | None = None

    def __post_init__(self) -> None:
        for name in ("candidates", "iterations", "horizon", "batch"):
            value = getattr(self, name)
            if value is None and name == "batch":
                continue
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST:
                raise UserError(f"loop: {name} is {value!r}; give a whole number from 1 to {MOST:,}")

    @property
    def calls(self) -> int:
        return self.candidates * self.iterations * self.horizon


ONCE = Loop()


def looped(rows: Sequence[CountRow], loop: Loop) -> list[CountRow]:
    """Rows of an action that calls the network so often. Raises UserError for rows that are of a loop already.

    >>> looped(op_counts.rows("batched"), Loop(candidates=64))
    """
    if loop.calls == 1:
        return list(rows)
    predictor = [row for row in rows if row.phase == "predictor"]
    there = next((row for row in predictor if row.iteration is not None or row.rollout_step is not None), None)
    if there is not None:
        raise UserError(
            f"method '{there.method}', layer '{there.layer}': these counts are of iterations and rollout steps already; leave "
            "the loop out, or count one call"
        )
    if len(predictor) * loop.iterations * loop.horizon > MOST_ROWS:
        raise UserError(
            f"loop: {loop.iterations} iterations of {loop.horizon} steps of {len(predictor)} layers are more than {MOST_ROWS:,} "
            "rows; give fewer"
        )
    found = [row for row in rows if row.phase != "predictor"]
    for row in predictor:
        more: dict[str, Any] = {
            name: getattr(row, name) * loop.candidates
            for name in COUNTS
            if name not in SIZES and getattr(row, name) is not None
        }
        found += [
            replace(row, iteration=iteration, rollout_step=step, **more)
            for iteration in range(loop.iterations)
            for step in range(loop.horizon)
        ]
    return found
