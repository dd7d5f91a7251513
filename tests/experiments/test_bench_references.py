"""`bench references`: every reference is trained for and planned on, and held against zero; at a size of seconds."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from spikeplan.core.counts.operations import ACTING_REFERENCES
from spikeplan.experiments.bench.references import bench_references
from spikeplan.snn.finetune_delta import DeltaTraining


@pytest.mark.slow
def test_every_reference_is_held_against_zero_at_every_budget() -> None:
    console = Console(file=StringIO(), width=200)
    rows = bench_references(console, training=DeltaTraining(steps=2, records=2), episodes=3, recorded=2)
    budgets = ("5_H3", "8_H4", "5_H2")
    assert [row.name for row in rows] == [
        f"{reference}_{budget}" for reference in ACTING_REFERENCES for budget in budgets
    ]
    by_name = {row.name: row for row in rows}
    for row in rows:
        assert row.ours is not None and row.other == by_name["zero_" + row.name[-4:]].ours
        assert row.ratio == pytest.approx(row.ours / row.other) and "success" in row.unit
    assert all(by_name[f"zero_{budget}"].ratio == 1 for budget in budgets)
    assert len({row.ours for row in rows}) == len(rows), "each reference sends something else"
    assert by_name["previous_candidate_8_H4"].ratio < 1, "untrained, a neighbour already knows most of a copy"
