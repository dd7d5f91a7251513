"""`bench wide`: predictors of several widths learn transitions, the widest one is made sparse, and all are compared."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from spikeplan.experiments.bench.sparse.measured import Measured
from spikeplan.experiments.bench.sparse.wide import Settings, bench_wide
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.snn.sparse_training import SparseTraining


@pytest.mark.slow
def test_widths_are_trained_made_sparse_and_compared() -> None:
    kept: list[Measured] = []
    settings = Settings(
        widths=(16, 48),
        clips=500,
        steps=60,
        tuning=DeltaTraining(steps=40, records=4, candidates=4),
        sparse=SparseTraining(pruned=0.8),
        recorded=4,
        episodes=6,
    )
    rows = bench_wide(Console(file=StringIO(), width=100), settings, keep=kept.append)
    assert [one.side for one in kept] == ["dense"] * 4 + ["spiking", "own dense"] * 4
    narrow, wide, whole, pruned = kept[0], kept[2], kept[4], kept[8]
    passes, shared = 4 * 4, 3 * 32  # four copies of four steps; three copies spare the start's 32 inputs
    assert wide.split["macs"] - narrow.split["macs"] == passes * (34 * 32 + 48**2 - 16**2 + 32 * 32) - shared * 32
    assert kept[5].split["macs"] == wide.split["macs"], "its own function is as dear densely"
    assert pruned.split["synops"] < 0.5 * whole.split["synops"] and pruned.placed > pruned.full
    names = [row.name for row in rows]
    assert names[:4] == [f"dense: {one.label}" for one in kept[:4]]
    assert names[-2:] == ["wide_equivalents_vs_dense", "wide_equivalents_vs_own_dense"]
    assert rows[-1].other in [one.full for one in kept if one.side == "own dense"]
