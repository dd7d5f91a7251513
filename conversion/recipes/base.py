"""What a recipe is: settings, and `build`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import nn

from spikeplan.conversion.calibration import Calibration
from spikeplan.core.ir.artifact import Artifact


class Recipe(Protocol):
    """What `convert` asks: `build(linears, data)` makes the network of a chain of linear layers."""

    def build(self, linears: list[nn.Linear], data: Calibration) -> Artifact: ...


@dataclass(frozen=True, kw_only=True)
class RecipeKind:
    """A recipe by name; `make(**settings)` returns a Recipe and refuses settings that it does not know.

    >>> RECIPE = RecipeKind(name="mine", make=MyRecipe)
    """

    name: str
    make: Callable[..., Recipe]
