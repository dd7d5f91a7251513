"""Dense action-conditioned predictors, one file each.

To add a predictor, drop a file here that exports PREDICTOR (`base.PredictorKind`), or name your own with `--plugin`; then
train with `predictor="NAME"` in the task's recipe. A checkpoint carries the name and the settings.
"""

from __future__ import annotations

from spikeplan.core.registry import Registry
from spikeplan.worldmodel.predictors.base import PredictorKind

PREDICTORS: Registry[PredictorKind] = Registry(
    "PREDICTOR", "spikeplan.worldmodel.predictors", PredictorKind, "predictor"
)

__all__ = ["PREDICTORS", "PredictorKind"]
