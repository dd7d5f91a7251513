"""Opens a recording of any known format, by its magic bytes first and its suffix second.

A renamed file is read for what it is; a file with a known suffix and foreign content is refused by its own reader,
which can say what is wrong with it.
"""

from __future__ import annotations

import os
from pathlib import Path

from eventdata import aedat4
from eventdata.recording import Recording
from spec.errors import UserError

MAGIC_TO_FORMAT = {aedat4.MAGIC: "aedat4"}
FORMAT_TO_READER = {"aedat4": aedat4.open_aedat4}


def detect_format(path: str | os.PathLike[str]) -> str:
    """Name of the format of an existing file."""
    source = Path(path)
    if not source.exists():
        raise UserError(f"{source}: no such file; give the path of a recording")
    if not source.is_file():
        raise UserError(f"{source}: not a regular file; give the path of a recording")
    try:
        with source.open("rb") as handle:
            head = handle.read(max(map(len, MAGIC_TO_FORMAT)))
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror}); check its permissions") from error
    for magic, name in MAGIC_TO_FORMAT.items():
        if head.startswith(magic):
            return name
    suffix = source.suffix.lower().removeprefix(".")
    if suffix in FORMAT_TO_READER:
        return suffix
    known = ", ".join(f".{name}" for name in FORMAT_TO_READER)
    raise UserError(f"{source}: unknown recording format; this build reads {known}")


def open_recording(path: str | os.PathLike[str], *, sort: bool = False) -> Recording:
    """Read a whole recording. `sort` puts streams whose stamps go back in order instead of refusing them."""
    return FORMAT_TO_READER[detect_format(path)](path, sort=sort)
