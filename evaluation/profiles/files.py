"""Networks by file: operation counts of any simulator, or a torch module that a Python file makes.

FILE.json   operation counts (core/counts/exchange.py)
FILE.py     a function `network()` that returns (module, inputs), or {name: (module, inputs)}; it runs as your own code does
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.core.registry import plugin
from spikeplan.evaluation.profiles.counted import Counted, counted_profile, read_counted
from spikeplan.evaluation.profiles.profile import profile

MAKES = "network"


def _python(path: Path) -> list[Counted]:
    if not path.is_file():
        raise UserError(f"{path}: no such file; name one whose {MAKES}() returns (module, inputs)")
    module = plugin(str(path.resolve()))  # known by its whole path: another folder may have one of this name
    make = getattr(module, MAKES, None)
    if not callable(make):
        raise UserError(
            f"{path}: no function {MAKES}(); write one that returns (module, inputs), or a dict of them by name"
        )
    try:
        with redirect_stdout(sys.stderr):  # stdout is for the table, or JSON
            made: Any = make()
    except (Exception, SystemExit) as error:
        raise UserError(
            f"{path}: {MAKES}() fails ({type(error).__name__}: {' '.join(str(error).split())[:160]})"
        ) from error
    named = made if isinstance(made, Mapping) else {path.stem: made}
    found = []
    for name, one in named.items():
        if not isinstance(one, tuple) or len(one) != 2:
            raise UserError(f"{path}: {MAKES}() gives {type(one).__name__} for {name!r}; return (module, inputs)")
        try:
            counted = counted_profile(str(name), profile(*one))
        except (UserError, TypeError) as error:
            raise UserError(f"{path}: network {str(name)!r}: {error}") from error
        found.append(replace(counted, where=str(path)))
    return found


READERS: dict[str, Callable[[Path], list[Counted]]] = {".json": read_counted, ".py": _python}


def read_networks(paths: list[str]) -> dict[str, Counted]:
    """Name -> counts, over all files; a name that two files use gets its file's before it. Raises UserError by the file's name.

    >>> read_networks(["counts.json", "mine.py"])
    """
    found: list[Counted] = []
    for path in paths:
        reader = READERS.get(Path(path).suffix.lower(), read_counted)
        found += reader(Path(path))
    return named(found)


def named(found: Sequence[Counted]) -> dict[str, Counted]:
    """By name; one that is there twice gets its file's before it."""
    names = [one.name for one in found]
    known: dict[str, Counted] = {}
    for one in found:
        label = one.name if names.count(one.name) == 1 else f"{Path(one.where).name}: {one.name}"
        while label in known:
            label += "'"
        known[label] = replace(one, name=label)
    return known
