"""`compare`: what networks cost on each machine, and what whole systems draw that run them at a control rate.

A spiking network runs on systems whose planner is a chip, a dense one on the others. Of a network's schedules the one that draws
less is taken. A system's winner is the network that draws least on it; its ratio is against the system that draws least of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spikeplan import energy
from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.core.frame import frame
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.measured import MeasuredRow
from spikeplan.energy.systems import System, check_rate, draw_of, pick_systems
from spikeplan.evaluation.profiles.counted import Counted, counted_profile
from spikeplan.evaluation.profiles.loop import ONCE, Loop
from spikeplan.evaluation.profiles.machines import BOUND, as_measured, on_machines
from spikeplan.evaluation.profiles.profile import Profile
from spikeplan.evaluation.profiles.show import as_html, as_text

COLUMNS = ("name", "machine", "schedule", "joules", "low", "high", "seconds")


@dataclass(frozen=True)
class Comparison:
    """Rows of `compare`: dicts with COLUMNS, scopes and evidence; `systems`: rows of whole systems; `refused`: what could not be
    priced where, and why."""

    rows: list[dict[str, Any]]
    refused: list[dict[str, str]] = field(default_factory=list)
    systems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def winner(self) -> dict[str, Any]:
        """The system row that draws least at nominal figures; without systems, the machine with the least energy: no
        hypothetical one, none whose figure is a lower bound for want of a static power, and nothing that was measured above
        idle. Bands may overlap: look at low and high."""
        if self.systems:
            return min(self.systems, key=lambda row: row["watts"])
        real = [row for row in self.rows if row["mark"] in ("", BOUND)]
        return min(real or self.rows, key=lambda row: row["joules"])

    @property
    def by_system(self) -> list[dict[str, Any]]:
        """The winner of each system and rate, the least of all first; `ratio`: its watts over those of the least."""
        best: dict[tuple[str, float], dict[str, Any]] = {}
        for row in self.systems:
            key = (row["system"], row["rate_hz"])
            if key not in best or row["watts"] < best[key]["watts"]:
                best[key] = row
        least: dict[float, dict[str, Any]] = {}
        for row in best.values():
            if row["rate_hz"] not in least or row["watts"] < least[row["rate_hz"]]["watts"]:
                least[row["rate_hz"]] = row
        found = []
        for row in sorted(best.values(), key=lambda row: (row["rate_hz"], row["watts"])):
            first = least[row["rate_hz"]]
            found.append(
                {
                    **row,
                    "ratio": row["watts"] / first["watts"],
                    "ratio_low": 1.0 if row is first else row["low"] / first["high"],
                    "ratio_high": 1.0 if row is first else row["high"] / first["low"],
                }
            )
        return found

    def to_pandas(self) -> Any:
        """A pandas.DataFrame of the rows; of the systems' where there are some. Raises UserError where pandas is missing."""
        return frame(self.systems or self.rows)

    def __str__(self) -> str:
        return as_text(self)

    def _repr_html_(self) -> str:
        return as_html(self)


