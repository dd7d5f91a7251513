"""Costs of imagined futures, as objects that are added up: what a plan is for is said when it is made.

    LatentDistance   sum_t |z[t] - z_goal|_1         (or the last step; or squared)
    SquaredDistance  sum_t |z[t] - z_goal|^2 + weight * relu(margin - |z[t] - mean z_keep_out|^2)
    Avoid            weight * sum_t relu(margin - min_k |z[t] - z_keep_out[k]|_1)
    Effort           weight * sum_t |a[t]|^2 / limit^2
    CostToGo         weight * V(z[H], z_goal), a network's
    Sum              of several

To add one that `plan --cost` knows, drop a file here that exports COST (`base.CostKind`), or name your own with `--plugin`.
"""

from __future__ import annotations

from spikeplan.core.registry import Registry
from spikeplan.worldmodel.planning.costs.avoid import Avoid
from spikeplan.worldmodel.planning.costs.base import (
    Cost,
    CostKind,
    Goal,
    Sum,
    Units,
    finite_goal,
    goal_of,
    judge,
    judged_of,
    priced_by,
)
from spikeplan.worldmodel.planning.costs.distance import LatentDistance
from spikeplan.worldmodel.planning.costs.effort import Effort
from spikeplan.worldmodel.planning.costs.squared import SquaredDistance
from spikeplan.worldmodel.planning.costs.to_go import CostToGo

COSTS: Registry[CostKind] = Registry("COST", "spikeplan.worldmodel.planning.costs", CostKind, "cost")

__all__ = [
    "COSTS",
    "Avoid",
    "Cost",
    "CostKind",
    "CostToGo",
    "Effort",
    "Goal",
    "LatentDistance",
    "SquaredDistance",
    "Sum",
    "Units",
    "finite_goal",
    "goal_of",
    "judge",
    "judged_of",
    "priced_by",
]
