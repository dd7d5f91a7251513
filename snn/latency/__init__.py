"""Networks in a latency code: every neuron fires at most once a prediction, the earlier the larger its value."""

from __future__ import annotations

from spikeplan.snn.latency.net import LatencyNet, LatencySettings, Moments
from spikeplan.snn.latency.predictor import LatencyPredictor

__all__ = ["LatencyNet", "LatencyPredictor", "LatencySettings", "Moments"]
