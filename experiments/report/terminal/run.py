"""What a run prints at its end: what was compared, its findings with their intervals, which targets were missed."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.format import DASH, between, joule, number, plain, points, share
from spikeplan.evaluation.ratio import CostBand
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.summary import Target, TaskSummary
from spikeplan.evaluation.verdict import CHIP
from spikeplan.experiments.report.headline.findings import Finding, cheapest_opponent, energies, operations

ROWS = (
    "success, dense",
    "spiking \u2212 dense, points",
    "operations, ratio",
    "energy, spiking",
    "energy, ratio",
)
MISSED_SHOWN = 2
WHOLE = 300  # episodes; fewer cannot hold a bound of 3 points


def print_table(results: Results, console: Console) -> None:
    """At most 25 lines, whatever the run holds; the report has the rest. What was not measured prints as a dash."""
    summary = results.summary
    tasks, episodes = summary.tasks, plain(summary.episodes)
    seeds = "1 planner seed" if summary.seeds == 1 else f"{plain(summary.seeds)} planner seeds"
    console.print(
        f"Dense and in sigma-delta spikes: {episodes} paired episodes a task, {seeds}. Ratios: spiking / dense, an action's "
        "cost at the cheapest point of each side at equal success. In brackets: 95 % of episodes, low to high of Joules."
    )
    table = Table("", header_style="bold")
    for task in tasks:
        table.add_column(escape(task), justify="right")
    columns = [numbers(results, task) for task in tasks]
    for line, name in enumerate(ROWS):
        table.add_row(name, *(escape(column[line]) for column in columns))
    console.print(table)
    _missed(tasks, summary.episodes or 0, console)
    if summary.left_out:
        console.print(f"[dim]Left out: {escape(summary.left_out)}.[/]")
    console.print("[dim]Counts are simulated; energy is an estimate; no chip was measured.[/]")


def compares(results: Results) -> bool:
    """Whether a task has a front, or both sides of the comparison."""
    pairs = [results.pair(task) for task in results.tasks]
    return any(map(results.front, results.tasks)) or any(None not in (a.success, b.success) for a, b in pairs)


def print_methods(results: Results, console: Console) -> None:
    """A row each task and method that was run, as `spikeplan plan` leaves them."""
    table = Table("task", "method", "episodes", "success", "95 %", "MACs", "synop-equivalents", header_style="bold")
    for task in results.tasks:
        for name, one in results.methods(task).items():
            if one.success is not None:
                table.add_row(
                    *(escape(task), escape(name), plain(one.episodes), share(one.success), escape(between(one.ci95))),
                    *(plain(one.macs_per_action), plain(one.synop_equivalents_per_action)),
                )
    console.print(table)
    console.print("[dim]MACs and synop-equivalents are per action; counts are simulated, no chip was measured.[/]")


def numbers(results: Results, task: str) -> tuple[str, ...]:
    """Of one task, in the order of ROWS; the energies are those of the report's headline."""
    dense, spiking = results.pair(task)
    return (
        f"{share(dense.success)} {between(dense.ci95)}",
        points(spiking.paired_vs_dense),
        _ratio(operations(results, task)),
        *_energies(cheapest_opponent(energies(results, task))),
    )


def _energies(finding: Finding | None) -> tuple[str, str]:
    if finding is None:
        return DASH, DASH
    replicas = "" if finding.replicas is None else f" x {finding.replicas}"
    return _joules(finding.spiking, f"{CHIP}{replicas}"), _ratio(finding)


def _ratio(finding: Finding | None) -> str:
    if finding is None or finding.points.ratio is None:
        return DASH
    sure = finding.interval
    interval = "" if sure is None else f" [{number(sure.low)}, {number(sure.high)}]"
    return f"{number(finding.points.ratio)}{interval} {finding.device}".rstrip()


def _joules(band: CostBand | None, where: str) -> str:
    """A side without a point of equal success has no energy."""
    return DASH if band is None else f"{joule(band[1])} [{joule(band[0])}, {joule(band[2])}] {where}"


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
