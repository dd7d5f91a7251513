"""What a device file may say: every figure with unit, source and evidence, or an error that names file, table and figure.

A figure is {value | low, nominal, high; unit; source; evidence; node; note; shared; opposed}. `node` may stand at the device
and is inherited. `shared` names a quantity that several devices have in common: Monte-Carlo draws it once for all of them.
`opposed` names one that the figure moves against: of one measured total, what the one takes the other lacks. A device's figure
must be one that the models of its kind read, in a unit of its dimension: a misspelt name would be left out of a sum without a
word, and a watt in place of a Joule would not look wrong.

Power states are figures of any kind of machine:

    off p_off   sleep p_sleep   idle p_idle   active p_active      W
    from sleep  t_wake e_wake   from off  t_boot e_boot            s, J until it works; without energy: time x power at work

A `sensor` has states alone, and t_frame, the time that a frame keeps it active.

Evidence: R read in the primary artefact, Q quoted with page or table, S secondary page, V vendor claim, D derived by
arithmetic, `assumed` borrowed from elsewhere or bounded by judgement, said so in the source. From memory is not admitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spikeplan.core.counts.operations import UPDATE_WEIGHT
from spikeplan.core.errors import UserError, quoted, short
from spikeplan.energy.band import Band

EVIDENCE = ("R", "Q", "S", "V", "D", "assumed")
TO_SI = {
    "pJ": 1e-12,
    "nJ": 1e-9,
    "uJ": 1e-6,
    "mJ": 1e-3,
    "J": 1.0,
    "pJ/B": 1e-12,
    "W": 1.0,
    "mW": 1e-3,
    "uW": 1e-6,
    "ns": 1e-9,
    "us": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "op/s": 1.0,
    "B/s": 1.0,
    "word/s": 1.0,
    "1": 1.0,
    "count": 1.0,
    "bit": 1.0,
    "B": 1.0,
}
_LOIHI1 = "e_synop e_update_active e_update_idle e_message e_hop p_static t_barrier t_synop t_update"
REQUIRED = {  # a figure of these, or its name under `unavailable` with the reason
    "loihi2": ("e_eq", "update_weight", "p_static", "t_barrier", "t_synop", "t_update", "io_rate"),
    "loihi1": tuple(_LOIHI1.split()),
    "event": ("e_synop", "e_update", "p_static", "t_step"),
    "datasheet": ("power", "t_action"),
    "gpu": ("power", "bandwidth", "eta", "p_idle", "t_launch"),
    "cpu": ("power_per_core",),
    "asic": ("e_sram", "e_dram"),
    "npu": ("e_mac", "t_mac", "p_sleep"),
    "sensor": ("p_active", "p_sleep"),
}
OPTIONAL = {  # beside REQUIRED, what the models of a kind read; a trailing _ stands for a precision
    "loihi2": ("chips", "e_step", "t_link", "t_barrier_chips", "p_static_chips"),
    "loihi1": ("chips", "io_rate", "t_link", "t_barrier_chips"),
    "gpu": ("peak_", "cache"),
    "asic": ("mac_", "ac_", "p_static"),
    "npu": ("memory",),
    "sensor": ("t_frame",),
}
STATES = {
    "off": "p_off",
    "sleep": "p_sleep",
    "idle": "p_idle",
    "active": "p_active",
}  # watts of a power state, of any kind
WAKING = {"sleep": ("t_wake", "e_wake"), "off": ("t_boot", "e_boot")}  # time and energy until it works
UNITS = {  # of a device's figure, by the beginning of its name: a watt where Joules belong would be a wrong sum
    "e_sram": ("pJ/B",),
    "e_dram": ("pJ/B",),
    "e_wake": ("uJ", "mJ", "J"),
    "e_boot": ("uJ", "mJ", "J"),
    "e_": ("pJ", "nJ", "uJ"),
    "mac_": ("pJ", "nJ"),
    "ac_": ("pJ", "nJ"),
    "p_": ("W", "mW", "uW"),
    "power": ("W", "mW"),
    "t_": ("ns", "us", "ms", "s"),
    "peak_": ("op/s",),
    "bandwidth": ("B/s",),
    "io_rate": ("word/s",),
    "cache": ("B",),
    "memory": ("B",),
    "eta": ("1",),
    "update_weight": ("1",),
    "chips": ("count",),
}
PLAIN = ("cache", "memory", "update_weight")  # a value: these decide or are pinned, and are not drawn
MOVES = ("shared", "opposed")  # quantities that a figure moves with, or against
FURTHEST = 1e30  # a number outside 1 / FURTHEST .. FURTHEST is a slip, and its sums would overflow
DEVICE_KEYS = {"kind", "title", "node", "hypothetical", "graded_messages", "boards", "figures", "unavailable"}
FIGURE_KEYS = {"value", "low", "nominal", "high", "unit", "source", "evidence", "node", "note", "shared", "opposed"}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One sourced number. `band` is in SI units; `unit` is the unit the file states it in.

    >>> default().device("loihi2").figure("e_eq").source
    """

    name: str
    band: Band
    unit: str
    source: str
    evidence: str
    node: str = ""
    note: str = ""
    shared: str = ""
    opposed: str = ""

    def stated(self) -> dict[str, Any]:
        """As the file has it, in its own unit."""
        low, value, high = (float(f"{bound / TO_SI[self.unit]:.12g}") for bound in self.band.bounds())
        return {
            "value": value,
            "unit": self.unit,
            "low": low,
            "high": high,
            "node": self.node,
            "source": self.source,
            "evidence": self.evidence,
            "note": self.note,
        }


