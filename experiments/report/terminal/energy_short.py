"""The energy report on one screen: what whole systems draw, then an action while busy, then why. `--full` prints every table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeplan.core.format import DASH, percent, quantity, several
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP
from spikeplan.evaluation.pricing.systems import by_plan, lowest
from spikeplan.experiments.report.terminal.energy import print_measured

OPPONENTS = ("gap9", "orin_nano", "h100")  # of the busy energy; --full has every machine
BREAK_EVEN = ("orin_nano", "h100")


def print_short(found: dict[str, Any], systems: dict[str, Any], console: Console) -> None:
    """`found`: as `energy_report` returns it; `systems`: as `systems_report` does. No line wraps at 80 columns."""
    for task, part in found["tasks"].items():
        print_systems(task, systems["tasks"][task], systems["rates_hz"], console)
        _busy(part, console)
        _why(part, console)
    console.print("[dim]Counts are simulated, energy is estimated, no chip was measured.[/]")
    console.print("[dim]--full prints every pair, opponent, layer and machine; --json has all.[/]")


def print_systems(
    task: str, part: dict[str, Any], rates: Sequence[float], console: Console, *, bands: bool = False
) -> None:
    """A line a system and plan, the least at the lowest rate first. `bands`: low .. high at the second rate, too."""
    console.print(
        f"{task}: mean power of whole systems at a control rate, each with its cheapest\nplan of "
        f"equal success (full dense {part['full_success']:.2f}); nominal figures",
        markup=False,
    )
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("system", no_wrap=True)
    table.add_column("plan", no_wrap=True, max_width=17, overflow="ellipsis")
    for name in ("succ.", *(f"{rate:g} Hz" for rate in rates), "action"):
        table.add_column(name, justify="right", no_wrap=True)
    for by_rate in by_plan(part):
        row = lowest(by_rate)
        watts = [_tight(by_rate[rate]["watts"]["nominal"], "W") if rate in by_rate else DASH for rate in rates]
        short = ("" if row["kind"] == "plan" else "*") + ("" if row["sees_each_action"] else "?")
        above = _tight(row["action_J"]["nominal"], "J")
        table.add_row(row["system"], escape(row["method"]), f"{row['success']:.2f}{short}", *watts, above)
    console.print(table)
    console.print(
        "[dim]action: above rest. *: too few succeed. ?: of a frame an action. –: the rate is not met.[/]",
        soft_wrap=True,
    )
    if bands:
        _bands(part, rates[min(1, len(rates) - 1)], console)


def _bands(part: dict[str, Any], rate: float, console: Console) -> None:
    """A line a system and plan: its title, low .. high at one rate, and the interval of its success."""
    for by_rate in by_plan(part):
        if rate in by_rate:
            row = by_rate[rate]
            low, high = (_tight(row["watts"][end], "W") for end in ("low", "high"))
            least, most = row["success_ci95"]
            console.print(
                f"{row['system']}, {row['title']}: {low} .. {high} at {rate:g} Hz; an action takes "
                f"{quantity(row['latency_s']['nominal'], 's')}; success {least:.2f} .. {most:.2f}",
                markup=False,
                soft_wrap=True,
                highlight=False,
            )


def _tight(value: float, unit: str) -> str:
    """Without the space, so that a row fits its line."""
    return quantity(value, unit).replace(" ", "")


def _busy(part: dict[str, Any], console: Console) -> None:
    """An action while both machines are busy: the pairs of the main chip, its better schedule."""
    for device in OPPONENTS:
        rows = [row for row in part["pairs"] if row["chip"] == MAIN_CHIP and row["device"] == device]
        if not rows:
            continue
        row = min(rows, key=lambda one: one["ratio"])
        chances = row["probability"].values()
        spiking, dense = (row[side].split()[0] for side in ("spiking_method", "dense_method"))
        ratio = f"{row['ratio']:.3g} [{row['ratio_low']:.3g} .. {row['ratio_high']:.3g}]"
        sure = f"spikes take less in {percent(min(chances))} to {percent(max(chances))}"
        console.print(
            f"while busy, {spiking} on {MAIN_CHIP} / {dense} on {device}: {ratio}, {sure}", markup=False, soft_wrap=True
        )


def _why(part: dict[str, Any], console: Console) -> None:
    for row in part["gpu"][:1]:
        console.print(
            f"{row['device']}: {quantity(row['roofline_s'], 's')} at its peak (a bound), {quantity(row['launched_s'], 's')} with "
            f"{row['kernels']:.0f} kernels that wait; {'measured' if row['measured'] else 'modelled'}",
            markup=False,
            soft_wrap=True,
        )
    print_measured(part["gpu"], console)
    for row in _main_layers(part):
        stars = ", ".join(f"{name} {row['s_star'][name]['s_star']:.2g}" for name in BREAK_EVEN if name in row["s_star"])
        console.print(
            f"{row['method']}, layer {row['layer']}: density {row['s']:.2g}; break-even {stars} (below 0: none)",
            markup=False,
            soft_wrap=True,
        )
    if part["refused"]:
        console.print(
            f"[dim]{several(len(part['refused']), 'pair')} of method and machine not priced: --full says why[/]"
        )


def _main_layers(part: dict[str, Any]) -> list[dict[str, Any]]:
    """Of the headline's reference, three at most."""
    rows = part["layers"]
    return [row for row in rows if row["reference"] == rows[0]["reference"]][:3] if rows else []
