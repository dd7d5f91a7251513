"""What others measured on machines of the catalogue, and the operation counts to recompute it from (`reproductions.toml`).

[systems.NAME]
title = "..."                    the network, the machine, who measured
device = "loihi2"                a machine of the catalogue
source = "..."                   paper or repository with its version
evidence = "R"                   of the measured values, as in the catalogue
system = "mcu-loihi2"            optional: `watts` are those of this system at the measured rate, not of the chip alone
partial = "..."                  optional: counts that are not published and left out, so that ours is a lower bound
[systems.NAME.counts]            of one inference; each {value | low, nominal, high; source; evidence}
[[systems.NAME.runs]]            a measurement; its own counts and its own source go over those of the system
name = "2023-01"
measured = { total = { value = 1.66, unit = "mJ" } }      {value | low, nominal, high; unit; source; evidence}
calibrates = ["total"]           quantities that figures of the catalogue were derived from
missing = { seconds = "why" }    measured, and not recomputed

Recomputing is done in `spikeplan.experiments.bench.reproductions`. A count that is swept has low < high and is `assumed`.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError, quoted, short
from spikeplan.energy.band import Band
from spikeplan.energy.schema import EVIDENCE, FURTHEST, TO_SI

PATH = Path(__file__).with_name("reproductions.toml")
QUANTITIES = {  # what was measured -> the units that it may be stated in
    "total": ("J", "mJ", "uJ"),
    "dynamic": ("J", "mJ", "uJ"),
    "seconds": ("s", "ms", "us"),
    "watts": ("W", "mW"),
    "static_watts": ("W", "mW"),
}
COUNTS = (
    "macs",
    "synops",
    "updates",
    "chip_steps",
    "host_words",
    "weight_bytes",
    "busiest_synops",  # of the busiest core, a chip step
    "busiest_updates",
    "cores",
    "chips",
)
SYSTEM_KEYS = {"title", "device", "source", "evidence", "system", "partial", "counts", "runs"}
RUN_KEYS = {"name", "source", "evidence", "counts", "measured", "calibrates", "missing", "note"}
NUMBER_KEYS = {"value", "low", "nominal", "high", "source", "evidence", "note"}


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """A count, or a measured value in SI units, with where it is from."""

    band: Band
    source: str
    evidence: str
    note: str = ""

    @property
    def swept(self) -> bool:
        return self.band.low < self.band.high


@dataclass(frozen=True, kw_only=True)
class Published:
    """One measurement: what came out (`measured`) and what was done for it (`counts`)."""

    system: str
    run: str
    title: str
    device: str
    source: str
    counts: Mapping[str, Sourced] = field(default_factory=dict)
    measured: Mapping[str, Sourced] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    calibrates: tuple[str, ...] = ()
    whole_system: str | None = None
    partial: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        return f"{self.system}_{self.run}" if self.run else self.system

    @property
    def swept(self) -> tuple[str, ...]:
        """Counts that are not known and go through a range."""
        return tuple(name for name, count in self.counts.items() if count.swept)


def load_published(path: Path = PATH) -> tuple[Published, ...]:
    """The file's measurements in its order. Raises UserError that names file, entry and remedy.

    >>> load_published()[0].device
    'loihi2'
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; write one with [systems.NAME]") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a TOML file ({short(error)}); mend it there") from error
    systems = table.get("systems")
    if set(table) != {"systems"} or not isinstance(systems, dict) or not systems:
        raise UserError(
            f"{path}: has {short(', '.join(sorted(table)) or 'nothing')}; write a table [systems.NAME] for each"
        )
    try:
        found = tuple(one for name, entry in systems.items() for one in _system(name, entry))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    twice = [one.name for one in found if sum(other.name == one.name for other in found) > 1]
    if twice:
        raise UserError(f"{path}: {twice[0]} is there twice; give its runs names of their own")
    return found


def _system(name: str, entry: object) -> list[Published]:
    where = f"systems.{name}"
    table = _table(where, entry, SYSTEM_KEYS)
    runs = table.get("runs")
    if not isinstance(runs, list) or not runs:
        raise UserError(f"{where}: runs is {quoted(runs)}; write a table [[{where}.runs]] for each measurement")
    return [_run(name, table, f"{where}, run {number}", run) for number, run in enumerate(runs, 1)]


