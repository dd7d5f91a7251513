"""Points of a run on the regime map: the spiking methods of its front, by weights, candidates and measured density."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikeplan.core.counts.operations import part_of
from spikeplan.evaluation.pricing.runs import PricedRun, read_run


def points_of(folder: Path) -> list[dict[str, Any]]:
    """{name, task, weight_bytes, candidates, density, success} of each spiking method of the headline.

    Raises UserError for a folder that is no results directory.
    """
    found = []
    for task, methods in read_run(folder).methods.items():
        for method in methods:
            if method.spiking and method.headline:
                point = _point(method)
                if point is not None:
                    found.append({"name": f"{task}, {method.name}", "task": task, "success": method.success, **point})
    return found


def _point(method: PricedRun) -> dict[str, Any] | None:
    """Of the predictor alone: a policy's and a cost-to-go's layers are others."""
    rows = [c for (phase, layer, _, _), c in method.op_counts.counts("predictor") if not part_of(layer)]
    dense = sum(c.dense_macs for c in rows)
    weights = sum(bytes_ for layer, (bytes_, _) in method.op_counts.memory.items() if layer in {c.layer for c in rows})
    if not dense or not weights:
        return None
    return {
        "weight_bytes": weights,
        "candidates": max(1, method.row.samples),
        "density": sum(c.synops for c in rows) / dense,
    }
