"""The text header of Prophesee's RAW and DAT files: lines that start with %, at most 64 KiB of them.

    % key value        one a line; `% end` closes the header (older recorders leave it out: the first byte that is no %)
    % format EVT3;width=1280;height=720      or `% evt 3.0` with `% geometry 1280x720`; DAT: % Width, % Height, % Version
    % plugin_name, % integrator_name, % date ...                    everything else is kept and not interpreted
Source: https://docs.prophesee.ai/stable/data/file_formats/raw.html
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from spikeplan.core.errors import UserError
from spikeplan.eventdata.formats.stream import COPY_AGAIN

MAX_HEADER = 1 << 16
PLUGIN_TO_SIZE = {
    "gen31": (640, 480),
    "gen3": (640, 480),
    "gen41": (1280, 720),
    "imx636": (1280, 720),
    "genx320": (320, 320),
}


@dataclass(frozen=True)
class Header:
    fields: dict[str, str]
    geometry: tuple[int, int] | None  # width, height
    end: int  # byte at which the data starts

    def size(self) -> tuple[int, int]:
        if self.geometry is None:
            raise UserError(
                "the header states no width and height; add a line '% geometry WIDTHxHEIGHT' or export it again"
            )
        return self.geometry


def read_header(source: Path, handle: BinaryIO) -> Header:
    """Leaves `handle` at the first byte of data."""
    fields: dict[str, str] = {}
    head = handle.read(MAX_HEADER)
    at = 0
    while head[at : at + 1] == b"%":
        stop = head.find(b"\n", at)
        if stop < 0:
            raise UserError(f"{source}: the header line at byte {at} has no end within {len(head)} bytes; {COPY_AGAIN}")
        try:
            line = head[at + 1 : stop].decode("utf-8").strip()
        except UnicodeDecodeError:
            break  # data that happens to start with %
        at = stop + 1
        if line == "end":
            break
        key, _, value = line.partition(" ")
        fields[key] = value.strip()
    handle.seek(at)
    return Header(fields=fields, geometry=_geometry(source, fields), end=at)


def _geometry(source: Path, fields: dict[str, str]) -> tuple[int, int] | None:
    found = [part.partition("=") for part in fields.get("format", "").split(";")[1:]]
    stated = {name.strip(): value for name, _, value in found}
    pairs = [
        (stated.get("width"), stated.get("height")),
        tuple(fields["geometry"].split("x", 1)) if "x" in fields.get("geometry", "") else (None, None),
        (fields.get("Width"), fields.get("Height")),
    ]
    for width, height in pairs:
        if width is None or height is None:
            continue
        if not (width.strip().isdecimal() and height.strip().isdecimal()) or max(len(width), len(height)) > 5:
            raise UserError(f"{source}: the header says width {width[:20]!r}, height {height[:20]!r}; {COPY_AGAIN}")
        return int(width), int(height)
    plugin = fields.get("plugin_name", "").lower()  # old recorders name only the camera
    return next((size for name, size in PLUGIN_TO_SIZE.items() if name in plugin), None)
