"""`spikeplan energy devices`: the catalogue. Imports neither torch nor a plotting library."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Catalogue, default, load
from spikeplan.experiments.runner.output import write_report


def catalogue_of(own: str | None) -> Catalogue:
    """The shipped catalogue, with the devices and figures of the file or folder `own` where one is named."""
    if own == "":  # as a path it would be the working directory
        raise UserError("--devices '': names no file; give a TOML file of devices, or a folder of them")
    return default() if own is None else load(own=Path(own))


def devices_command(*, json: str | None, devices: str | None, console: Console) -> None:
    catalogue = catalogue_of(devices)
    if json is not None:
        write_report(json, catalogue.stated())
    print_devices(catalogue, console)


def print_devices(catalogue: Catalogue, console: Console) -> None:
    for name, device in catalogue.stated()["devices"].items():
        console.print(
            f"[bold]{escape(name)}[/] ({device['kind']}, {escape(device['node'])}): {escape(device['title'])}"
        )
        for key, f in device["figures"].items():
            band = "" if f["low"] == f["high"] else f" [{f['low']:g} .. {f['high']:g}]"
            console.print(
                f"  {escape(key)} {f['value']:g}{escape(band)} {f['unit']}  [dim]{f['evidence']}, {escape(f['source'])}[/]"
            )
        for key, why in device["unavailable"].items():
            console.print(f"  {escape(key)} [dim]is not available: {escape(why)}[/]")
