"""Amortised policies, one recipe a file: what solves a task without planning, and what a guided planner starts from.

To add a recipe, drop a file here that exports POLICY (`base.PolicyRecipe`), or name your own with `--plugin`.
"""

from __future__ import annotations

from spikeplan.core.registry import Registry
from spikeplan.worldmodel.policies.base import GoalPolicy, Pairs, PolicyConfig, PolicyRecipe

POLICIES: Registry[PolicyRecipe] = Registry("POLICY", "spikeplan.worldmodel.policies", PolicyRecipe, "policy recipe")

__all__ = ["POLICIES", "GoalPolicy", "Pairs", "PolicyConfig", "PolicyRecipe"]
