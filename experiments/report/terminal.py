"""The table that a run prints: success and cost per method, the targets, the verdict."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.evaluation.results import Record, finite, mapping, sequence
from spikeplan.experiments.report.markup import DASH, between, number, plain, points, share

HOLDS = {True: "[green]holds[/]", False: "[red]not reached[/]", None: "[dim]not measured[/]"}


def print_table(summary: Record, console: Console) -> None:
    """One table a task. Nulls print as dashes; what a run has no figure for is not hidden."""
    for task, found in mapping(summary.get("tasks")).items():
        row = mapping(found)
        console.print(_methods(str(task), mapping(row.get("methods"))))
        if sequence(row.get("targets")):
            console.print(_targets(sequence(row.get("targets"))))
        console.print(
            f"[bold]{escape(str(task))}:[/] {escape(str(row.get('verdict') or 'no verdict in summary.json'))}\n"
        )
    console.print("[dim]Counts are simulated; energy is an estimate; no chip was measured.[/]")


def _methods(task: str, methods: dict[str, Any]) -> Table:
    table = Table(title=escape(task), title_justify="left", header_style="bold")
    table.add_column("method")
    for name in ("episodes", "success", "95 % interval", "− dense, points", "density", "synop-eq. / action"):
        table.add_column(name, justify="right")
    for method, found in methods.items():
        row = mapping(found)
        reference = row.get("reference")
        density = finite(mapping(row.get("density")).get(str(reference)))
        table.add_row(
            escape(str(method)),
            plain(row.get("episodes")),
            share(row.get("success")),
            escape(between(row.get("ci95"))),
            escape(points(row.get("paired_vs_dense"))),
            DASH if density is None else escape(f"{density:.3f} {reference}"),
            number(row.get("synop_equivalents_per_action")),
        )
    return table


def _targets(targets: list[Any]) -> Table:
    table = Table(header_style="bold")
    for name, side in (("target", "left"), ("goal", "right"), ("value", "right"), ("", "left")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for target in map(mapping, targets):
        held = target.get("holds")
        table.add_row(
            escape(str(target.get("name"))),
            escape(plain(target.get("goal"))),
            escape(plain(target.get("value"))),
            HOLDS[held if isinstance(held, bool) else None],
        )
    return table
