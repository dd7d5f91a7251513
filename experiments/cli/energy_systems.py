"""What `spikeplan energy systems` does: whole systems at control rates, as a table a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from spikeplan.core.errors import UserError
from spikeplan.core.format import several
from spikeplan.evaluation.pricing.systems import systems_report
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.cli.systems_asked import rates_of, systems_of
from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.tornado import tornado_figure
from spikeplan.experiments.report.terminal.energy_short import print_systems
from spikeplan.experiments.runner.output import check_outputs, check_seed, run_files, write_report, write_text
from spikeplan.experiments.runner.progress import counted

MOST_TOLD = 6
MOST_LINES = 5  # of what to measure
MOST_DRAWS = 20_000  # every plan of every system is priced in each


def systems_command(
    run_dir: str,
    *,
    rates: str,
    systems: str | None,
    own: str | None,
    json: str | None,
    svg: str | None,
    devices: str | None,
    draws: int,
    seed: int,
    console: Console,
) -> None:
    """`rates`, `systems`: comma-separated; `own`: a system file of the user's."""
    check_outputs({"--json": json, "--svg": svg}, inputs=(devices, own, *run_files(run_dir)))
    check_seed(seed)
    if not 1 <= draws <= MOST_DRAWS:
        raise UserError(f"--draws {draws} must be from 1 to {MOST_DRAWS}")
    with counted(f"pricing systems, {several(draws, 'draw')} of episodes and figures") as on_progress:
        found = systems_report(
            Path(run_dir),
            catalogue_of(devices),
            systems_of(systems, own),
            rates_of(rates),
            draws=draws,
            seed=seed,
            on_progress=on_progress,
        )
    for task, part in found["tasks"].items():
        print_systems(task, part, found["rates_hz"], console, bands=True)
        if part["pairs"]:
            console.print(_chances(task, part))
        for line in worth_in_words(part):
            console.print(line, soft_wrap=True, highlight=False)
        told = list(part["refused"].items())
        for what, why in told[:MOST_TOLD]:
            console.print(f"not priced: {what}: {why}", soft_wrap=True)
        if len(told) > MOST_TOLD:
            console.print(f"and {len(told) - MOST_TOLD} more; --json FILE has all of them")
    if json is not None:
        write_report(json, found)
    if svg is not None and not any(part["sensitivity"] for part in found["tasks"].values()):
        print(f"{svg}: not drawn, there is no spiking and no dense system to compare at a rate", file=sys.stderr)
    elif svg is not None:
        write_text(Path(svg), style.svg(tornado_figure, found) or "")


def _chances(task: str, part: dict[str, Any]) -> Table:
    """A row a pair of systems, and one more for the rates at which it fares otherwise."""
    table = Table(
        Column("spiking", overflow="fold"),
        Column("dense", overflow="fold"),
        Column("Hz", overflow="fold"),
        Column("less", no_wrap=True),
        Column("no plan", no_wrap=True),
        title=f"{task}: probability that the spiking system draws less",
        caption="over episodes and figures; lowest..highest of four priors; no plan: share of the draws in which one of the two "
        "has none, and which decide nothing",
    )
    alike: dict[tuple[str, str, str, str], list[float]] = {}
    for row in part["pairs"]:
        alike.setdefault((row["spiking"], row["dense"], *chance_in_words(row)), []).append(row["rate_hz"])
    for (spiking, dense, less, without), rates in sorted(alike.items(), key=lambda one: one[0][:2]):
        table.add_row(spiking, dense, ", ".join(f"{rate:g}" for rate in rates), less, without)
    return table


def chance_in_words(row: dict[str, Any]) -> tuple[str, str]:
    """Probability that the spiking system draws less, over the priors, and share of the draws in which one has no plan."""
    chances = [f"{chance:.2f}" for chance in row["probability"].values() if chance is not None]
    without = row["spiking_only"] + row["dense_only"]
    said = f"{without:.1%}" if without else "-"
    if not chances:
        return "-", said
    return min(chances) if min(chances) == max(chances) else f"{min(chances)}..{max(chances)}", said


def worth_in_words(part: dict[str, Any]) -> list[str]:
    """What to measure for the pair that is least decided, in order of worth; five lines at most."""
    least = min((row for row in part["decide"] if row["worth"]), key=lambda row: row["right_now"], default=None)
    if least is None:
        return []
    now = f"{least['spiking']} or {least['dense']} at {least['rate_hz']:g} Hz, the pair that is least decided"
    lines = [f"To measure for {now} (the likelier is right in {least['right_now']:.0%} of the draws):"]
    for row in least["worth"][: MOST_LINES - 1]:
        moves = f" ({', '.join(row['moves'])})" if row["moves"] and row["moves"] != [row["what"]] else ""
        lines.append(
            f"  {row['what']}{moves}: {row['variance_share']:.0%} of the variance, right in {row['right_if_known']:.0%} "
            f"if it were known; evidence {row['evidence']}"
        )
    return lines
