"""What a run prints at its end: what was compared, its findings with their intervals, which targets were missed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.evaluation.results import Results, finite, mapping, sequence
from spikeplan.evaluation.verdict import CHIP
from spikeplan.experiments.report.headline.findings import Ends, Finding, cheapest_opponent, energies
from spikeplan.experiments.report.headline.section import SPIKING
from spikeplan.experiments.report.markup import DASH, between, energy, number, plain, points, share

ROWS = ("success, dense", "spiking \u2212 dense, points", "energy, spiking", "energy, dense", "energy, spiking / dense")
MISSED_SHOWN = 3
WHOLE = 300  # episodes; fewer cannot hold a bound of 3 points


def print_table(results: Results, console: Console) -> None:
    """At most 25 lines, whatever the run holds; the report has the rest. Nulls print as dashes."""
    summary = results.summary
    tasks = {str(task): mapping(found) for task, found in mapping(summary.get("tasks")).items()}
    episodes, seeds = plain(summary.get("episodes")), plain(summary.get("seeds"))
    console.print(
        f"The same planner with its dense network and with the sigma-delta network made from it: {episodes} paired "
        f"episodes a task, {seeds} planner seed(s). Energy: a whole system's Joules an action, cheapest point of each side at "
        "equal success. In brackets: 95 % of episodes, low to high of Joules."
    )
    table = Table("", header_style="bold")
    for task in tasks:
        table.add_column(escape(task), justify="right")
    columns = [numbers(results, task) for task in tasks]
    for line, name in enumerate(ROWS):
        table.add_row(name, *(escape(column[line]) for column in columns))
    console.print(table)
    _missed(
        {task: sequence(found.get("targets")) for task, found in tasks.items()},
        finite(summary.get("episodes")) or 0,
        console,
    )
    if summary.get("left_out"):
        console.print(f"[dim]Left out: {escape(plain(summary.get('left_out')))}.[/]")
    console.print("[dim]Counts are simulated; energy is an estimate; no chip was measured.[/]")


def numbers(results: Results, task: str) -> tuple[str, str, str, str, str]:
    """Of one task, in the order of ROWS; the energies are those of the report's headline."""
    methods = results.methods(task)
    dense, spiking = mapping(methods.get("dense")), mapping(methods.get(SPIKING))
    return (
        f"{share(dense.get('success'))} {between(dense.get('ci95'))}",
        points(spiking.get("paired_vs_dense")),
        *_energies(cheapest_opponent(energies(results, task))),
    )


def _energies(found: Finding | None) -> tuple[str, str, str]:
    if found is None:
        return DASH, DASH, DASH
    copies = "" if found.copies is None else f" x {found.copies}"
    sure = found.interval
    return (
        _joules(found.spiking, f"{CHIP}{copies}"),
        _joules(found.dense, found.device),
        number(found.points.ratio) + ("" if sure is None else f" [{number(sure.low)}, {number(sure.high)}]"),
    )


def _joules(ends: Ends | None, where: str) -> str:
    """A side without a point of equal success has no energy."""
    return DASH if ends is None else f"{energy(ends[1])} [{energy(ends[0])}, {energy(ends[2])}] {where}"


def _missed(targets: dict[str, Any], episodes: float, console: Console) -> None:
    """How many targets hold, and the first few that do not, each with its goal."""
    rows = [(task, mapping(target)) for task, each in targets.items() for target in each]
    if not rows:
        return
    held = sum(target.get("holds") is True for _, target in rows)
    unmeasured = sum(target.get("holds") is None for _, target in rows)
    missed = [(task, target) for task, target in rows if target.get("holds") is False]
    console.print(
        f"{held} of {len(rows)} targets hold, {len(missed)} do not"
        + (f", {unmeasured} were not measured" if unmeasured else "")
        + (":" if missed else ".")
    )
    for task, target in missed[:MISSED_SHOWN]:
        line = f"  {task}, {target.get('name')}: {plain(target.get('value'))}, goal {plain(target.get('goal'))}"
        console.print(line, markup=False, highlight=False)
    if 0 < episodes < WHOLE and any("interval" in str(target.get("name")) for _, target in missed):
        console.print(
            f"  {episodes:.0f} episodes leave intervals too wide to decide this: `spikeplan results` runs more."
        )
    if len(missed) > MISSED_SHOWN:
        console.print(f"  and {len(missed) - MISSED_SHOWN} more in the report")
