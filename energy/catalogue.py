"""The device catalogue: `devices/`, one file a machine, and a user's own file on top of it.

A figure is a band low <= nominal <= high in SI units with its source and evidence code (`spikeplan.energy.schema`).
Nothing here has a default: a model that needs a figure which the catalogue lacks gets an error that says why it is missing,
so no estimate rests on a number from memory. To add a machine, drop a file into `devices/`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from spikeplan.core.chips import CHIPS
from spikeplan.core.errors import UserError, quoted, short
from spikeplan.energy.band import ZERO, Band
from spikeplan.energy.schema import EVIDENCE, TO_SI, Device, Figure, device_of, figures_of

__all__ = ["EVIDENCE", "PATH", "TO_SI", "ZERO", "Band", "Catalogue", "Device", "Figure", "default", "load"]
PATH = Path(__file__).with_name("devices")


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """All machines by name, reference figures, and published limits of chips.

    `devices` price operation counts; `sensors` have power states alone, and systems name both.

    >>> sorted(default().devices)
    """

    devices: Mapping[str, Device]
    reference: Mapping[str, Figure]
    limits: Mapping[str, Mapping[str, Figure]]
    sensors: Mapping[str, Device] = field(default_factory=dict)

    def device(self, name: str) -> Device:
        """The machine of this name that prices counts. Raises UserError that lists the names there are."""
        found = self.devices.get(name)
        if found is None:
            what = "is a sensor, which no operations run on" if name in self.sensors else "is unknown"
            raise UserError(f"device {name!r} {what}; use one of {', '.join(sorted(self.devices))}")
        return found

    def machine(self, name: str) -> Device:
        """A device or a sensor, as systems have both. Raises UserError that lists the names there are.

        >>> default().machine("genx320").figure("p_active").band
        """
        found = self.devices.get(name) or self.sensors.get(name)
        if found is None:
            names = ", ".join(sorted({*self.devices, *self.sensors}))
            raise UserError(f"machine {name!r} is unknown; use one of {names}")
        return found

    def stated(self) -> dict[str, Any]:
        """Every constant as {value, unit, low, high, node, source, evidence, note}, in the unit of the file."""
        return {
            "devices": {
                name: {
                    "kind": device.kind,
                    "title": device.title,
                    "node": device.node,
                    "hypothetical": device.hypothetical,
                    "graded_messages": device.graded_messages,
                    "figures": {key: figure.stated() for key, figure in device.figures.items()},
                    "unavailable": dict(device.unavailable),
                }
                for name, device in {**self.devices, **self.sensors}.items()
            },
            "reference": {key: figure.stated() for key, figure in self.reference.items()},
            "limits": {
                chip: {key: figure.stated() for key, figure in table.items()} for chip, table in self.limits.items()
            },
        }


def load(path: str | Path = PATH, *, own: str | Path | None = None) -> Catalogue:
    """Read and validate a catalogue; anything amiss is a UserError that names file, table and figure.

    Args:
        path: the shipped folder, or a file with all of its tables.
        own: a user's file with a table [devices], or a folder of them, checked the same way. A device that the catalogue has is
            taken from there, with the figures of the user's file over it; so Speck becomes usable with one line.

    >>> load(own="mine.toml").device("speck").figure("e_synop").band.nominal
    """
    path = Path(path)
    raw = _read(path)
    if own is None:
        return _catalogue(path, raw)
    _catalogue(path, raw)  # the shipped file's errors are not the user's
    own = Path(own)
    mine = _read(own)
    extra = set(mine) - {"devices"}
    if extra:
        raise UserError(
            f"{own}: unknown tables {short(', '.join(sorted(extra)))}; a device file has [devices.NAME] tables only"
        )
    if not _table_in(own, mine):
        raise UserError(f"{own}: holds no device; give it a table [devices.NAME]")
    devices = dict(raw["devices"])
    for name, table in _table_in(own, mine).items():
        devices[name] = _over(devices.get(name), table)
    return _catalogue(own, {**raw, "devices": devices})


def default() -> Catalogue:
    """The catalogue that ships with the package, with the figures that chips of plug-ins bring.

    Raises UserError where a plug-in's figures are no valid table.

    >>> default().device("loihi2").figure("p_static").band
    """
    return _default(tuple((chip.name, chip.figures) for chip in CHIPS.values() if chip.figures))


@cache
def _default(brought: tuple[tuple[str, str], ...]) -> Catalogue:
    raw = _read(PATH)
    devices = dict(raw["devices"])
    for name, text in brought:
        try:
            own = _toml(text)
        except ValueError as error:
            raise UserError(f"chip {name}: its figures are not TOML ({error}); mend them") from error
        for device, table in _table_in(Path(name), own).items():
            devices[device] = _over(devices.get(device), table)
    return _catalogue(PATH, {**raw, "devices": devices})


def _over(known: object, table: object) -> object:
    if not isinstance(known, dict) or not isinstance(table, dict):
        return table
    figures = table.get("figures", {})
    return {**known, **table, "figures": {**known["figures"], **figures} if isinstance(figures, dict) else figures}


def _read(path: Path) -> dict[str, Any]:
    """The tables of a file, or those of a folder's files together; machines are then in the order that one of them names."""
    if not path.is_dir():
        return _read_file(path)
    files = sorted(path.glob("*.toml"))
    if not files:
        raise UserError(f"{path}: a folder without TOML files; name a device file, or a folder of them")
    tables: dict[str, Any] = {}
    devices: dict[str, Any] = {}
    for file in files:
        own = _read_file(file)
        mine = own.pop("devices", {})
        if not isinstance(mine, dict):
            raise UserError(f"{file}: devices is {quoted(mine)}; write tables [devices.NAME]")
        if again := [*(set(mine) & set(devices)), *(set(own) & set(tables))]:
            raise UserError(f"{file}: {quoted(again[0])} is in another file of the folder, too; a machine has one file")
        devices, tables = {**devices, **mine}, {**tables, **own}
    named = tables.pop("order", [])
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise UserError(f"{path}: order is {quoted(named)}; write a list of devices' names, or leave it out")
    order = {name: place for place, name in enumerate(named)}
    return {
        **tables,
        "devices": dict(sorted(devices.items(), key=lambda each: (order.get(each[0], len(order)), each[0]))),
    }


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return _toml(path.read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise UserError(
            f"{path}: no such file; write one with a table [devices.NAME] (docs/energy.md shows it)"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot read the device catalogue ({short(error)}); name a file or folder") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: cannot read the device catalogue: not UTF-8 (byte {error.start}); save it so"
        ) from error
    except ValueError as error:
        raise UserError(f"{path}: not a TOML file ({error}); mend it there") from error


def _toml(text: str) -> dict[str, Any]:
    """Raises ValueError in one short line, for what is nested too deeply or has a number of thousands of digits, too."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise ValueError("lists or tables nested too deeply") from error
    except ValueError as error:
        raise ValueError(short(error)) from error


def _table_in(path: Path, raw: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return _table(raw, "devices")
    except UserError as error:
        raise UserError(f"{path}: {short(error)}") from error


def _catalogue(path: Path, raw: Mapping[str, Any]) -> Catalogue:
    try:
        machines = {name: device_of(name, table) for name, table in _table(raw, "devices").items()}
        return Catalogue(
            devices={name: machine for name, machine in machines.items() if machine.prices},
            sensors={name: machine for name, machine in machines.items() if not machine.prices},
            reference=figures_of("reference", _table(raw, "reference")),
            limits={name: figures_of(f"limits.{name}", table) for name, table in _table(raw, "limits").items()},
        )
    except UserError as error:
        raise UserError(f"{path}: {short(error)}") from error


def _table(raw: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = raw.get(key)
    if not isinstance(table, dict):
        raise UserError(f"table [{key}] is missing; a catalogue has devices, reference and limits")
    return table
