"""`spikeplan bench predictors`: a transformer and a gated linear recurrence plan KeepOut, dense and converted (compare.py)."""

from __future__ import annotations

from spikeplan.experiments.bench.predictors.compare import CASES, Case, bench_predictors

__all__ = ["CASES", "Case", "bench_predictors"]
