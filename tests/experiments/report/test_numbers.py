"""The last lines of a run, and numbers as text."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from spikeplan.core.format import joule, number, points
from spikeplan.evaluation.rows import from_json
from spikeplan.evaluation.summary import Summary, TaskSummary
from spikeplan.experiments.report import print_table
from spikeplan.experiments.report.terminal.run import numbers

TASK = "two-room"


@pytest.mark.parametrize("width", [80, 130])
def test_a_run_ends_with_four_numbers_and_their_intervals_on_one_screen(results: Any, width):
    found = results.summary()
    found["tasks"] = {name: found["tasks"][TASK] for name in ("two-room", "planar-reach", "two-room-random")}
    console = Console(record=True, width=width, file=io.StringIO())
    print_table(from_json(found, Summary), console)
    printed = console.export_text()
    assert len(printed.splitlines()) <= 24, "the path of the report makes 25"
    assert "`spikeplan results` decides" not in printed, "no interval was missed"
    for word in ("two-room-random", "0.880", "mJ", "simulated", "6 of 12 targets hold, 3 do not", "goal <= .30"):
        assert word in " ".join(printed.split())


def test_the_four_numbers_of_a_task_and_what_is_missing():
    def priced(nominal: float) -> dict[str, Any]:
        return {"scope": "system", "low": 1e-3, "nominal": nominal, "high": 4e-3, "unit": "J/action", "evidence": "D"}

    methods = {"dense": {"success": 0.9, "ci95": [0.8, 0.95]}, "sigma_delta": {"paired_vs_dense": [-0.04, 0.02]}}
    machines = {
        "loihi2": {"sigma_delta": priced(2e-3)},
        "h100": {"int8": priced(2e-3)},
        "orin_nano": {"int8": priced(1.5e-3)},
    }
    assert numbers(from_json({"methods": methods, "energy": machines}, TaskSummary)) == (
        "0.900 [0.800, 0.950]",
        "\u22121.0 [\u22124.0, +2.0]",
        "2.00 mJ [1.00 mJ, 4.00 mJ] loihi2",
        "1.50 mJ [1.00 mJ, 4.00 mJ] orin_nano, int8",
    )
    assert numbers(TaskSummary()) == ("\u2013 \u2013", "\u2013", "\u2013", "\u2013")


@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (number(None), "–"),
        (number(float("nan")), "–"),
        (number(0), "0"),
        (number(2.9e8), "290 M"),
        (number(12_345), "12.3 k"),
        (number(3072), "3072"),
        (number(0.05), "0.0500"),
        (joule(5.5e-4), "550 µJ"),
        (joule(1.2), "1.20 J"),
        (points((-0.029, 0.011)), "−0.9 [−2.9, +1.1]"),
        (points(None), "–"),
    ],
)
def test_numbers_as_text(made, shown):
    assert made == shown
