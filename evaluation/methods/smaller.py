"""Smaller dense opponents in int8: distilled narrower networks, and the full network with its smallest weights zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spikeplan.evaluation.methods.base import Method, Site
from spikeplan.worldmodel.int8 import Int8Predictor
from spikeplan.worldmodel.predictor import Predictor

if TYPE_CHECKING:
    from spikeplan.evaluation.aggregate import Run

WIDTHS = {64: "^", 96: "v", 128: "<"}
PERCENT = {80: "p", 90: "h", 95: "*"}  # of the weights that are zero
NARROW = tuple(f"narrow-{width}" for width in WIDTHS)
PRUNED = tuple(f"pruned-{percent}" for percent in PERCENT)


def _make(name: str, site: Site) -> Predictor:
    data = site.calibration
    return site.once(name, lambda: Int8Predictor(site.bundle.narrow(name), data.latent_ND, data.action_NA))


def _without_zeros(run: Run) -> list[Any]:
    from spikeplan.evaluation.dense_readings import without_zeros

    return without_zeros(run)


def _method(name: str, marker: str, **more: Any) -> Method:
    return Method(
        name=name,
        family="dense",
        make=lambda site: _make(name, site),
        files=lambda bundle: [bundle.model_path, bundle.beside(name)],
        relative_cost=0.6,
        colour="#009E73",
        marker=marker,
        **more,
    )


METHOD = (
    *(_method(name, marker) for name, marker in zip(NARROW, WIDTHS.values(), strict=True)),
    *(_method(name, marker, readings=_without_zeros) for name, marker in zip(PRUNED, PERCENT.values(), strict=True)),
)
