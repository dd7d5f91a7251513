"""What a run prints at its end: what was compared, four numbers with their intervals, which targets were missed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.evaluation.results import Record, finite, mapping, sequence
from spikeplan.evaluation.verdict import DENSE_DEVICES
from spikeplan.experiments.report.markup import DASH, between, energy, plain, points, share

SPIKING, CHIP = "sigma_delta", "loihi2"
DENSE = "int8"
ROWS = ("success, dense", "spiking \u2212 dense, points", "energy, spiking, 1 replica", "energy, dense")
MISSED_SHOWN = 3
WHOLE = 300  # episodes; fewer cannot hold a bound of 3 points


def print_table(summary: Record, console: Console) -> None:
    """At most 25 lines, whatever the run holds; the report has the rest. Nulls print as dashes."""
    tasks = {str(task): mapping(found) for task, found in mapping(summary.get("tasks")).items()}
    episodes, seeds = plain(summary.get("episodes")), plain(summary.get("seeds"))
    console.print(
        f"The same planner with its dense network and with the sigma-delta network made from it: {episodes} paired "
        f"episodes a task, {seeds} planner seed(s). In brackets: 95 % of episodes; low to high "
        "of a whole system's Joules an action."
    )
    table = Table("", header_style="bold")
    for task in tasks:
        table.add_column(escape(task), justify="right")
    columns = [numbers(found) for found in tasks.values()]
    for number, name in enumerate(ROWS):
        table.add_row(name, *(escape(column[number]) for column in columns))
    console.print(table)
    _missed(
        {task: sequence(found.get("targets")) for task, found in tasks.items()},
        finite(summary.get("episodes")) or 0,
        console,
    )
    if summary.get("left_out"):
        console.print(f"[dim]Left out: {escape(plain(summary.get('left_out')))}.[/]")
    console.print("[dim]Counts are simulated; energy is an estimate; no chip was measured.[/]")


def numbers(found: Record) -> tuple[str, str, str, str]:
    """Of one task, in the order of ROWS."""
    methods = mapping(found.get("methods"))
    dense, spiking = mapping(methods.get("dense")), mapping(methods.get(SPIKING))
    machines = {str(name): mapping(each) for name, each in mapping(found.get("energy")).items()}
    priced = {
        name: joules
        for name, each in machines.items()
        if name in DENSE_DEVICES and (joules := finite(mapping(each.get(DENSE)).get("nominal"))) is not None
    }
    cheapest = min(priced, key=lambda name: priced[name], default="")
    return (
        f"{share(dense.get('success'))} {between(dense.get('ci95'))}",
        points(spiking.get("paired_vs_dense")),
        _joules(machines.get(CHIP, {}).get(SPIKING), CHIP),
        _joules(machines.get(cheapest, {}).get(DENSE), f"{cheapest}, {DENSE}"),
    )


def _joules(row: Any, where: str) -> str:
    found = mapping(row)
    if finite(found.get("nominal")) is None:
        return DASH
    return f"{energy(found.get('nominal'))} [{energy(found.get('low'))}, {energy(found.get('high'))}] {where}"


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
