"""What `spikeplan energy systems` does: whole systems at control rates, as a table a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from spikeplan.core.errors import UserError
from spikeplan.energy.systems import load_systems
from spikeplan.evaluation.pricing.systems import by_plan, lowest, systems_report
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.runner.output import check_outputs, write_report
from spikeplan.experiments.runner.progress import counted

MOST_TOLD = 6


def systems_command(
    run_dir: str,
    *,
    rates: str,
    systems: str | None,
    own: str | None,
    json: str | None,
    devices: str | None,
    console: Console,
) -> None:
    """`rates`, `systems`: comma-separated; `own`: a system file of the user's."""
    read = (str(Path(run_dir) / name) for name in ("metrics.jsonl", "config.json", "summary.json"))
    check_outputs({"--json": json}, inputs=(devices, own, *read))
    known = load_systems(None if own is None else Path(own))
    if systems is not None:
        unknown = [name for name in systems.split(",") if name not in known]
        if unknown:
            raise UserError(f"--systems {unknown[0]}: no such system; use {', '.join(known)}")
        known = {name: known[name] for name in systems.split(",")}
    with counted("pricing systems") as on_progress:
        found = systems_report(
            Path(run_dir),
            catalogue_of(devices),
            known,
            [_rate(text) for text in rates.split(",")],
            on_progress=on_progress,
        )
    for task, part in found["tasks"].items():
        console.print(_table(task, part, found["rates_hz"]))
        told = list(part["refused"].items())
        for what, why in told[:MOST_TOLD]:
            console.print(f"not priced: {what}: {why}", soft_wrap=True)
        if len(told) > MOST_TOLD:
            console.print(f"and {len(told) - MOST_TOLD} more; --json FILE has all of them")
    if json is not None:
        write_report(json, found)


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"--rate {text}: not a number; write 1,10,50") from error


def _table(task: str, part: dict[str, Any], rates: list[float]) -> Table:
    """A row a system and plan; the lowest nominal watts at a rate first."""
    table = Table(
        Column("system", overflow="fold"),
        Column("plan", overflow="fold"),
        "success",
        *(f"{rate:g} Hz, W" for rate in rates),
        "ms an action",
        "mJ an action above rest",
        title=f"{task}: mean power of whole systems, nominal (low .. high)",
        caption="success with its 95 % interval; ms and mJ at the lowest rate that it keeps",
    )
    for by_rate in by_plan(part):
        first = lowest(by_rate)
        cells = [_band(by_rate[rate]["watts"]) if rate in by_rate else "-" for rate in rates]
        plan = first["method"] if first["kind"] == "plan" else f"{first['method']} (too few succeed)"
        low, high = first["success_ci95"]
        table.add_row(
            first["title"],
            plan,
            f"{first['success']:.3f} ({low:.2f} .. {high:.2f})",
            *cells,
            f"{1e3 * first['latency_s']['nominal']:.3g}",
            _band({name: 1e3 * joules for name, joules in first["action_J"].items()}),
        )
    return table


def _band(band: dict[str, float]) -> str:
    return f"{band['nominal']:.3g} ({band['low']:.2g} .. {band['high']:.3g})"