@dataclass(frozen=True, kw_only=True)
class Device:
    """One machine of the catalogue: its kind, its figures by name, and why others are unavailable.

    `boards`: the names by which its driver reports it, letter for letter: only what was measured on these was measured on it.

    >>> default().device("loihi2").spiking
    True
    """

    name: str
    kind: str
    title: str
    node: str = ""
    hypothetical: bool = False
    graded_messages: bool = False
    boards: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
    unavailable: Mapping[str, str] = field(default_factory=dict)

    @property
    def prices(self) -> bool:
        """Whether operation counts can be priced on it: a sensor has power states and nothing else."""
        return self.kind != "sensor"

    @property
    def spiking(self) -> bool:
        return self.kind in ("loihi1", "loihi2", "event", "datasheet")

    def figure(self, name: str) -> Figure:
        """The figure of this name. Raises UserError that says why the catalogue lacks it."""
        found = self.figures.get(name)
        if found is None:
            why = self.unavailable.get(name, "the catalogue has no such figure")
            have = ", ".join(sorted(self.figures))
            raise UserError(f"device '{self.name}': {name} is not available ({why}); it has {have}")
        return found


def device_of(name: str, table: object) -> Device:
    if not isinstance(table, dict):
        raise UserError(f"devices.{name} is {quoted(table)}; expected a table")
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in REQUIRED:
        raise UserError(f"devices.{name}: kind {quoted(kind)} is unknown; use one of {', '.join(REQUIRED)}")
    unknown = set(table) - DEVICE_KEYS
    if unknown:
        raise UserError(f"devices.{name}: unknown keys {short(', '.join(sorted(unknown)))}; remove them")
    node, unavailable = table.get("node", ""), table.get("unavailable", {})
    if not isinstance(unavailable, dict) or not all(isinstance(why, str) and why for why in unavailable.values()):
        raise UserError(f"devices.{name}.unavailable is {quoted(unavailable)}; expected a reason for each figure")
    for key in ("hypothetical", "graded_messages"):
        if not isinstance(table.get(key, False), bool):
            raise UserError(f"devices.{name}: {key} is {quoted(table[key])}; write true or false")
    boards = table.get("boards", [])
    if not isinstance(boards, list) or not all(isinstance(board, str) and board for board in boards):
        raise UserError(
            f"devices.{name}: boards is {quoted(boards)}; expected a list of names, as the driver reports them"
        )
    figures = figures_of(f"devices.{name}", table.get("figures"), node=node)
    for figure in figures.values():
        _fits(f"devices.{name}.{figure.name}", kind, figure)
    without = [figure.name for figure in figures.values() if not figure.node]
    if without:
        raise UserError(f"devices.{name}: no node for {', '.join(without)}; give the device or the figure one")
    missing = [key for key in REQUIRED[kind] if key not in figures and key not in unavailable]
    if missing:
        raise UserError(
            f"devices.{name}: a device of kind {quoted(kind)} needs {', '.join(missing)}; add them with a source"
        )
    return Device(
        name=name,
        kind=kind,
        title=str(table.get("title", name)),
        node=node,
        hypothetical=table.get("hypothetical") is True,
        graded_messages=table.get("graded_messages") is True,
        boards=tuple(boards),
        figures=figures,
        unavailable={key: why for key, why in unavailable.items() if key not in figures},
    )


