"""What a run prints at its end: what was compared, four numbers with their intervals, which targets were missed."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.format import DASH, between, joule, plain, points, share
from spikeplan.evaluation.summary import EnergySummary, MethodSummary, Summary, Target, TaskSummary
from spikeplan.evaluation.verdict import DENSE_DEVICES

SPIKING, CHIP = "sigma_delta", "loihi2"
DENSE = "int8"
ROWS = ("success, dense", "spiking \u2212 dense, points", "energy, spiking, 1 replica", "energy, dense")
MISSED_SHOWN = 3
WHOLE = 300  # episodes; fewer cannot hold a bound of 3 points


def print_table(summary: Summary, console: Console) -> None:
    """At most 25 lines, whatever the run holds; the report has the rest. What was not measured prints as a dash."""
    tasks, episodes, seeds = summary.tasks, plain(summary.episodes), plain(summary.seeds)
    console.print(
        f"The same planner with its dense network and with the sigma-delta network made from it: {episodes} paired "
        f"episodes a task, {seeds} planner seed(s). In brackets: 95 % of episodes; low to high "
        "of a whole system's Joules an action."
    )
    table = Table("", header_style="bold")
    for task in tasks:
        table.add_column(escape(task), justify="right")
    columns = [numbers(task) for task in tasks.values()]
    for number, name in enumerate(ROWS):
        table.add_row(name, *(escape(column[number]) for column in columns))
    console.print(table)
    _missed(tasks, summary.episodes or 0, console)
    if summary.left_out:
        console.print(f"[dim]Left out: {escape(summary.left_out)}.[/]")
    console.print("[dim]Counts are simulated; energy is an estimate; no chip was measured.[/]")


def numbers(task: TaskSummary) -> tuple[str, str, str, str]:
    """Of one task, in the order of ROWS."""
    dense, spiking = (task.methods.get(name, MethodSummary()) for name in ("dense", SPIKING))
    priced = {
        name: methods[DENSE].nominal
        for name, methods in task.energy.items()
        if name in DENSE_DEVICES and DENSE in methods
    }
    cheapest = min(priced, key=lambda name: priced[name], default="")
    return (
        f"{share(dense.success)} {between(dense.ci95)}",
        points(spiking.paired_vs_dense),
        _joules(task.energy.get(CHIP, {}).get(SPIKING), CHIP),
        _joules(task.energy.get(cheapest, {}).get(DENSE), f"{cheapest}, {DENSE}"),
    )


def _joules(row: EnergySummary | None, where: str) -> str:
    return DASH if row is None else f"{joule(row.nominal)} [{joule(row.low)}, {joule(row.high)}] {where}"


def _missed(tasks: dict[str, TaskSummary], episodes: int, console: Console) -> None:
    """How many targets hold, and the first few that do not, each with its goal."""
    rows: list[tuple[str, Target]] = [(name, target) for name, task in tasks.items() for target in task.targets]
    if not rows:
        return
    held = sum(target.holds is True for _, target in rows)
    unmeasured = sum(target.holds is None for _, target in rows)
    missed = [(task, target) for task, target in rows if target.holds is False]
    console.print(
        f"{held} of {len(rows)} targets hold, {len(missed)} do not"
        + (f", {unmeasured} were not measured" if unmeasured else "")
        + (":" if missed else ".")
    )
    for task, target in missed[:MISSED_SHOWN]:
        line = f"  {task}, {target.name}: {plain(target.value)}, goal {target.goal}"
        console.print(line, markup=False, highlight=False)
    if episodes < WHOLE and any("interval" in target.name for _, target in missed):
        console.print(
            f"  {episodes:.0f} episodes leave intervals too wide to decide this: `spikeplan results` runs more."
        )
    if len(missed) > MISSED_SHOWN:
        console.print(f"  and {len(missed) - MISSED_SHOWN} more in the report")
