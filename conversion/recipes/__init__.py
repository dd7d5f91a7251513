"""Recipes: how a dense chain becomes a spiking network, one file each. A recipe is a frozen dataclass with `build`.

To add a recipe, drop a file here that exports RECIPE (`base.RecipeKind`), or name your own with `--plugin`.
"""

from __future__ import annotations

from spikeplan.conversion.recipes.base import Recipe, RecipeKind
from spikeplan.core.registry import Registry

RECIPES: Registry[RecipeKind] = Registry("RECIPE", "spikeplan.conversion.recipes", RecipeKind, "recipe")

__all__ = ["RECIPES", "Recipe", "RecipeKind"]
