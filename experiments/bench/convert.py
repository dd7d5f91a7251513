"""`spikeplan bench convert`: what converting a network costs and brings, a part a module.

A part is a function of the console that returns rows; its module says what they compare. To add one, append it to PARTS, or
to FILE_PARTS where it also takes a folder of other tools' network files (`--files`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from spikeplan.experiments.bench.graph_conformance import bench_graphs
from spikeplan.experiments.bench.interchange import bench_interchange
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.bench.simulation_speed import simulation_speed
from spikeplan.experiments.bench.strangers import convert_rows
from spikeplan.experiments.runner.progress import working


def strangers(console: Console) -> list[BenchRow]:
    """Networks that are not ours, by every recipe, and a transformer of 300 million weights."""
    with working("bench convert: strangers' networks"):
        return convert_rows()


PARTS: tuple[Callable[[Console], list[BenchRow]], ...] = (simulation_speed, strangers, bench_graphs)

FILE_PARTS: tuple[Callable[[Console, Path | None], list[BenchRow]], ...] = (bench_interchange,)


def bench_convert(console: Console, files: Path | None = None) -> list[BenchRow]:
    """The rows of every part, one part after the other."""
    rows = [row for part in PARTS for row in part(console)]
    return rows + [row for part in FILE_PARTS for row in part(console, files)]
