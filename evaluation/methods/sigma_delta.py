"""Sigma-delta networks with graded spikes: the full one, the narrow ones, and the full one under other planners.

What spikes save must be asked of the cheapest network too, so the narrow networks are converted as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.methods.base import Method, Site
from spikeplan.evaluation.methods.smaller import WIDTHS
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.predictor import Predictor

if TYPE_CHECKING:
    from spikeplan.evaluation.aggregate import Run
    from spikeplan.evaluation.bundle import Bundle
    from spikeplan.evaluation.rows import LavaLoopRow

VERMILLION, ORANGE = "#D55E00", "#E69F00"
NARROW = tuple(f"sigma_delta-{width}" for width in WIDTHS)


def _artifact(width: int | None, bundle: Bundle) -> Artifact:
    return bundle.artifact if width is None else bundle.narrow_artifact(width)


def _files(width: int | None, bundle: Bundle) -> list[Path]:
    return [bundle.model_path, bundle.artifact_path if width is None else bundle.beside(f"delta-{width}")]


def _make(width: int | None, site: Site) -> Predictor:
    return DeltaPredictor(_artifact(width, site.bundle).scaled(site.threshold))


def _own_function(run: Run) -> list[Any]:
    from spikeplan.evaluation.dense_readings import own_function

    return own_function(run)


def _in_lava(**settings: Any) -> LavaLoopRow:
    from spikeplan.evaluation.lava.episodes import lava_episodes

    return lava_episodes(**settings)


def _method(name: str, width: int | None = None, **more: Any) -> Method:
    settings: dict[str, Any] = {"relative_cost": 1.6 if width is None else 0.6, "colour": VERMILLION}
    return Method(
        name=name,
        family="spiking",
        make=lambda site: _make(width, site),
        files=lambda bundle: _files(width, bundle),
        artifact=lambda bundle: _artifact(width, bundle),
        readings=_own_function,
        **(settings | more),
    )


METHOD = (
    _method("sigma_delta"),
    *(
        _method(name, width, colour=ORANGE, marker=marker)
        for name, (width, marker) in zip(NARROW, WIDTHS.items(), strict=True)
    ),
    _method("sigma_delta-mad", planner="cem_mad", marker="d"),
    _method("integer", planner="integer_cem", relative_cost=1.8, marker="D"),
    _method("lava", planner="integer_cem", closed_loop=_in_lava, colour=ORANGE, marker="^"),
)