def _run(system: str, of: Mapping[str, Any], where: str, entry: object) -> Published:
    run = _table(where, entry, RUN_KEYS)
    source = _text(where, "source", run.get("source", of.get("source")))
    evidence = run.get("evidence", of.get("evidence"))
    counts = {**_dict(where, "counts", of.get("counts", {})), **_dict(where, "counts", run.get("counts", {}))}
    unknown = set(counts) - set(COUNTS)
    if unknown:
        raise UserError(f"{where}: count {short(', '.join(sorted(unknown)))} is unknown; use {', '.join(COUNTS)}")
    measured = _dict(where, "measured", run.get("measured"))
    missing = _dict(where, "missing", run.get("missing", {}))
    calibrates = run.get("calibrates", [])
    if not isinstance(calibrates, list):
        raise UserError(f"{where}: calibrates is {quoted(calibrates)}; write a list of quantities")
    for quantity in (*measured, *missing, *calibrates):
        if quantity not in QUANTITIES:
            raise UserError(f"{where}: quantity {quoted(quantity)} is unknown; use {', '.join(QUANTITIES)}")
        if quantity not in measured:
            raise UserError(f"{where}: {quantity} has no measured value; give it one")
    if not measured:
        raise UserError(f"{where}: nothing was measured; give measured = {{...}} a quantity")
    if "watts" in measured and "seconds" not in measured:
        raise UserError(f"{where}: watts are compared at measured seconds; give them, or state what was drawn as total")
    return Published(
        system=system,
        run=_text(where, "name", run.get("name", ""), empty=True),
        title=_text(where, "title", of.get("title")),
        device=_text(where, "device", of.get("device")),
        source=source,
        counts={key: _count(f"{where}, {key}", count) for key, count in counts.items()},
        measured={key: _measured(f"{where}, {key}", key, one, source, evidence) for key, one in measured.items()},
        missing={key: _text(where, f"missing.{key}", why) for key, why in missing.items()},
        calibrates=tuple(calibrates),
        whole_system=None if "system" not in of else _text(where, "system", of["system"]),
        partial=_text(where, "partial", of.get("partial", ""), empty=True),
        note=_text(where, "note", run.get("note", ""), empty=True),
    )


def _count(where: str, entry: object) -> Sourced:
    found = _sourced(where, _table(where, entry, NUMBER_KEYS), None, None, 1.0)
    if found.band.low < 0:
        raise UserError(f"{where}: {found.band.low:g} is no count; give numbers >= 0")
    if found.swept and found.evidence != "assumed":
        raise UserError(f'{where}: a count that goes through a range is assumed; say evidence = "assumed"')
    return found


def _measured(where: str, quantity: str, entry: object, source: str, evidence: object) -> Sourced:
    table = _table(where, entry, NUMBER_KEYS | {"unit"})
    unit = table.get("unit")
    if unit not in QUANTITIES[quantity]:
        raise UserError(f"{where}: unit {quoted(unit)} does not fit; state it in {' or '.join(QUANTITIES[quantity])}")
    return _sourced(where, table, source, evidence, TO_SI[unit])


def _sourced(where: str, table: Mapping[str, Any], source: object, evidence: object, si: float) -> Sourced:
    band = Band(*(float(f"{number * si:.12g}") for number in _numbers(where, table)))
    code = table.get("evidence", evidence)
    if code not in EVIDENCE:
        raise UserError(f"{where}: evidence {quoted(code)} is not one of {', '.join(EVIDENCE)}")
    text = _text(where, "source", table.get("source", source))
    return Sourced(
        band=band, source=text, evidence=str(code), note=_text(where, "note", table.get("note", ""), empty=True)
    )


def _numbers(where: str, table: Mapping[str, Any]) -> list[float]:
    ends = ("low", "nominal", "high")
    if ("value" in table) == any(key in table for key in ends):
        raise UserError(f"{where}: give either value or low, nominal and high")
    numbers = [table.get(key) for key in (("value",) * len(ends) if "value" in table else ends)]
    for number in numbers:
        known = isinstance(number, int | float) and not isinstance(number, bool)
        if not known or not math.isfinite(number) or abs(number) > FURTHEST:  # type: ignore[arg-type]
            raise UserError(f"{where}: {quoted(numbers)} must be finite numbers, as value or as low, nominal and high")
    low, nominal, high = (float(number) for number in numbers if number is not None)
    if not low <= nominal <= high:
        raise UserError(f"{where}: low {low:g} <= nominal {nominal:g} <= high {high:g} does not hold; order them")
    return [low, nominal, high]


def _table(where: str, entry: object, keys: set[str]) -> dict[str, Any]:
    table = _dict(where, "entry", entry)
    unknown = set(table) - keys
    if unknown:
        raise UserError(f"{where}: unknown keys {short(', '.join(sorted(unknown)))}; use {', '.join(sorted(keys))}")
    return table


def _dict(where: str, name: str, entry: object) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise UserError(f"{where}: {name} is {quoted(entry)}; expected a table")
    return entry


def _text(where: str, name: str, entry: object, *, empty: bool = False) -> str:
    if not isinstance(entry, str) or not (empty or entry.strip()):
        raise UserError(f"{where}: {name} is {quoted(entry)}; give it a text")
    return entry
