"""The last lines of a run, and numbers as text."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from spikeplan.core.format import joule, number, points
from spikeplan.evaluation.results import Results, load
from spikeplan.evaluation.rows import FrontRow, PointEnergy
from spikeplan.evaluation.summary import Summary
from spikeplan.experiments.report import print_table
from spikeplan.experiments.report.headline.findings import energies
from spikeplan.experiments.report.headline.section import sentences
from spikeplan.experiments.report.terminal.run import numbers

TASK = "two-room"


@pytest.mark.parametrize("width", [80, 130])
def test_a_run_ends_with_its_findings_and_their_intervals_on_one_screen(results: Any, report, width):
    read = load(report[0])
    names = ("two-room", "planar-reach", "two-room-random")
    summary = replace(read.summary, tasks={name: read.summary.tasks[TASK] for name in names})
    rows = [replace(row, task=name) for name in names for row in read.of(FrontRow, TASK)]
    console = Console(record=True, width=width, file=io.StringIO())
    print_table(replace(read, summary=summary, rows=rows), console)
    printed = console.export_text()
    assert len(printed.splitlines()) <= 24, "the path of the report makes 25"
    assert "`spikeplan results` decides" not in printed, "no interval was missed"
    for word in ("two-room-random", "0.880", "mJ", "simulated", "6 of 12 targets hold, 3 do not", "goal <= .30"):
        assert word in " ".join(printed.split())


def test_the_terminal_prices_what_the_headline_prices(report):
    """The cheapest point of each side at iso-success, not the first method's one replica."""
    read = load(report[0])
    (found,) = energies(read, TASK)
    assert (found.device, found.points.spiking_cost) == ("orin_nano", 3e-3)
    *shown, ratio = numbers(read, TASK)
    assert ratio.startswith("5.45 [") and ratio.endswith("] orin_nano"), "with its interval and its opponent"
    assert shown.pop(2).startswith("0.593 ["), "operations"
    assert shown == [
        "0.880 [0.810, 0.940]",
        "\u22120.9 [\u22122.9, +1.1]",
        "3.00 mJ [750 µJ, 6.00 mJ] loihi2",
    ]
    for said in ("spiking / dense = 5.45", "Spiking 3.00 mJ; dense 550 µJ", "takes orin_nano more than 120 µs"):
        assert said in report[1]


def test_replicas_and_hosts_are_those_of_the_placement(report):
    read = load(report[0])
    alone = PointEnergy(low=1e-3, nominal=2e-3, high=3e-3)
    placed = replace(alone, by_host={"orin_nano": replace(alone, replicas=8, spread=1, cores=40)})
    rows = [
        replace(row, joules={"loihi2": placed}) if row.family == "spiking" else row for row in read.of(FrontRow, TASK)
    ]
    read = replace(read, rows=rows)
    assert numbers(read, TASK)[3] == "2.00 mJ [1.00 mJ, 3.00 mJ] loihi2 x 8"
    assert sentences(read, TASK).count("replicas of the loop") == 1, "operations need no placement"
    assert "Spiking 2.00 mJ, 8 replicas of the loop" in sentences(read, TASK)


def test_what_is_missing_is_a_dash():
    assert numbers(Results(config={}, summary=Summary()), TASK) == ("\u2013 \u2013", *["\u2013"] * 4)


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
