"""From the parts of `spikeplan fusion` to rows: success, errors, paired differences, where events help and where they do not.

`gain` compares a method with the best frame-only method of the condition, best in the very episodes that are reported: the
choice favours the baseline. Intervals are over episodes, seeds averaged first.
Shapes: K seeds, N episodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.evaluation.intervals import Z95, paired, success_interval
from spikeplan.experiments.fusion_study.rows import AgeBin, Claim, FusionMethodRow, Gain, LatencyRow, Mean
from spikeplan.experiments.fusion_study.shard import BINS_S
from spikeplan.fusion.estimators import FRAME_ONLY, METHODS
from spikeplan.fusion.streams import Condition

HEADLINE = "fused-spiking"
COMPARED = ("fused-spiking", "fused", "events")
SUCCESS_FACTOR = 0.3  # of the world's tolerance, mean over the second half; fixed before the reported episodes were run
MUST_HOLD = {
    "fast target": ("speed x8",),
    "dark": ("light 1/16", "light 1/64"),
    "dropped frames": ("drop 50 %", "drop 75 %"),
}
Floats = NDArray[np.float64]


def mean_interval(value_KN: Floats) -> Mean:
    """Mean over episodes with its 95 % interval (normal), as (mean, low, high)."""
    value = value_KN.mean(0)
    half = Z95 * float(value.std(ddof=1)) / math.sqrt(len(value)) if len(value) > 1 else float("inf")
    mean = float(value.mean())
    low, high = (round(v, 6) if math.isfinite(v) else mean for v in (mean - half, mean + half))
    return round(mean, 6), low, high


def gather(parts: Sequence[dict[str, Any]], name: str, method: str, field: str, seeds: int) -> Floats:
    """(K, N): parts come seed by seed, shard by shard."""
    values = [part[name]["methods"][method][field] for part in parts if name in part]
    return np.concatenate([np.asarray(v, np.float64) for v in values]).reshape(seeds, -1)


def method_rows(
    parts: Sequence[dict[str, Any]], condition: Condition, *, seeds: int, tolerance: float
) -> list[FusionMethodRow]:
    """A row a method of one condition."""
    name = condition.name
    limit = SUCCESS_FACTOR * tolerance
    distance = {method: gather(parts, name, method, "distance", seeds) for method in METHODS}
    success = {method: (found <= limit).astype(np.float64) for method, found in distance.items()}
    state = {method: gather(parts, name, method, "state_error", seeds) for method in METHODS}
    best = min(FRAME_ONLY, key=lambda method: float(distance[method].mean()))
    best_state = min(FRAME_ONLY, key=lambda method: float(state[method].mean()))
    rows = []
    for method in METHODS:
        mine = [part[name]["methods"][method] for part in parts if name in part]
        gain = None
        if method in COMPARED:
            more = success[method] - success[best]
            gain = Gain(
                best_frame_only=best,
                distance=mean_interval(distance[best] - distance[method]),
                success=(float(more.mean()), *paired(success[method], success[best])),
                best_frame_only_state=best_state,
                state_error=mean_interval(state[best_state] - state[method]),
            )
        rows.append(
            FusionMethodRow(
                condition=name,
                method=method,
                success=float(success[method].mean()),
                ci95=success_interval(success[method]),
                distance=mean_interval(distance[method]),
                distance_late=mean_interval(gather(parts, name, method, "distance_late", seeds)),
                state_error=mean_interval(state[method]),
                latent_error=mean_interval(gather(parts, name, method, "latent_error", seeds)),
                by_age=by_age(mine),
                gain=gain,
            )
        )
    return rows


def by_age(rows: Sequence[dict[str, Any]]) -> list[AgeBin]:
    """State error against the time since the newest known frame's exposure."""
    total = np.sum([row["bin_sum"] for row in rows], 0)
    count = np.sum([row["bin_count"] for row in rows], 0)
    return [
        AgeBin(
            from_s=BINS_S[b],
            to_s=BINS_S[b + 1],
            error=round(float(total[b] / count[b]), 6),
            samples=int(count[b]),
        )
        for b in range(len(count))
        if count[b]
    ]


def latency_rows(seconds: dict[str, dict[str, list[float]]]) -> list[LatencyRow]:
    """`seconds`: {condition: {method: latencies}}"""
    return [
        LatencyRow(
            condition=name,
            method=method,
            ms=_milliseconds(mean_interval(np.array([values]))),
            paired_vs_fused_ms=_milliseconds(mean_interval(np.array([values]) - np.array([methods[HEADLINE]]))),
        )
        for name, methods in seconds.items()
        for method, values in methods.items()
    ]


def _milliseconds(mean: Mean) -> Mean:
    middle, low, high = (round(1e3 * v, 2) for v in mean)
    return middle, low, high


def claims(rows: Sequence[FusionMethodRow]) -> list[Claim]:
    """The target: the headline method beats the best frame-only method, lower bound of the paired interval above zero."""
    gains = {row.condition: row.gain for row in rows if row.method == HEADLINE}
    asked = []
    for name, conditions in MUST_HOLD.items():
        for condition in conditions:
            gain = gains.get(condition)
            if gain is not None:
                asked.append(
                    Claim(
                        claim=name,
                        condition=condition,
                        best_frame_only=gain.best_frame_only,
                        distance=gain.distance,
                        success=gain.success,
                        state_error=gain.state_error,
                        holds_distance=gain.distance[1] > 0,
                        holds_success=gain.success[1] > 0,
                        holds_state=gain.state_error[1] > 0,
                    )
                )
    return asked


def losses(rows: Sequence[FusionMethodRow]) -> list[str]:
    """Where events do not help, in words."""
    said = []
    for row in rows:
        gain = row.gain
        if row.method != HEADLINE or gain is None:
            continue
        if gain.distance[2] < 0:
            said.append(f"{row.condition}: {HEADLINE} is worse than {gain.best_frame_only} in distance")
        elif gain.distance[1] <= 0:
            said.append(f"{row.condition}: no difference in distance to {gain.best_frame_only} outside the interval")
        if gain.success[2] < 0:
            said.append(f"{row.condition}: {HEADLINE} succeeds less often than {gain.best_frame_only}")
        elif gain.success[1] <= 0:
            said.append(f"{row.condition}: no difference in success to {gain.best_frame_only} outside the interval")
    return said
