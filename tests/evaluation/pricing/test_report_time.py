"""How long `energy report` takes and how much it prints, as `bench energy` measures it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikeplan.experiments.bench import energy as bench


def test_a_report_takes_its_time_and_lines(toy: Any, tmp_path: Path) -> None:
    folder = toy.run_dir(tmp_path, toy.rows_of_a_run())
    seconds, lines = bench.report_rows(folder)
    assert seconds.holds and lines.holds and seconds.ours and 10 < (lines.ours or 0) <= 60
    assert [(row.ours, row.holds) for row in bench.report_rows(tmp_path / "none")] == [(None, None)] * 2
