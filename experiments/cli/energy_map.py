"""What `spikeplan energy map` does: where spikes win, over weights, candidates, density and control rate."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from spikeplan.core.errors import UserError
from spikeplan.energy.regime import Axes, Regimes, regimes
from spikeplan.energy.systems import System
from spikeplan.evaluation.map_points import points_of
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.cli.systems_asked import rates_of, systems_of
from spikeplan.experiments.runner.output import check_outputs, run_files, write_report, write_text
from spikeplan.experiments.runner.progress import counted

SPIKING = "npu-loihi2"  # drawn, where it is asked for; else the first spiking system
KILO = 1024


def map_command(
    *,
    weights: str | None,
    candidates: str | None,
    rate: str,
    density: float,
    systems: str | None,
    own: str | None,
    run: str | None,
    csv_file: str | None,
    svg: str | None,
    json: str | None,
    devices: str | None,
    console: Console,
) -> None:
    """`weights` in KB, `candidates`, `rate`, `systems`: comma-separated. `run`: a results directory whose methods are points."""
    read = () if run is None else run_files(run)
    check_outputs({"--json": json, "--csv": csv_file, "--svg": svg}, inputs=(devices, own, *read))
    given: dict[str, Any] = {"rates_hz": rates_of(rate), "density": density}
    if weights is not None:
        given["weight_bytes"] = [round(KILO * value) for value in _numbers("--weights", weights)]
    if candidates is not None:
        given["candidates"] = [_whole(value) for value in _numbers("--candidates", candidates)]
    axes, catalogue = Axes(**given), catalogue_of(devices)
    asked = {name: one for name, one in systems_of(systems, own).items() if systems or not one.sensors}
    points = [] if run is None else points_of(Path(run))
    with counted("pricing points of the map") as on_progress:
        found = regimes(axes, catalogue, asked, on_progress=on_progress)
    facts = facts_of(found, asked, points)
    spiking = next((name for name in (SPIKING, *asked) if name in asked and asked[name].side == "spiking"), "")
    print_map(facts, spiking, console)
    if json is not None:
        write_report(json, facts)
    if csv_file is not None:
        write_text(Path(csv_file), as_csv(facts["rates"]))
    if svg is not None:
        from spikeplan.experiments.report import style
        from spikeplan.experiments.report.figures.regime import map_figure

        write_text(Path(svg), style.svg(map_figure, facts, spiking) or "")


def facts_of(found: Regimes, systems: Mapping[str, System], points: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What `--json` writes, and what the picture is drawn from."""
    return {
        "report": "map",
        "density": found.axes.density,
        "iterations": found.axes.iterations,
        "horizon": found.axes.horizon,
        "titles": {name: system.title for name, system in systems.items()},
        "rates": [row.to_json() for row in found.rates],
        "actions": [row.to_json() for row in found.actions],
        "points": list(points),
    }


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line a row, the columns of RateRow."""
    target = io.StringIO()
    writer = csv.DictWriter(target, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return target.getvalue()


def print_map(facts: dict[str, Any], spiking: str, console: Console) -> None:
    """How many points each side wins at a rate, and the points of a run."""
    rows = [row for row in facts["rates"] if row["spiking"] == spiking]
    table = Table(
        "dense system",
        *(f"{rate:g} Hz" for rate in sorted({row["rate_hz"] for row in rows})),
        title=f"{facts['titles'][spiking]} at density {facts['density']:g}: points where it draws less, of those where both run",
    )
    for other in dict.fromkeys(row["dense"] for row in rows):
        cells = []
        for rate in sorted({row["rate_hz"] for row in rows}):
            here = [row for row in rows if row["dense"] == other and row["rate_hz"] == rate]
            both = [row for row in here if row["dense_watts"] is not None]
            won = sum(row["winner"] == spiking for row in both)
            alone = sum(row["winner"] == spiking for row in here) - won
            cells.append(f"{won} of {len(both)}" + (f", {alone} alone" if alone else ""))
        table.add_row(facts["titles"][other], *cells)
    console.print(table)
    for point in facts["points"]:
        console.print(
            f"{point['name']}: {point['weight_bytes']:,} bytes, {point['candidates']} candidates, density {point['density']:.3g}",
            markup=False,
        )
    console.print("alone: the dense system does not run there. Estimates from synthetic counts; nothing was measured.")
    console.print("--csv, --svg and --json have every point; the energy of an action while busy is in --json.")


def _whole(value: float) -> int:
    if value != round(value):
        raise UserError(f"--candidates {value:g}: give whole numbers")
    return round(value)


def _numbers(flag: str, text: str) -> list[float]:
    try:
        values = [float(one) for one in text.split(",")]
    except ValueError as error:
        raise UserError(f"{flag} {text}: not numbers; write 64,1024") from error
    if not all(0 < value < 1e9 for value in values):
        raise UserError(f"{flag} {text}: give numbers above 0")
    return values
