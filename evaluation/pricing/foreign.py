"""`spikeplan energy compare`: Operation counts of any simulator, each on every device that can run it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spikeplan import energy
from spikeplan.core.counts.exchange import read_rows
from spikeplan.core.counts.operations import CountRow, per_action
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Catalogue


def compare_counts_files(paths: Sequence[str], catalogue: Catalogue) -> dict[str, Any]:
    """A file may hold several methods and schedules; each is estimated by itself."""
    found: list[dict[str, Any]] = []
    refused: list[dict[str, str]] = []
    cpu = energy.measure_peak()
    for path in paths:
        rows, actions = read_rows(Path(path))
        for (method, schedule), part in _parts(rows).items():
            for name, device in catalogue.devices.items():
                setup = energy.Setup(cpu=cpu, assume_graded=not device.graded_messages)
                where = {"file": path, "method": method, "schedule": schedule, "device": name}
                try:
                    a, b, c = (
                        energy.estimate(
                            device, part, actions, scope=scope, extent="loop", setup=setup, catalogue=catalogue
                        )
                        for scope in energy.SCOPES
                    )
                except UserError as error:
                    refused.append({**where, "reason": str(error)})
                    continue
                found.append(
                    {
                        **where,
                        "compute": a.nominal,
                        "chip": b.nominal,
                        "low": c.low,
                        "nominal": c.nominal,
                        "high": c.high,
                        "latency_s": c.latency_s,
                        "evidence": c.evidence,
                        "equivalents": per_action(part, actions),
                    }
                )
    if not found:
        raise UserError(
            f"energy compare: no device of the catalogue can be priced; the first says: {refused[0]['reason']}"
        )
    return {
        "compare": "energy",
        "scope": "system",
        "extent": "loop",
        "unit": "J/action",
        "rows": found,
        "refused": refused,
    }


def _parts(rows: Sequence[CountRow]) -> dict[tuple[str, str], list[CountRow]]:
    parts: dict[tuple[str, str], list[CountRow]] = {}
    for row in rows:
        parts.setdefault((row.method, row.schedule), []).append(row)
    return parts
