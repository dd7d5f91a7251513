"""The words of `spikeplan events ...`. Nothing heavy is imported before a command runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import tyro
from rich.console import Console

File = tyro.conf.Positional[str]
Json = Annotated[bool, tyro.conf.arg(help="print facts as JSON")]


def info(file: File, json: Json = False) -> None:
    """What an event recording holds."""
    from spikeplan.experiments.cli.events_files import info_command

    info_command(file, as_json=json, console=Console())


def stats(file: File, period_us: int = 10_000, json: Json = False) -> None:
    """Rates over time, events a pixel, hot pixels, ON and OFF, intervals between events."""
    from spikeplan.experiments.cli.events_files import stats_command

    stats_command(file, period_us=period_us, as_json=json, console=Console())


def convert(file: File, out: File, sort: bool = False, json: Json = False) -> None:
    """Write a recording as .npz or .h5 (everything) or .es (events alone; says what is lost). `--sort` orders streams whose
    stamps go back."""
    from spikeplan.experiments.cli.events_files import convert_command

    convert_command(file, out, sort=sort, as_json=json, console=Console())


def cut(file: File, out: File, start_us: int, stop_us: int, json: Json = False) -> None:
    """Write what was stamped in [start, stop) microseconds after the first event; the clock stays the recording's."""
    from spikeplan.experiments.cli.events_files import slice_command

    slice_command(file, out, start_us=start_us, stop_us=stop_us, as_json=json, console=Console())


def view(
    file: File,
    out: File,
    start_us: int | None = None,
    stop_us: int | None = None,
    window_us: int = 10_000,
    frames: bool = True,
) -> None:
    """A picture (.png) or a film (.gif, one picture a window) of the events over the camera's frames."""
    from spikeplan.experiments.cli.events_view import view_command

    view_command(file, out, start_us=start_us, stop_us=stop_us, window_us=window_us, frames=frames, console=Console())


EVENTS: dict[str, Callable[..., Any]] = {
    "info": info,
    "stats": stats,
    "convert": convert,
    "slice": cut,
    "view": view,
}
