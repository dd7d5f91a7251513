"""Planners and the closed loop: CEM in floating point and in integers, one rollout, and the cost for other planners.

To add a planner, drop a file here that exports PLANNER (`base.PlannerKind`), or name your own with `--plugin`.
"""

from __future__ import annotations

from spikeplan.core.registry import Registry
from spikeplan.worldmodel.planning.base import PlannerKind

PLANNERS: Registry[PlannerKind] = Registry("PLANNER", "spikeplan.worldmodel.planning", PlannerKind, "planner")

__all__ = ["PLANNERS", "PlannerKind"]
