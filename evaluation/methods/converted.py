"""The dense predictor converted anew by each recipe, as it stands: `converted-RECIPE`.

Nothing is fine-tuned on plans, and the calibration is that of every method, so these methods show what a recipe gives to a
network that it has not seen. `sigma_delta` is a method of its own, from the shipped file.
"""

from __future__ import annotations

from functools import partial

from spikeplan.conversion import convert
from spikeplan.conversion.recipes import RECIPES
from spikeplan.evaluation.methods.base import Method, Site
from spikeplan.worldmodel.predictor import Predictor

BESIDE = "sigma_delta"


def _make(recipe: str, site: Site) -> Predictor:
    """Raises UserError where the recipe refuses the predictor."""
    made: Predictor = site.once(
        recipe, lambda: convert(site.bundle.model.predictor, site.calibration, recipe)
    ).predictor()
    return made


METHOD = tuple(
    Method(
        name=f"converted-{recipe}",
        family="spiking",
        make=partial(_make, recipe),
        relative_cost=6.0,
        colour="#56B4E9",
        marker="h",
    )
    for recipe in RECIPES
    if recipe != BESIDE
)
