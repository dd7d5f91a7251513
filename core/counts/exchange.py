"""Operation counts as plain JSON, so that other simulators can write one and ours can be read elsewhere.

    {"format": "spikeplan-counts", "version": 3, "actions": 100,
     "rows": [{"method": "mine", "phase": "predictor", "layer": "h1", "schedule": "sequential", "synops": 12000, ...}, ...]}

Rows are sums over `actions` actions. A row needs method, phase, layer and schedule; counts left out are 0 (hops: unknown),
reference is "zero", precision "fp32". Whatever is not of this form, unknown names included, is refused in one line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from spikeplan.core.counts.operations import BYTES, COUNTS_VERSION, MOST, PHASES, REFERENCES, SCHEDULES, CountRow
from spikeplan.core.errors import UserError, quoted, short
from spikeplan.core.json_file import read_json

FORMAT = "spikeplan-counts"
TOP = {"format", "version", "actions", "rows"}
NEEDED = ("method", "phase", "layer", "schedule")
DEFAULTS = {f.name: f.default for f in fields(CountRow) if f.name not in NEEDED}
# the first stands where a row leaves the column out
KNOWN = (("phase", PHASES), ("schedule", SCHEDULES), ("reference", REFERENCES), ("precision", tuple(reversed(BYTES))))
PLACES = ("control_step", "iteration", "rollout_step")


def dump_rows(rows: Sequence[CountRow], actions: int) -> dict[str, Any]:
    """What `load_rows` reads; zeros and defaults left out, the version said once."""
    return {
        "format": FORMAT,
        "version": COUNTS_VERSION,
        "actions": actions,
        "rows": [
            {
                name: value
                for name, value in asdict(row).items()
                if name in NEEDED or (name != "version" and value != DEFAULTS.get(name))
            }
            for row in rows
        ],
    }


def load_rows(found: object, *, where: str = "rows") -> tuple[list[CountRow], int]:
    """(rows, actions), or a UserError that names the row."""
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise UserError(
            f'{where}: no operation counts; expected {{"format": "{FORMAT}", "version", "actions", "rows"}}'
        )
    if found.get("version") != COUNTS_VERSION:
        raise UserError(
            f"{where}: counts of version {quoted(found.get('version'))}; this code reads version {COUNTS_VERSION}"
        )
    unknown = sorted(set(found) - TOP)
    if unknown:
        raise UserError(
            f"{where}: unknown {', '.join(unknown)} beside rows; operation counts have {', '.join(sorted(TOP))}"
        )
    actions, rows = found.get("actions"), found.get("rows")
    if isinstance(actions, bool) or not isinstance(actions, int) or not 1 <= actions < MOST:
        raise UserError(
            f"{where}: actions is {quoted(actions)}; rows are sums over a whole number of actions, 1 or more"
        )
    if not isinstance(rows, list) or not rows:
        raise UserError(f"{where}: rows is {type(rows).__name__} without rows; expected a list of at least one")
    return [_row(row, f"{where}, row {number}") for number, row in enumerate(rows)], actions


def read_rows(path: Path) -> tuple[list[CountRow], int]:
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: no operation counts ({short(error)}); expected a JSON file, as `energy report --counts-files` writes"
        ) from error
    return load_rows(found, where=str(path))


def _row(row: object, where: str) -> CountRow:
    if not isinstance(row, dict):
        raise UserError(f"{where} is {quoted(row)}; expected an object")
    missing = [name for name in NEEDED if name not in row]
    unknown = sorted(set(row) - {*NEEDED, *DEFAULTS} | set(row) & {"version"})
    if missing or unknown:
        what = f"needs {', '.join(missing)}" if missing else f"has unknown {', '.join(map(str, unknown))}"
        raise UserError(f"{where} {what}; columns are {', '.join((*NEEDED, *DEFAULTS))}")
    for name in (*NEEDED, "reference", "precision"):
        if not isinstance(row.get(name, "zero"), str):
            raise UserError(f"{where}: {name} is {quoted(row[name])}; expected text")
    for name, known in KNOWN:
        if row.get(name, known[0]) not in known:
            raise UserError(f"{where}: {name} {quoted(row[name])} is unknown; use one of {', '.join(known)}")
    for name in PLACES:
        if not (row.get(name) is None or (type(row[name]) is int and row[name] >= 0)):
            raise UserError(f"{where}: {name} is {quoted(row[name])}; expected a whole number >= 0 or null")
    try:
        return CountRow(**{"reference": "zero", **row})
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