def _fits(where: str, kind: str, figure: Figure) -> None:
    """The models of this kind read such a figure, in such a unit."""
    known = (*REQUIRED[kind], *OPTIONAL.get(kind, ()))
    known += tuple(name for name in (*STATES.values(), *sum(WAKING.values(), ())) if name not in known)
    if not any(figure.name == key or (key.endswith("_") and figure.name.startswith(key)) for key in known):
        raise UserError(f"{where}: no model of kind {quoted(kind)} reads it; figures are {', '.join(known)}")
    units = next(units for start, units in UNITS.items() if figure.name.startswith(start))
    if figure.unit not in units:
        raise UserError(f"{where}: unit {quoted(figure.unit)} does not fit; state it in {' or '.join(units)}")
    low, nominal, high = figure.band.bounds()
    if figure.name in PLAIN and low < high:
        raise UserError(f"{where}: give one value, not a band; it is not drawn")
    if figure.name == "eta" and high > 1:
        raise UserError(f"{where}: {high:g} is a share of the peak; give numbers in (0, 1]")
    if figure.name == "update_weight" and nominal != UPDATE_WEIGHT:
        raise UserError(
            f"{where}: {nominal:g} is not the {UPDATE_WEIGHT} that operation counts use; scale e_eq instead"
        )


def figures_of(where: str, table: object, *, node: str = "") -> dict[str, Figure]:
    if not isinstance(table, dict):
        raise UserError(f"{where} is {quoted(table)}; expected a table of figures")
    return {name: _figure(f"{where}.{name}", name, entry, node) for name, entry in table.items()}


def _figure(where: str, name: str, entry: object, node: str) -> Figure:
    if not isinstance(entry, dict):
        raise UserError(f"{where} is {quoted(entry)}; a figure is a table {{value, unit, source, evidence}}")
    unknown = set(entry) - FIGURE_KEYS
    if unknown:
        raise UserError(f"{where}: unknown keys {short(', '.join(sorted(unknown)))}; remove them")
    source, evidence, unit = entry.get("source"), entry.get("evidence"), entry.get("unit")
    if not (isinstance(source, str) and source.strip()):
        raise UserError(f"{where}: source is missing; no figure ships without one")
    if evidence not in EVIDENCE:
        raise UserError(f"{where}: evidence {quoted(evidence)} is not one of {', '.join(EVIDENCE)}")
    if not isinstance(unit, str) or unit not in TO_SI:
        raise UserError(f"{where}: unit {quoted(unit)} is unknown; use one of {', '.join(TO_SI)}")
    own = entry.get("node", node)
    for key, text in (("node", own), ("note", entry.get("note", "")), *((key, entry.get(key, "")) for key in MOVES)):
        if not isinstance(text, str):
            raise UserError(f"{where}: {key} {quoted(text)} is no text")
    low, nominal, high = (number * TO_SI[unit] for number in _numbers(where, entry))
    if not low <= nominal <= high:
        raise UserError(f"{where}: low {low:g} <= nominal {nominal:g} <= high {high:g} does not hold; order them")
    return Figure(
        name=name,
        band=Band(low, nominal, high),
        unit=unit,
        source=source,
        evidence=evidence,
        node=own,
        note=entry.get("note", ""),
        shared=entry.get("shared", ""),
        opposed=entry.get("opposed", ""),
    )


def _numbers(where: str, entry: Mapping[str, Any]) -> list[float]:
    keys = ("value",) * 3 if "value" in entry else ("low", "nominal", "high")
    if "value" in entry and set(entry) & {"low", "nominal", "high"}:
        raise UserError(f"{where}: give either value or low, nominal and high")
    numbers = [entry.get(key) for key in keys]
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not 1 / FURTHEST <= number <= FURTHEST:
            raise UserError(
                f"{where}: {quoted(numbers)} must be finite numbers > 0, as value or as low, nominal and high"
            )
    return [float(number) for number in numbers]  # type: ignore[arg-type]
