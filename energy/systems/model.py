"""What a system draws when it acts f times a second.

    P = sum over machines of  r E + P_rest (1 - r t)      r: pieces of work a second, f where each action waits for it
    E >= P_rest t                                         at work a machine draws at least what it draws at rest
    J an action above rest = sum of (E - P_rest t) / n    over machines that work for each nth action

    GPU       E, t   low: at its peaks; nominal: it waits between dependent kernels at idle power; high: it waits at full power
    NPU       E, t   as measured
    sensor    E, t   p_active t_frame; one that rests in state `active` is always on and takes nothing more
    Loihi 2   E = operations and steps, P_rest = p_static, all the time: a chip that waits draws its static power and nothing else
    events    an event encoder's operations and steps on the planning chip, and its dense passes on the host, in every second

P_rest is of the state that the system file names (states.py). A machine that sleeps or is off takes its waking with every piece
of work. What runs by the clock (events, and a machine with `hz`) draws the same whether the system acts or not, and is part of
what it draws at rest. What each action waits for makes its latency; a machine that works more rarely has its own period.

Bands are low, nominal, high of the constants. Those that move against each other are taken so: more of Loihi 2's measured watts
as static power leave less for its steps, so low static power goes with the high step energy. A machine's band is the range
over these three readings. Units: W, s, J.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import loihi
from spikeplan.energy.catalogue import ZERO, Band, Catalogue
from spikeplan.energy.charge import Setup
from spikeplan.energy.systems.files import Part, System, check_rate
from spikeplan.energy.systems.work import Work, chip_work, machine_work, mean_watts, sensor_work


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Mean power and time of an action.

    `by`: each machine's part of the watts; `rests`: what it draws where the system does not act; `takes`: the time of a piece of
    its work, waking included; `action_J`: what an action takes above that. Watts are rests + rate x action_J at nominal figures.
    """

    watts: Band
    latency_s: Band
    action_J: Band
    by: dict[str, Band]
    rests: dict[str, Band]
    takes: dict[str, Band]


@dataclass(frozen=True, kw_only=True)
class Works:
    """What each machine of a system does for an action, whatever the rate. Figures may be arrays of draws: then so is all that
    is asked of it.

    >>> works_of(load_systems()["orin"], rows, actions, catalogue=default()).at(10).watts.nominal
    """

    system: System
    parts: dict[Part, Work]

    @property
    def takes(self) -> Band:
        """Seconds that an action waits."""
        waits = (work.takes_s for part, work in self.parts.items() if part.each_action and part.does != "sense")
        return sum(waits, ZERO)

    def by(self, rate_hz: float) -> dict[str, Band]:
        """Mean watts of each machine. One that works more often than it can is busy all the time."""
        return {part.device: _ordered(mean_watts(work, part.works_hz(rate_hz))) for part, work in self.parts.items()}

    def keeps(self, rate_hz: float) -> Any:
        """Whether every machine is done in time, at nominal figures: a bool, or one a draw."""
        late = [part.works_hz(rate_hz) * work.takes_s.nominal for part, work in self.parts.items()]
        return np.less_equal(np.maximum.reduce(np.broadcast_arrays(rate_hz * self.takes.nominal, *late)), 1)

    def at(self, rate_hz: float) -> Drawn:
        """Watts and time at a control rate. Raises UserError for a rate that the plan cannot meet."""
        name, takes = self.system.name, self.takes
        check_rate(rate_hz)
        if rate_hz * np.median(takes.nominal) > 1:
            raise UserError(
                f"system {name}: an action takes {np.median(takes.nominal) * 1e3:.3g} ms, more than a period at "
                f"{rate_hz:g} Hz; lower the rate or plan less"
            )
        for part, work in self.parts.items():
            if part.works_hz(rate_hz) * np.median(work.takes_s.nominal) + work.steady_busy > 1:
                raise UserError(
                    f"system {name}: '{part.device}' works {part.works_hz(rate_hz):g} times a second and takes "
                    f"{np.median(work.takes_s.nominal) * 1e3:.3g} ms; let it work more rarely, or rest in a state that it wakes "
                    "from sooner"
                )
        by, pieces = self.by(rate_hz), self.parts.items()
        return Drawn(
            watts=sum(by.values(), ZERO),
            latency_s=takes,
            action_J=sum((_above(work) * (1 / part.every) for part, work in pieces if part.hz is None), ZERO),
            by=by,
            rests={
                part.device: by[part.device] if part.hz is not None else _ordered(work.rest_W + work.steady_W)
                for part, work in pieces
            },
            takes={part.device: work.takes_s for part, work in pieces},
        )


def draw_of(
    system: System,
    rows: Sequence[CountRow],
    actions: int,
    *,
    rate_hz: float,
    catalogue: Catalogue,
    setup: Setup | None = None,
) -> Drawn:
    """Watts of a system that plans so at a control rate.

    Args:
        rows: operation counts of one method in one schedule, summed over `actions`.
        rate_hz: actions a second.
        setup: placement of a spiking method; one chip, a core a layer without it.

    Raises UserError for a machine without a needed state or figure, for rows that a machine cannot run, and for a rate that the
    plan cannot meet.

    >>> draw_of(load_systems()["orin"], rows, actions, rate_hz=10, catalogue=default()).watts.nominal
    """
    return works_of(system, rows, actions, catalogue=catalogue, setup=setup).at(rate_hz)


def works_of(
    system: System,
    rows: Sequence[CountRow],
    actions: int,
    *,
    catalogue: Catalogue,
    setup: Setup | None = None,
) -> Works:
    """As `draw_of`, for all control rates: what a system does for an action depends on none."""
    setup = setup or Setup()
    parts: dict[Part, Work] = {}
    if system.side == "spiking":
        planner = catalogue.device(system.planner.device)
        chip_rows, host_rows = loihi.split(planner, rows)
        left = [row for row in host_rows if row.macs or row.acs]
        parts[system.planner] = chip_work(system.planner, planner, chip_rows, actions, setup, system.events)
        if left and system.host is None:
            phases = ", ".join(sorted({row.phase for row in left}))
            raise UserError(f"system {system.name}: nothing runs {phases}; add a machine that encodes")
        if system.host is not None:
            parts[system.host] = machine_work(system.host, catalogue, left, actions, system.events)
    else:
        parts[system.planner] = machine_work(system.planner, catalogue, rows, actions, system.events)
    for sensor in system.sensors:
        parts[sensor] = sensor_work(sensor, catalogue.machine(sensor.device))
    return Works(system=system, parts=parts)


def _above(work: Work) -> Band:
    """J of a piece of work above rest. How deep a machine sleeps says nothing about its work, so either bound goes with each."""
    pairs = list(zip(work.joules.bounds(), work.busy_s.bounds(), strict=True))
    least, most = ([joules - rest * busy for joules, busy in pairs] for rest in (work.rest_W.high, work.rest_W.low))
    nominal = work.joules.nominal - work.rest_W.nominal * work.busy_s.nominal
    found = (np.minimum.reduce(least), nominal, np.maximum.reduce(most))
    return Band(*(np.maximum(0.0, joules) for joules in found))


def _ordered(readings: Band) -> Band:
    """The range over three readings of the constants."""
    low, nominal, high = readings.bounds()
    return Band(
        np.minimum(np.minimum(low, high), nominal),
        nominal,
        np.maximum(np.maximum(low, high), nominal),
    )
