"""Networks of strangers, converted: how many come out as something else, and how long a large one takes."""

from __future__ import annotations

from spikeplan.experiments.bench.strangers.rows import convert_rows, large_rows, strangers_rows

__all__ = ["convert_rows", "large_rows", "strangers_rows"]
