"""The chip steps of an action, before the constants come in: what a clock counts and a price turns into seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]


def lasting(busy_s: Any, barrier_s: Any, adds: bool) -> Any:
    """Seconds of steps that are busy so long."""
    return busy_s + barrier_s if adds else np.maximum(busy_s, barrier_s)


@dataclass(frozen=True, kw_only=True)
class Load:
    """The chip steps of an action by what they do, without the constants: so many steps of J kinds; in a step of each, synops of
    the busiest core and messages of the busiest link, and how many of these come of the predictor's own messages; in every
    step the fullest core updates `updates` neurons. `fixed_J`: synops of the busiest core if the predictor sent nothing."""

    steps_J: Reals
    synops_J: Reals
    synops_sent_J: Reals
    fixed_J: Reals
    messages_J: Reals
    messages_sent_J: Reals
    updates: int

    def __post_init__(self) -> None:
        columns = (self.steps_J, self.synops_J, self.synops_sent_J, self.fixed_J, self.messages_J, self.messages_sent_J)
        if len({column.shape for column in columns}) != 1 or self.steps_J.ndim != 1:
            raise ValueError("load: the columns are not flat and of one length")
        if not all(np.isfinite(column).all() and (column >= 0).all() for column in columns) or self.updates < 1:
            raise ValueError("load: counts must be finite and >= 0, and something must update")
        if not self.steps_J.sum() > 0:
            raise ValueError("load: no chip steps")

    def seconds(self, synop_s: Any, update_s: Any, link_s: Any, barrier_s: Any, *, barrier_adds: bool = False) -> Any:
        """An action's time. The figures may be arrays of draws (N,): then so is the time. `barrier_adds` as in Speed."""
        synops, links = np.multiply.outer(synop_s, self.synops_J), np.multiply.outer(link_s, self.messages_J)
        updates = np.asarray(update_s)[..., None] * self.updates
        busy = np.maximum(np.maximum(synops, links), updates)
        return lasting(busy, np.asarray(barrier_s)[..., None], barrier_adds) @ self.steps_J

    def scaled(self, factor: float) -> Load:
        """As if the predictor sent `factor` times as much. Exact as long as the same core and link stay the busiest or another
        one is busy with other parts' messages, else a lower bound."""
        more = factor - 1.0
        return replace(
            self,
            synops_J=np.maximum(self.synops_J + more * self.synops_sent_J, self.fixed_J),
            synops_sent_J=factor * self.synops_sent_J,
            messages_J=self.messages_J + more * self.messages_sent_J,
            messages_sent_J=factor * self.messages_sent_J,
        )
