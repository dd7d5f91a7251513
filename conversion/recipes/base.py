"""What a recipe is: settings, and `build`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import nn

from spikeplan.conversion.calibration import Calibration
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact


class Recipe(Protocol):
    """What `convert` asks: `build(linears, data)` makes the network of a chain of linear layers."""

    def build(self, linears: list[nn.Linear], data: Calibration) -> Artifact: ...


@dataclass(frozen=True, kw_only=True)
class RecipeKind:
    """A recipe by name; `make(**settings)` returns a Recipe and refuses settings that it does not know.

    Args:
        name: what `convert --recipe` takes.
        make: a class or function; `spikeplan convert` passes `bits` and `thresholds` where the user gives them.
        untuned: settings of `spikeplan convert` where the user gives none: no fine-tuning follows.

    >>> RECIPE = RecipeKind(name="mine", make=MyRecipe)
    """

    name: str
    make: Callable[..., Recipe]
    untuned: Mapping[str, Any] = field(default_factory=dict)

    def made(self, **given: Any) -> Recipe:
        """The recipe for `spikeplan convert`. Raises UserError for a setting that it does not take."""
        try:
            inspect.signature(self.make).bind(**given)
        except TypeError as error:
            raise UserError(f"recipe {self.name!r} takes no such setting ({error}); leave it out") from error
        return self.make(**{**self.untuned, **given})
