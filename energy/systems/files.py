"""What a system file says: which machines there are, what each does for an action, and what it does in between.

title = "Orin Nano + Loihi 2"
side = "spiking"                       the side of a comparison whose plans it runs: dense or spiking
[[machines]]
device = "loihi2"                      a machine of the catalogue, or of --devices
does = "plan"                          plan: all that it can run; encode: what the planning chip leaves to its host
rest = "idle"                          idle: it stays on between actions; sleep: it sleeps and wakes for the next
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError, quoted, short

FOLDER = Path(__file__).parent
WORDS = {"side": ("dense", "spiking"), "does": ("plan", "encode"), "rest": ("idle", "sleep")}


@dataclass(frozen=True, kw_only=True)
class Part:
    """One machine of a system."""

    device: str
    does: str
    rest: str = "idle"


@dataclass(frozen=True, kw_only=True)
class System:
    """`parts`: the one that plans, and on the spiking side its host where there is one."""

    name: str
    title: str
    side: str
    parts: tuple[Part, ...]

    @property
    def planner(self) -> Part:
        return next(part for part in self.parts if part.does == "plan")

    @property
    def host(self) -> Part | None:
        return next((part for part in self.parts if part.does == "encode"), None)


def load_systems(own: Path | None = None) -> dict[str, System]:
    """The shipped systems by name, and a user's own file over them. Raises UserError that names file, key and remedy.

    >>> load_systems()["orin"].planner.device
    'orin_nano'
    """
    files = [*sorted(FOLDER.glob("*.toml")), *([] if own is None else [own])]
    return {path.stem: _system(path) for path in files}


def _system(path: Path) -> System:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; write one with title, side and [[machines]]") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a TOML file ({short(error)}); mend it there") from error
    _known(path, "the file", table, {"title", "side", "machines"})
    machines = table.get("machines")
    if not isinstance(machines, list) or not all(isinstance(one, dict) for one in machines):
        raise UserError(f"{path}: machines is {quoted(machines)}; write a table [[machines]] for each")
    parts = []
    for number, one in enumerate(machines, 1):
        where = f"machine {number}"
        _known(path, where, one, {"device", "does", "rest"})
        device = one.get("device")
        if not isinstance(device, str):
            raise UserError(f"{path}: {where}: device is {quoted(device)}; name one of `spikeplan energy devices`")
        parts.append(
            Part(
                device=device,
                does=_word(path, where, "does", one.get("does")),
                rest=_word(path, where, "rest", one.get("rest", "idle")),
            )
        )
    side = _word(path, "the file", "side", table.get("side"))
    does = [part.does for part in parts]
    if does.count("plan") != 1 or does.count("encode") > (side == "spiking"):
        raise UserError(
            f"{path}: machines that plan: {does.count('plan')}, that encode: {does.count('encode')}; a system has one that "
            "plans, and one that encodes at most, on the spiking side"
        )
    title = table.get("title", path.stem)
    if not isinstance(title, str) or not title.strip():
        raise UserError(f"{path}: title is {quoted(title)}; write a text")
    return System(name=path.stem, title=title, side=side, parts=tuple(parts))


def _known(path: Path, where: str, table: dict[str, Any], keys: set[str]) -> None:
    if unknown := set(table) - keys:
        raise UserError(
            f"{path}: {where}: unknown keys {short(', '.join(sorted(unknown)))}; it has {', '.join(sorted(keys))}"
        )


def _word(path: Path, where: str, key: str, word: object) -> str:
    if not isinstance(word, str) or word not in WORDS[key]:
        raise UserError(f"{path}: {where}: {key} is {quoted(word)}; use {' or '.join(WORDS[key])}")
    return word
