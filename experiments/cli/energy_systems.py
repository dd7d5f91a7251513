"""What `spikeplan energy systems` does: whole systems at control rates, as a table a task."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from spikeplan.core.errors import UserError
from spikeplan.core.format import several
from spikeplan.energy.systems import load_systems
from spikeplan.evaluation.pricing.systems import systems_report
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.tornado import tornado_figure
from spikeplan.experiments.report.terminal.energy_short import print_systems
from spikeplan.experiments.runner.output import check_outputs, check_seed, write_report, write_text
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
    read = (str(Path(run_dir) / name) for name in ("metrics.jsonl", "config.json", "summary.json"))
    check_outputs({"--json": json, "--svg": svg}, inputs=(devices, own, *read))
    check_seed(seed)
    if not 1 <= draws <= MOST_DRAWS:
        raise UserError(f"--draws {draws} must be from 1 to {MOST_DRAWS}")
    known = load_systems(None if own is None else Path(own))
    if systems is not None:
        unknown = [name for name in systems.split(",") if name not in known]
        if unknown:
            raise UserError(f"--systems {unknown[0]}: no such system; use {', '.join(known)}")
        known = {name: known[name] for name in systems.split(",")}
    with counted(f"pricing systems, {several(draws, 'draw')} of episodes and figures") as on_progress:
        found = systems_report(
            Path(run_dir),
            catalogue_of(devices),
            known,
            [_rate(text) for text in rates.split(",")],
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


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--rate {text}: not a number; write 1,10,50") from error


def _chances(task: str, part: dict[str, Any]) -> Table:
    """A row a spiking system, and one more for the rates at which it fares otherwise."""
    dense = list(dict.fromkeys(row["dense"] for row in part["pairs"]))
    table = Table(
        Column("spiking system", no_wrap=True),
        "Hz",
        *(Column(f"less than {name}") for name in dense),
        title=f"{task}: probability that the spiking system draws less",
        caption="over episodes and figures; lowest..highest of four priors; -: one of the two has no plan",
    )
    cells: dict[str, dict[float, dict[str, str]]] = {}
    for row in part["pairs"]:
        cells.setdefault(row["spiking"], {}).setdefault(row["rate_hz"], {})[row["dense"]] = _chance(row)
    for name, by_rate in cells.items():
        alike: dict[tuple[str, ...], list[float]] = {}
        for rate, by_dense in by_rate.items():
            alike.setdefault(tuple(by_dense.get(other, "-") for other in dense), []).append(rate)
        for said, rates in alike.items():
            table.add_row(name, ", ".join(f"{rate:g}" for rate in rates), *said)
    return table


def _chance(row: dict[str, Any]) -> str:
    chances = [f"{chance:.2f}" for chance in row["probability"].values() if chance is not None]
    if not chances:
        return "-"
    return min(chances) if min(chances) == max(chances) else f"{min(chances)}..{max(chances)}"


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
