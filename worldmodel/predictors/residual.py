"""The residual ReLU MLP, the default."""

from spikeplan.worldmodel.predictor import ResidualPredictor
from spikeplan.worldmodel.predictors.base import PredictorKind

PREDICTOR = PredictorKind(name="residual", make=ResidualPredictor)
