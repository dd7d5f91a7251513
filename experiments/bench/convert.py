"""`spikeplan bench convert`: what converting a network costs and brings, a part a module.

A part is a function of the console that returns rows; its module says what they compare. To add one, append it to PARTS.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console

from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.simulation_speed import simulation_speed

PARTS: tuple[Callable[[Console], list[BenchRow]], ...] = (simulation_speed,)


def bench_convert(console: Console) -> list[BenchRow]:
    """The rows of every part, one part after the other."""
    return [row for part in PARTS for row in part(console)]
