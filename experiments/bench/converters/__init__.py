"""Our converters beside those of other packages: error against operations on networks trained here (rows.py)."""

from __future__ import annotations

from spikeplan.experiments.bench.converters.rows import bench_converters

__all__ = ["bench_converters"]
