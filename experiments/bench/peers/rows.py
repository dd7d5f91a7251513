"""Rows of a comparison with another tool, and how a tool that is missing is reported."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

Row = dict[str, Any]


class NotInstalledError(Exception):
    """A tool that is compared with is missing; the text says which and what to do."""


def need(*names: str) -> list[Any]:
    """Imports modules of a tool, its warnings muted: they are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [import_module(name) for name in names]
        except ImportError as error:
            raise NotInstalledError(f"{names[0].split('.')[0]}: {error}; `make peers` installs it") from error


def row(
    name: str, ours: float, other: float, *, explained: float = 0, unit: str = "synops", note: str, holds: bool
) -> Row:
    return {
        "name": name,
        "ours": ours,
        "other": other,
        "explained": explained,
        "unit": unit,
        "holds": holds,
        "note": note,
    }
