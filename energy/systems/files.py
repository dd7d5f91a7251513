"""What a system file says: which machines there are, what each does and how often, and what it does in between.

title = "Orin Nano + Loihi 2"
side = "spiking"                       the side of a comparison whose plans it runs: dense or spiking
[[machines]]
device = "loihi2"                      a machine of the catalogue, or of --devices
does = "plan"                          plan: all that it can run; encode: what the planning chip leaves to its host;
                                       sense: nothing but be on, where it is a camera
rest = "idle"                          off, sleep, idle or active: the power state between two pieces of work
every = 10                             it encodes or senses for each tenth action (1 without it), or
hz = 1.0                               so often a second, whatever the control rate
[events]                               an event encoder that is always on: operations a second on the planning chip
synops = 1.2e6
updates = 0.5e6
steps = 400
macs = 3.7e6                           and dense ones on the machine that encodes, which it makes
hz = 100                               in so many passes a second and sleeps in between, where that is its rest
source = "where these counts are from"
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError, quoted, short
from spikeplan.energy.schema import FURTHEST, STATES

FOLDER = Path(__file__).parent
WORDS = {"side": ("dense", "spiking"), "does": ("plan", "encode", "sense"), "rest": tuple(STATES)}
FASTEST_HZ = 1e9  # a control rate from here on is a slip
ON_CHIP, ON_HOST = ("synops", "updates", "steps"), ("macs", "hz")  # counts of [events]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One machine of a system. `hz`: times a second that it works; None: with each `every`th action."""

    device: str
    does: str
    rest: str = "idle"
    every: int = 1
    hz: float | None = None

    @property
    def each_action(self) -> bool:
        """Whether every action waits for it."""
        return self.hz is None and self.every == 1

    def works_hz(self, rate_hz: float) -> float:
        """Times a second that it works, at a control rate."""
        return rate_hz / self.every if self.hz is None else self.hz


@dataclass(frozen=True, kw_only=True)
class Events:
    """Operations of an event encoder, a second: on the planning chip, and `macs` in `hz` passes on the machine that encodes."""

    synops: float
    updates: float
    steps: float
    macs: float = 0.0
    hz: float = 0.0
    source: str


@dataclass(frozen=True, kw_only=True)
class System:
    """`parts`: the one that plans, its host where there is one on the spiking side, and sensors."""

    name: str
    title: str
    side: str
    parts: tuple[Part, ...]
    events: Events | None = None

    @property
    def planner(self) -> Part:
        return next(part for part in self.parts if part.does == "plan")

    @property
    def host(self) -> Part | None:
        return next((part for part in self.parts if part.does == "encode"), None)

    @property
    def sees_each_action(self) -> bool:
        """Whether the plan gets a frame an action, as the run that it is of; else its success is another one's."""
        return self.events is None and all(part.each_action for part in self.parts)

    @property
    def sensors(self) -> tuple[Part, ...]:
        return tuple(part for part in self.parts if part.does == "sense")


def load_systems(own: Path | None = None) -> dict[str, System]:
    """The shipped systems by name, and a user's own file over them. Raises UserError that names file, key and remedy.

    >>> load_systems()["orin"].planner.device
    'orin_nano'
    """
    files = [*sorted(FOLDER.glob("*.toml")), *([] if own is None else [own])]
    return {path.stem: _system(path) for path in files}


def pick_systems(names: Sequence[str] | None, *, own: Path | None = None) -> dict[str, System]:
    """Those of these names, in that order; all there are where none is named. Raises UserError for a name that is unknown.

    >>> list(pick_systems(["orin", "npu"]))
    ['orin', 'npu']
    """
    if isinstance(names, str):
        raise UserError(f"systems is the text {names!r}; give a list: systems=[{names!r}]")
    known = load_systems(own)
    for name in names or ():
        if name not in known:
            raise UserError(f"system {name!r} is unknown; use {', '.join(known)}")
    return known if names is None else {name: known[name] for name in names}


