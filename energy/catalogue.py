"""The device catalogue: loads `devices.toml` and refuses a figure without a source.

A figure is a band low <= nominal <= high in SI units (`value` in the file stands for all three) with its source and
evidence code. Nothing here has a default: a model that needs a figure which the catalogue lacks gets an error that says
why it is missing, so no estimate rests on a number from memory.

Evidence: R read in the primary artefact, Q quoted with page or table, S secondary page, V vendor claim, D derived.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from spec.errors import UserError

PATH = Path(__file__).with_name("devices.toml")
EVIDENCE = ("R", "Q", "S", "V", "D")
TO_SI = {
    "pJ": 1e-12, "pJ/B": 1e-12, "W": 1.0, "ns": 1e-9, "op/s": 1.0, "B/s": 1.0, "word/s": 1.0,
    "1": 1.0, "count": 1.0, "bit": 1.0, "B": 1.0,
}  # fmt: skip
_LOIHI1 = "e_synop e_update_active e_update_idle e_message e_hop p_static t_barrier t_synop t_update"
REQUIRED = {
    "loihi2": ("e_eq", "update_weight", "p_static", "t_barrier", "t_synop", "t_update", "io_rate"),
    "loihi1": tuple(_LOIHI1.split()),
    "gpu": ("power", "bandwidth", "eta"),
    "cpu": ("power_per_core",),
    "asic": ("e_sram", "e_dram"),
}


@dataclass(frozen=True)
class Band:
    """Low, nominal and high of one quantity, added bound by bound."""

    low: float = 0.0
    nominal: float = 0.0
    high: float = 0.0

    def __add__(self, other: Band) -> Band:
        return Band(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def __mul__(self, other: float | Band) -> Band:
        by = other if isinstance(other, Band) else Band(other, other, other)
        return Band(self.low * by.low, self.nominal * by.nominal, self.high * by.high)


ZERO = Band()


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One sourced number. `band` is in SI units; `unit` is the unit the file states it in."""

    name: str
    band: Band
    unit: str
    source: str
    evidence: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Device:
    name: str
    kind: str
    title: str
    hypothetical: bool = False
    graded_messages: bool = False
    figures: Mapping[str, Figure] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @property
    def spiking(self) -> bool:
        return self.kind.startswith("loihi")

    def figure(self, name: str) -> Figure:
        found = self.figures.get(name)
        if found is None:
            why = self.unavailable.get(name, "the catalogue has no such figure")
            have = ", ".join(sorted(self.figures))
            raise UserError(f"device '{self.name}': {name} is not available ({why}); it has {have}")
        return found


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    devices: Mapping[str, Device]
    reference: Mapping[str, Figure]
    limits: Mapping[str, Mapping[str, Figure]]

    def device(self, name: str) -> Device:
        found = self.devices.get(name)
        if found is None:
            raise UserError(f"device {name!r} is unknown; use one of {', '.join(sorted(self.devices))}")
        return found


def load(path: Path = PATH) -> Catalogue:
    """Read and validate a catalogue; anything amiss is a UserError that names file, table and figure."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot read the device catalogue ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not a TOML file ({error})") from error
    try:
        return Catalogue(
            devices={name: _device(name, table) for name, table in _table(raw, "devices").items()},
            reference=_figures("reference", _table(raw, "reference")),
            limits={name: _figures(f"limits.{name}", table) for name, table in _table(raw, "limits").items()},
        )
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


@cache
def default() -> Catalogue:
    """The catalogue that ships with the package."""
    return load()


def _table(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = raw.get(key)
    if not isinstance(table, dict):
        raise UserError(f"table [{key}] is missing; a catalogue has devices, reference and limits")
    return table


def _device(name: str, table: object) -> Device:
    if not isinstance(table, dict):
        raise UserError(f"devices.{name} is {table!r}; expected a table")
    kind = table.get("kind")
    if kind not in REQUIRED:
        raise UserError(f"devices.{name}: kind {kind!r} is unknown; use one of {', '.join(REQUIRED)}")
    unknown = set(table) - {"kind", "title", "hypothetical", "graded_messages", "figures", "unavailable"}
    if unknown:
        raise UserError(f"devices.{name}: unknown keys {', '.join(sorted(unknown))}; remove them")
    figures = _figures(f"devices.{name}", _table(table, "figures"))
    missing = [key for key in REQUIRED[kind] if key not in figures]
    if missing:
        raise UserError(f"devices.{name}: a device of kind {kind!r} needs {', '.join(missing)}; add them with a source")
    return Device(
        name=name,
        kind=kind,
        title=str(table.get("title", name)),
        hypothetical=table.get("hypothetical") is True,
        graded_messages=table.get("graded_messages") is True,
        figures=figures,
        unavailable=dict(table.get("unavailable", {})),
    )


def _figures(where: str, table: object) -> dict[str, Figure]:
    if not isinstance(table, dict):
        raise UserError(f"{where} is {table!r}; expected a table of figures")
    return {name: _figure(f"{where}.{name}", name, entry) for name, entry in table.items()}


def _figure(where: str, name: str, entry: object) -> Figure:
    if not isinstance(entry, dict):
        raise UserError(f"{where} is {entry!r}; a figure is a table {{value, unit, source, evidence}}")
    unknown = set(entry) - {"value", "low", "nominal", "high", "unit", "source", "evidence", "note"}
    if unknown:
        raise UserError(f"{where}: unknown keys {', '.join(sorted(unknown))}; remove them")
    source, evidence, unit = entry.get("source"), entry.get("evidence"), entry.get("unit")
    if not (isinstance(source, str) and source.strip()):
        raise UserError(f"{where}: source is missing; no figure ships without one")
    if evidence not in EVIDENCE:
        raise UserError(f"{where}: evidence {evidence!r} is not one of {', '.join(EVIDENCE)}")
    if unit not in TO_SI:
        raise UserError(f"{where}: unit {unit!r} is unknown; use one of {', '.join(TO_SI)}")
    keys = ("value",) * 3 if "value" in entry else ("low", "nominal", "high")
    if "value" in entry and set(entry) & {"low", "nominal", "high"}:
        raise UserError(f"{where}: give either value or low, nominal and high")
    numbers = [entry.get(key) for key in keys]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number) or number <= 0:
            raise UserError(f"{where}: {numbers} must be finite numbers > 0, as value or as low, nominal and high")
    low, nominal, high = (float(number) * TO_SI[unit] for number in numbers)  # type: ignore[arg-type]
    if not low <= nominal <= high:
        raise UserError(f"{where}: low {low:g} <= nominal {nominal:g} <= high {high:g} does not hold; order them")
    return Figure(
        name=name, band=Band(low, nominal, high), unit=unit, source=source, evidence=evidence,
        note=str(entry.get("note", "")),
    )  # fmt: skip
