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


def mean_interval(value_KN: Floats) -> list[float]:
    """Mean over episodes with its 95 % interval (normal), as [mean, low, high]."""
    value = value_KN.mean(0)
    half = Z95 * float(value.std(ddof=1)) / math.sqrt(len(value)) if len(value) > 1 else float("inf")
    mean = float(value.mean())
    return [round(v, 6) if math.isfinite(v) else mean for v in (mean, mean - half, mean + half)]


def gather(parts: Sequence[dict[str, Any]], name: str, method: str, field: str, seeds: int) -> Floats:
    """(K, N): parts come seed by seed, shard by shard."""
    values = [part[name]["methods"][method][field] for part in parts if name in part]
    return np.concatenate([np.asarray(v, np.float64) for v in values]).reshape(seeds, -1)


def method_rows(
    parts: Sequence[dict[str, Any]], condition: Condition, *, seeds: int, tolerance: float
) -> list[dict[str, Any]]:
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
        row: dict[str, Any] = {
            "kind": "method",
            "condition": name,
            "method": method,
            "success": float(success[method].mean()),
            "ci95": success_interval(success[method]),
            "distance": mean_interval(distance[method]),
            "distance_late": mean_interval(gather(parts, name, method, "distance_late", seeds)),
            "state_error": mean_interval(state[method]),
            "latent_error": mean_interval(gather(parts, name, method, "latent_error", seeds)),
            "by_age": by_age(mine),
        }
        if method in COMPARED:
            row["gain"] = {
                "best_frame_only": best,
                "distance": mean_interval(distance[best] - distance[method]),
                "success": [float((success[method] - success[best]).mean()), *paired(success[method], success[best])],
                "best_frame_only_state": best_state,
                "state_error": mean_interval(state[best_state] - state[method]),
            }
        rows.append(row)
    return rows


def by_age(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """State error against the time since the newest known frame's exposure."""
    total = np.sum([row["bin_sum"] for row in rows], 0)
    count = np.sum([row["bin_count"] for row in rows], 0)
    return [
        {
            "from_s": BINS_S[b],
            "to_s": BINS_S[b + 1],
            "error": round(float(total[b] / count[b]), 6),
            "samples": int(count[b]),
        }
        for b in range(len(count))
        if count[b]
    ]


def latency_rows(found: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """{condition: {method: latencies}}"""
    return [
        {
            "kind": "latency",
            "condition": name,
            "method": method,
            "ms": [round(1e3 * v, 2) for v in mean_interval(np.array([values]))],
            "paired_vs_fused_ms": [
                round(1e3 * v, 2) for v in mean_interval(np.array([values]) - np.array([methods[HEADLINE]]))
            ],
        }
        for name, methods in found.items()
        for method, values in methods.items()
    ]


def claims(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The target: the headline method beats the best frame-only method, lower bound of the paired interval above zero."""
    gain = {row["condition"]: row["gain"] for row in rows if row["kind"] == "method" and row["method"] == HEADLINE}
    found = []
    for name, conditions in MUST_HOLD.items():
        for condition in conditions:
            if condition in gain:
                g = gain[condition]
                found.append(
                    {
                        "claim": name,
                        "condition": condition,
                        "best_frame_only": g["best_frame_only"],
                        "distance": g["distance"],
                        "success": g["success"],
                        "state_error": g["state_error"],
                        "holds_distance": g["distance"][1] > 0,
                        "holds_success": g["success"][1] > 0,
                        "holds_state": g["state_error"][1] > 0,
                    }
                )
    return found


def losses(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Where events do not help, in words."""
    said = []
    for row in rows:
        if row["kind"] != "method" or row["method"] != HEADLINE:
            continue
        g = row["gain"]
        if g["distance"][2] < 0:
            said.append(f"{row['condition']}: {HEADLINE} is worse than {g['best_frame_only']} in distance")
        elif g["distance"][1] <= 0:
            said.append(f"{row['condition']}: no difference in distance to {g['best_frame_only']} outside the interval")
        if g["success"][2] < 0:
            said.append(f"{row['condition']}: {HEADLINE} succeeds less often than {g['best_frame_only']}")
        elif g["success"][1] <= 0:
            said.append(f"{row['condition']}: no difference in success to {g['best_frame_only']} outside the interval")
    return said
