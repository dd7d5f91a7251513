"""What a recipe is: settings, and `build`, which makes a network of what was traced."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.report import Report
from spikeplan.conversion.tracing import Traced
from spikeplan.core.errors import UserError


class Network(Protocol):
    """What is made; `provenance` keeps words about it, such as the task."""

    @property
    def provenance(self) -> dict[str, Any]: ...


N = TypeVar("N", bound=Network, covariant=True)
Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Built(Generic[N]):
    """A network that a recipe made, and how to run it. Shapes: latent (N, D), action (N, A), next latent (N, D).

    Args:
        network: an artifact, or whatever else the recipe makes.
        report: of its layers; `convert` adds the errors of the output.
        residual: its output is added to the latent; errors are then relative to the change.
        running: one prediction as it runs.
        finest: one prediction with every threshold at one message LSB.
        predictor: makes it obey the planner's contract (worldmodel/predictor.py).
        save: writes it.
    """

    network: N
    report: Report
    residual: bool
    running: Step
    finest: Step
    predictor: Callable[[], Any]
    save: Callable[[str | os.PathLike[str]], Path]


class Recipe(Protocol[N]):
    """What `convert` asks: `build(traced, data)` makes the network of what `forward` computes.

    `traced.forward` runs the module; `conversion.tracing.affine_net(traced, data)` reads it as neurons and affine maps.
    """

    def build(self, traced: Traced, data: Calibration) -> Built[N]: ...


@dataclass(frozen=True, kw_only=True)
class RecipeKind:
    """A recipe by name; `make(**settings)` returns a Recipe and refuses settings that it does not know.

    Args:
        name: what `convert --recipe` takes.
        make: a class or function; `spikeplan convert` passes `bits` and `thresholds` where the user gives them.
        untuned: settings where the user gives none: no fine-tuning follows.
        has_file: whether what it makes can be saved, so that `spikeplan convert` can write it.

    >>> RECIPE = RecipeKind(name="mine", make=MyRecipe)
    """

    name: str
    make: Callable[..., Recipe[Any]]
    untuned: Mapping[str, Any] = field(default_factory=dict)
    has_file: bool = True

    def made(self, **given: Any) -> Recipe[Any]:
        """The recipe, by settings. Raises UserError for a setting that it does not take."""
        try:
            inspect.signature(self.make).bind(**given)
        except TypeError as error:
            raise UserError(f"recipe {self.name!r} takes no such setting ({error}); leave it out") from error
        return self.make(**{**self.untuned, **given})
