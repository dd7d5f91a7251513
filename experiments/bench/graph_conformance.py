"""Part of `spikeplan bench convert`: drawn graphs in the reference, the fused executor and as Lava processes, value by value.

graph_values_different    outputs and states of every node after every step that are not the reference's, over three runs:
                          the fused executor, the same as one Lava process, and one Lava process a node
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spikeplan.core.ir.graph import KINDS, Graph
from spikeplan.core.ir.graph.reference import Running
from spikeplan.experiments.bench.drawn_graphs import drawn, inputs_of
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.lava_procs.graph.fused import Compiled
from spikeplan.lava_procs.graph.run import GraphRecord, GraphRun, run_graphs

GRAPHS, STEPS, BATCH = 200, 8, 10
TIMEOUT_S = 900.0  # of one batch


@dataclass
class Agreement:
    """Values compared and different; the share that was not zero, since zeros agree easily; kinds of nodes; the first miss."""

    compared: int = 0
    different: int = 0
    nonzero: int = 0
    kinds: set[str] = field(default_factory=set)
    first: str = ""

    @property
    def active(self) -> float:
        return self.nonzero / max(self.compared, 1)

    def add(self, want: Any, got: Any, where: str) -> None:
        self.compared += want.size
        self.nonzero += int(np.count_nonzero(want))
        wrong = int(np.count_nonzero(want != got)) if want.shape == got.shape else want.size
        self.different += wrong
        if wrong and not self.first:
            self.first = where


def bench_graphs(console: Console, *, graphs: int = GRAPHS) -> list[BenchRow]:
    """One row. Batches of graphs share a worker, in which Lava is imported once."""
    found = Agreement()
    with progress_bar(console) as bar, tempfile.TemporaryDirectory() as folder:
        shown = bar.add_task("bench convert: graphs in Lava", total=graphs)
        for first in range(0, graphs, BATCH):
            some = [drawn(seed) for seed in range(first, min(first + BATCH, graphs))]
            agree_in_lava(some, folder=Path(folder) / str(first), found=found)
            bar.advance(shown, len(some))
    missing = sorted(set(KINDS) - found.kinds)
    return [
        BenchRow(
            name="graph_values_different",
            ours=found.different,
            other=found.compared,
            unit=f"of the values compared, {found.active:.0%} not zero; {graphs} graphs, {len(found.kinds)} kinds of nodes"
            + (f"; never drawn: {', '.join(missing)}" if missing else "")
            + (f"; first: {found.first}" if found.first else ""),
            goal="0",
            holds=found.different == 0 and found.compared > 0 and not missing,
        )
    ]


def agree_in_lava(graphs: Sequence[Graph], *, folder: Path, found: Agreement | None = None) -> Agreement:
    """All of them in every backend; values that differ are counted in `found`."""
    found = Agreement() if found is None else found
    rows = [inputs_of(graph, STEPS, seed) for seed, graph in enumerate(graphs)]
    runs = [
        GraphRun(graph=graph, inputs=given, form=form, watch=True)
        for graph, given in zip(graphs, rows, strict=True)
        for form in ("fused", "readable")
    ]
    records = run_graphs(runs, workdir=folder, timeout_s=TIMEOUT_S)
    for graph, given, whole, readable in zip(graphs, rows, records[::2], records[1::2], strict=True):
        _compare(graph, given, {"Lava, one process": whole, "Lava, a process a node": readable}, found)
    return found


def _compare(graph: Graph, given: dict[str, Any], records: dict[str, GraphRecord], found: Agreement) -> None:
    reference, fused = Running(graph), Compiled(graph)
    found.kinds |= {type(node).__name__ for node in graph.nodes}
    for t in range(STEPS):
        now = {name: rows[t] for name, rows in given.items()}
        reference.step(now)
        fused.step(now)
        for name, sent in reference.sent.items():
            where = f"step {t} of {graph.node(name)!r:.80}"
            found.add(sent, fused.slots[name], f"{where} in the fused executor")
            for backend, record in records.items():
                found.add(sent, record.nodes[name][t], f"{where} in {backend}")
        for name, state in reference.state.items():
            for what, values in state.items():
                found.add(values, fused.state[name][what], f"{name}.{what} in the fused executor")
                for backend, record in records.items():
                    found.add(values, record.states[f"{name}.{what}"][t], f"{name}.{what} in {backend}")
