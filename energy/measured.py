"""Joules that somebody measured, read back as evidence: the file of `spikeplan energy measure --json FILE`.

    {"format": "spikeplan-measured", "version": 1, "rows": [
        {"kind": "measured", "device": "NVIDIA ...", "place": "gpu", "way": "fused", "macs": ..., "seconds": ..., "gross_J": ...,
         "idle_W": {"low", "nominal", "high"}, ...},
        {"kind": "not readable", "place": "jetson", "note": "why"}]}

    net = gross - idle x seconds         above what the machine draws anyway; a band, because idle is one

What the rows are worth in a comparison is in measured_prices.py. Units: J and s of one action's plan, W.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError, quoted, short
from spikeplan.core.json_file import read_json
from spikeplan.energy.band import Band

FORMAT = "spikeplan-measured"
VERSION = 1
EVIDENCE = "measured"
KIND, UNREADABLE = "measured", "not readable"
WAYS = ("eager", "graph", "fused")
CLOSE = 1e-9  # of a sum that was written in decimals
PICO = 1e-12
DERIVED = ("kind", "evidence", "net_J", "pJ_per_mac", "note")  # written for readers, made anew when read


@dataclass(frozen=True, kw_only=True)
class MeasuredRow:
    """One plan of one action, on average over `runs`: what a machine drew, and what it draws when it does nothing.

    Args:
        device: the machine as it names itself; place: cpu, gpu or jetson, which says what the meter saw.
        way: eager (an operation at a time), graph (a CUDA graph) or fused (one kernel).
        task, budget, precision: of the plan; macs: of its predictions, of one action.
        gross_J: all that the machine drew, other programs' work included.
        versions: of what ran.

    Raises UserError for numbers that are not finite and > 0, and for an unknown way.

    >>> row.net_J.nominal, row.told
    """

    device: str
    place: str
    way: str
    task: str
    budget: str
    precision: str
    macs: int
    meter: str
    runs: int
    seconds: float
    gross_J: float
    idle_W: Band
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("device", "place", "way", "task", "budget", "precision", "meter"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise UserError(f"{name} is {quoted(value)}; expected a text")
        if self.way not in WAYS:
            raise UserError(f"way {quoted(self.way)} is unknown; use one of {', '.join(WAYS)}")
        for name in ("macs", "runs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise UserError(f"{name} is {quoted(value)}; expected a whole number of at least 1")
        for name, value in (("seconds", self.seconds), ("gross_J", self.gross_J)):
            if not _number(value) or value <= 0:
                raise UserError(f"{name} is {quoted(value)}; expected a finite number > 0")
        if not all(_number(watt) and watt >= 0 for watt in self.idle_W.bounds()):
            raise UserError(f"idle_W is {quoted(self.idle_W.bounds())}; expected finite watts >= 0")
        low, nominal, high = self.idle_W.bounds()
        if not low <= nominal <= high:
            raise UserError(f"idle_W: low {low:g} <= nominal {nominal:g} <= high {high:g} does not hold; order them")
        if not isinstance(self.versions, Mapping) or not all(isinstance(each, str) for each in self.versions.values()):
            raise UserError(f"versions is {quoted(self.versions)}; expected texts by name")

    @property
    def net_J(self) -> Band:
        """Above idle. Its low end may be negative where the work cannot be told from idle."""
        return Band(*(self.gross_J - watt * self.seconds for watt in reversed(self.idle_W.bounds())))

    @property
    def told(self) -> bool:
        """Whether the work is told apart from idle over the whole band."""
        return self.net_J.low > 0

    def to_json(self) -> dict[str, Any]:
        """The row as JSON types, with what follows from it."""
        net = self.net_J
        return {
            "kind": KIND,
            "evidence": EVIDENCE,
            **asdict(self),
            "versions": dict(self.versions),
            "net_J": asdict(net),
            "pJ_per_mac": net.nominal / self.macs / PICO if self.told else None,
            "note": "other programs' work included" if self.told else "not told apart from idle; measure longer",
        }

    @classmethod
    def from_json(cls, found: object, *, where: str = "row") -> MeasuredRow:
        """Raises UserError that names what is missing, unknown or no such value. What follows from the rest must follow."""
        if not isinstance(found, dict):
            raise UserError(f"{where} is {quoted(found)}; expected an object")
        names = {each.name for each in fields(cls)}
        missing = sorted(names - {"versions"} - found.keys())
        unknown = sorted(map(str, found.keys() - names - set(DERIVED)))
        if missing or unknown:
            what = f"needs {', '.join(missing)}" if missing else f"has unknown {', '.join(unknown)}"
            raise UserError(f"{where} {what}; columns are {', '.join(each.name for each in fields(cls))}")
        try:
            given = {name: found[name] for name in names & found.keys()}
            row = cls(**given | {"idle_W": _band("idle_W", found["idle_W"])})
            if "net_J" in found:
                stated = _band("net_J", found["net_J"]).bounds()
                if not all(
                    math.isclose(*pair, rel_tol=CLOSE, abs_tol=CLOSE)
                    for pair in zip(stated, row.net_J.bounds(), strict=True)
                ):
                    raise UserError(f"net_J is {quoted(stated)}, but gross less idle is {quoted(row.net_J.bounds())}")
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
        return row


def to_file(rows: Iterable[MeasuredRow], unreadable: Mapping[str, str] | None = None) -> dict[str, Any]:
    """What `read_measured` reads. `unreadable`: place -> why nothing was measured there.

    >>> write_report("measured.json", to_file(rows))
    """
    lines: list[dict[str, Any]] = [row.to_json() for row in rows]
    lines += [
        {"kind": UNREADABLE, "evidence": "not readable here", "place": place, "note": note}
        for place, note in (unreadable or {}).items()
    ]
    return {"format": FORMAT, "version": VERSION, "rows": lines}


def read_measured(path: str | Path) -> tuple[MeasuredRow, ...]:
    """The measured rows of a file; places that could not be read are left out.

    Raises UserError for a file that is none of these, is damaged, or in which nothing could be measured.

    >>> read_measured("measured.json")[0].way
    """
    try:
        found = read_json(Path(path))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: no measured figures ({short(error)}); expected a file of `energy measure --json FILE`"
        ) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("rows"), list):
        raise UserError(f'{path}: no measured figures; expected {{"format": "{FORMAT}", "version", "rows"}}')
    if found.get("version") != VERSION:
        raise UserError(
            f"{path}: measured figures of version {quoted(found.get('version'))}; this code reads version {VERSION}"
        )
    lines = [(f"{path}, row {number}", line) for number, line in enumerate(found["rows"])]
    rows = tuple(
        MeasuredRow.from_json(line, where=where)
        for where, line in lines
        if not (isinstance(line, dict) and line.get("kind") == UNREADABLE)
    )
    if not rows:
        raise UserError(f"{path}: nothing could be measured there; run `energy measure` where a meter is readable")
    return rows


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _band(name: str, found: object) -> Band:
    bounds = ("low", "nominal", "high")
    if not isinstance(found, dict) or set(found) != set(bounds) or not all(_number(found[bound]) for bound in bounds):
        raise UserError(f"{name} is {quoted(found)}; expected low, nominal and high")
    return Band(*(float(found[bound]) for bound in bounds))