def _system(path: Path) -> System:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; write one with title, side and [[machines]]") from error
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a TOML file ({short(error)}); mend it there") from error
    _known(path, "the file", table, {"title", "side", "machines", "events"})
    machines = table.get("machines")
    if not isinstance(machines, list) or not all(isinstance(one, dict) for one in machines):
        raise UserError(f"{path}: machines is {quoted(machines)}; write a table [[machines]] for each")
    parts = tuple(_part(path, f"machine {number}", one) for number, one in enumerate(machines, 1))
    side = _word(path, "the file", "side", table.get("side"))
    does = Counter(part.does for part in parts)
    if does["plan"] != 1 or does["encode"] > (side == "spiking"):
        raise UserError(
            f"{path}: machines that plan: {does['plan']}, that encode: {does['encode']}; a system has one that "
            "plans, and one that encodes at most, on the spiking side"
        )
    for device, times in Counter(part.device for part in parts).items():
        if times > 1:
            raise UserError(
                f"{path}: {device} is there {times} times; give the other one a file of its own in --devices"
            )
    title = table.get("title", path.stem)
    if not isinstance(title, str) or not title.strip():
        raise UserError(f"{path}: title is {quoted(title)}; write a text")
    events = None if "events" not in table else _events(path, side, table["events"])
    if events is not None and events.macs and not does["encode"]:
        raise UserError(f"{path}: events: nothing runs its macs; add a machine that encodes, or leave macs and hz out")
    return System(name=path.stem, title=title, side=side, parts=parts, events=events)


def _part(path: Path, where: str, table: dict[str, Any]) -> Part:
    _known(path, where, table, {"device", "does", "rest", "every", "hz"})
    device = table.get("device")
    if not isinstance(device, str):
        raise UserError(f"{path}: {where}: device is {quoted(device)}; name one of `spikeplan energy devices`")
    does = _word(path, where, "does", table.get("does"))
    rest = _word(path, where, "rest", table.get("rest", "idle"))
    every, hz = table.get("every", 1), table.get("hz")
    if does == "plan" and ("every" in table or "hz" in table):
        raise UserError(f"{path}: {where}: what plans works for each action; leave every and hz out")
    if "every" in table and "hz" in table:
        raise UserError(f"{path}: {where}: give every or hz, not both")
    if type(every) is not int or not 1 <= every < FURTHEST:
        raise UserError(f"{path}: {where}: every is {quoted(every)}; write a whole number of actions, 1 or more")
    if hz is not None:
        hz = _above_zero(path, where, "hz", hz)
    return Part(device=device, does=does, rest=rest, every=every, hz=hz)


def _events(path: Path, side: str, table: object) -> Events:
    if side != "spiking":
        raise UserError(f"{path}: events: they are encoded on a chip that plans in spikes; leave the table out")
    if not isinstance(table, dict):
        raise UserError(f"{path}: events is {quoted(table)}; write a table with {', '.join(ON_CHIP)} and source")
    _known(path, "events", table, {*ON_CHIP, *ON_HOST, "source"})
    keys = (*ON_CHIP, *(ON_HOST if set(ON_HOST) & set(table) else ()))
    counts = {key: _above_zero(path, "events", key, table.get(key)) for key in keys}
    source = table.get("source")
    if not isinstance(source, str) or not source.strip():
        raise UserError(f"{path}: events: source is {quoted(source)}; say where these counts are from")
    return Events(**counts, source=source)


def _above_zero(path: Path, where: str, key: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < FURTHEST:
        return float(value)
    raise UserError(f"{path}: {where}: {key} is {quoted(value)}; write a number above 0, a second")


def _known(path: Path, where: str, table: dict[str, Any], keys: set[str]) -> None:
    if unknown := set(table) - keys:
        raise UserError(
            f"{path}: {where}: unknown keys {short(', '.join(sorted(unknown)))}; it has {', '.join(sorted(keys))}"
        )


def _word(path: Path, where: str, key: str, word: object) -> str:
    if not isinstance(word, str) or word not in WORDS[key]:
        raise UserError(f"{path}: {where}: {key} is {quoted(word)}; use {' or '.join(WORDS[key])}")
    return word


def check_rate(rate_hz: float) -> None:
    """Raises UserError for what is no control rate."""
    if not 0 < rate_hz < FASTEST_HZ:
        raise UserError(f"rate {rate_hz:g} Hz: give actions a second, above 0 and below {FASTEST_HZ:g}")
