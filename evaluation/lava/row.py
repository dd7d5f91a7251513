"""The row of whole episodes in Lava, the same for every planner that a session runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from spikeplan.evaluation.intervals import success_interval
from spikeplan.evaluation.rows import LavaLoopRow
from spikeplan.worldmodel.planning.closed_loop import Outcome


class Checked(Protocol):
    """A planner whose every plan the reference repeats: values compared and different so far, and of each plan its seconds and
    the messages of every layer."""

    compared: int
    different: int
    saturated: int
    seconds: list[float]
    messages: list[np.ndarray]


def loop_row(
    checked: Checked,
    outcome: Outcome,
    *,
    task: str,
    reference: str,
    threshold: float,
    layers: Sequence[str],
    evaluations: int,
    **drifts: Any,
) -> LavaLoopRow:
    """`evaluations`: predictions a plan; `drifts`: of the latent, by the row's field."""
    success = outcome.success_N.astype(float)[None]
    messages = np.mean(checked.messages, 0) / evaluations
    return LavaLoopRow(
        task=task,
        reference=reference,
        threshold=threshold,
        episodes=len(outcome.success_N),
        seeds=1,
        success=float(success.mean()),
        ci95=success_interval(success),
        plans=len(checked.seconds),
        values_compared=checked.compared,
        values_different=checked.different,
        plan_seconds=float(np.median(checked.seconds)),
        saturated=checked.saturated,
        messages_per_pass={name: round(float(m), 3) for name, m in zip(layers, messages, strict=True)},
        **drifts,
    )