def compare(
    profiles: Mapping[str, Profile | Counted],
    machines: Sequence[str] | None = None,
    *,
    systems: Sequence[str] | Mapping[str, System] | None = None,
    rate_hz: float | Sequence[float] | None = None,
    loop: Loop = ONCE,
    catalogue: Catalogue | None = None,
    setup: energy.Setup | None = None,
    measured: Sequence[MeasuredRow] = (),
) -> Comparison:
    """Energy and time of one action of each network on each machine that can run it (scope system), and watts of systems.

    Args:
        profiles: name -> what `profile` counted, or counts of a file.
        machines: names of the catalogue (`spikeplan list machines`); all of them where not given.
        systems: names of shipped systems, or systems by name; all shipped ones where only a rate is given.
        rate_hz: actions a second, one or several; without it no system is priced.
        loop: how often an action calls the network.
        catalogue: another than the shipped one.
        measured: rows of `energy measure`; one of as many MACs on a machine is a row beside the modelled one.
        setup: chips, cores, share of the peak, this CPU's rates (the machine `cpu` is refused without).

    Raises UserError for an unknown machine or system, and where nothing can be priced.

    >>> print(compare({"mine": profile(net, inputs)}, ["orin_nano", "h100"]))
    """
    named = _named(profiles)
    if isinstance(machines, str) or isinstance(systems, str):
        name, one = ("machines", machines) if isinstance(machines, str) else ("systems", systems)
        raise UserError(f"compare: {name} is the text {one!r}; give a list: {name}=[{one!r}]")
    if machines is not None and not list(machines):
        raise UserError("compare: machines is empty; name at least one, or leave it out for all of them")
    if not isinstance(loop, Loop):
        raise UserError(f"compare: loop is {loop!r}; give a Loop, as in loop=Loop(candidates=64)")
    catalogue = catalogue or energy.default()
    devices = [catalogue.device(name) for name in (catalogue.devices if machines is None else machines)]
    rates = _rates(rate_hz)
    setup = setup or energy.Setup()
    if systems is not None and not rates:
        raise UserError("compare: systems draw power at a control rate; give rate_hz")
    refused: list[dict[str, str]] = []
    rows: list[dict[str, Any]] = []
    drawn: list[dict[str, Any]] = []
    asked = _systems(systems) if rates else {}
    for counted in named:
        by_schedule = counted.looped(loop)
        for schedule, priced in by_schedule.items():
            rows += on_machines(counted, schedule, priced, devices, loop, catalogue, setup, refused)
            rows += as_measured(counted, priced, devices, measured)
        for system in asked.values():
            for rate in rates:
                drawn += _in_system(counted, by_schedule, system, rate, catalogue, setup, refused)
    if not rows:
        raise UserError(f"compare: no machine can be priced; the first says: {refused[0]['reason']}")
    if rates and not drawn:
        why = next((one["reason"] for one in refused if one["machine"] in asked), "no system was named")
        raise UserError(f"compare: no system can be priced; the first says: {why}")
    return Comparison(rows, refused, drawn)


def _in_system(
    counted: Counted,
    by_schedule: Mapping[str, Sequence[CountRow]],
    system: System,
    rate: float,
    catalogue: Catalogue,
    setup: energy.Setup,
    refused: list[dict[str, str]],
) -> list[dict[str, Any]]:
    """One row, of the schedule that draws least; none where the system runs the other kind of network."""
    if (system.side == "spiking") != counted.spiking:
        return []
    found, why = [], ""
    for schedule, rows in by_schedule.items():
        try:
            drawn = draw_of(system, rows, counted.actions, rate_hz=rate, catalogue=catalogue, setup=setup)
        except UserError as error:
            why = str(error)
            continue
        found.append((drawn.watts.nominal, schedule, drawn))
    if not found:
        refused.append({"name": counted.name, "of": "system", "machine": system.name, "reason": why})
        return []
    _, schedule, drawn = min(found, key=lambda one: one[:2])
    return [
        {
            "name": counted.name,
            "system": system.name,
            "title": system.title,
            "side": system.side,
            "schedule": schedule,
            "rate_hz": rate,
            "watts": drawn.watts.nominal,
            "low": drawn.watts.low,
            "high": drawn.watts.high,
            "seconds": drawn.latency_s.nominal,
            "seconds_high": drawn.latency_s.high,
            "rests": sum(band.nominal for band in drawn.rests.values()),
            "by": {name: band.to_json() for name, band in drawn.by.items()},
        }
    ]


def _named(profiles: Mapping[str, Profile | Counted]) -> list[Counted]:
    if not isinstance(profiles, Mapping):
        raise UserError(
            f'compare: a {type(profiles).__name__} was given; name each profile: compare({{"mine": profile}})'
        )
    if not profiles:
        raise UserError("compare: no profile was given")
    found = []
    for name, one in profiles.items():
        if not isinstance(one, Profile | Counted):
            raise UserError(f"compare: {name!r} is a {type(one).__name__}; count it first: profile(network, inputs)")
        found.append(counted_profile(name, one) if isinstance(one, Profile) else one)
    return found


def _rates(rate_hz: float | Sequence[float] | None) -> tuple[float, ...]:
    rates = () if rate_hz is None else (rate_hz,) if isinstance(rate_hz, int | float | str) else tuple(rate_hz)
    for rate in rates:
        if isinstance(rate, bool) or not isinstance(rate, int | float):
            raise UserError(f"compare: rate_hz is {rate!r}; give actions a second as a number, or a list of them")
        check_rate(rate)
    return rates


def _systems(systems: Sequence[str] | Mapping[str, System] | None) -> dict[str, System]:
    return dict(systems) if isinstance(systems, Mapping) else pick_systems(systems)
