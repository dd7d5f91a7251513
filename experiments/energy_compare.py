"""`spikeplan energy compare`: ledgers of any simulator, each on every device that can run it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

import energy
from energy.catalogue import Catalogue
from experiments.energy_tables import joule, quantity
from spec.errors import UserError
from spec.ledger import LedgerRow, per_action
from spec.ledger_file import read_rows


def compare_ledgers(paths: Sequence[str], catalogue: Catalogue) -> dict[str, Any]:
    """A file may hold several arms and schedules; each is estimated by itself."""
    found: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    cpu = energy.measure_peak()
    for path in paths:
        rows, actions = read_rows(Path(path))
        for (arm, schedule), part in _parts(rows).items():
            layers = {row.layer for row in part if row.phase == "predictor" and row.updates}
            for name, device in catalogue.devices.items():
                setup = energy.Setup(cpu=cpu, cores=max(1, len(layers)), assume_graded=not device.graded_messages)
                where = {"file": path, "arm": arm, "schedule": schedule, "device": name}
                try:
                    a, b, c = (
                        energy.estimate(
                            device, part, actions, ledger=ledger, scope="loop", setup=setup, catalogue=catalogue
                        )
                        for ledger in energy.LEDGERS
                    )
                except UserError as error:
                    refused.append({**where, "reason": str(error)})
                    continue
                found.append({**where, "a": a.nominal, "b": b.nominal, "low": c.low, "nominal": c.nominal, "high": c.high,
                              "latency_s": c.latency_s, "evidence": c.evidence,
                              "equivalents": per_action(part, actions)})  # fmt: skip
    if not found:
        raise UserError(
            f"energy compare: no device of the catalogue can be priced; the first says: {refused[0]['reason']}"
        )
    return {"compare": "energy", "ledger": "C", "scope": "loop", "unit": "J/action", "rows": found, "refused": refused}


def _parts(rows: Sequence[LedgerRow]) -> dict[tuple[str, str], list[LedgerRow]]:
    parts: dict[tuple[str, str], list[LedgerRow]] = {}
    for row in rows:
        parts.setdefault((row.arm, row.schedule), []).append(row)
    return parts


def print_compare(found: dict[str, Any], console: Console) -> None:
    table = Table(title="Joules an action, whole loop", title_justify="left", header_style="bold")
    for name in ("file", "arm", "schedule", "device"):
        table.add_column(name)
    for name in ("M synop-eq.", "A", "B", "C", "low .. high of C", "time"):
        table.add_column(name, justify="right")
    for row in found["rows"]:
        table.add_row(
            escape(Path(row["file"]).name), escape(row["arm"]), row["schedule"], row["device"],
            f"{row['equivalents'] / 1e6:.3g}", joule(row["a"]), joule(row["b"]), joule(row["nominal"]),
            f"{joule(row['low'])} .. {joule(row['high'])}", quantity(row["latency_s"], "s"),
        )  # fmt: skip
    console.print(table)
    for row in found["refused"]:
        console.print(f"[dim]not priced: {escape(row['arm'])} on {row['device']}: {escape(row['reason'])}[/]")
