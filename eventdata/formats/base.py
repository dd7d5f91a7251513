"""What a recording format is: how it is recognised, read whole, and read as a stream of events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spikeplan.eventdata.formats.stream import RawStream, whole
from spikeplan.eventdata.recording import Recording


class Open(Protocol):
    def __call__(self, source: Path, *, sort: bool = False) -> Recording: ...


def events_only(raw: Callable[[Path], RawStream]) -> Open:
    """The reader of a format that holds events alone."""

    def read(source: Path, *, sort: bool = False) -> Recording:
        return whole(raw(source), sort=sort)

    return read


def magic(*words: bytes) -> Callable[[bytes], bool]:
    """Recognises a file by its first bytes."""
    return lambda head: head.startswith(words)


@dataclass(frozen=True, kw_only=True)
class Format:
    """One file of this folder, or of a plug-in, exports it as FORMAT (or a tuple of several).

    Args:
        name: what `events info` says.
        suffixes: without the dot; they decide where no magic does.
        is_it: sees the first bytes of a file; None: nothing in the file tells.
        open: reads a whole recording.
        raw: the events alone, as a stream.
        write: writes a recording; None: this format is read only.
        events_only: writing keeps the events alone.

    >>> FORMAT = Format(name="csv", suffixes=("csv",), is_it=None, open=events_only(raw_csv), raw=raw_csv)
    """

    name: str
    suffixes: tuple[str, ...]
    is_it: Callable[[bytes], bool] | None
    open: Open
    raw: Callable[[Path], RawStream]
    write: Callable[[Recording, Path], None] | None = None
    events_only: bool = False
