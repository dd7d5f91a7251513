"""What a system draws when it acts f times a second.

    P = sum over machines of  f E_busy + P_rest (1 - f t_busy);    at most busy all the time

    GPU       E, t   low: at its peaks; nominal: it waits between dependent kernels at idle power; high: it waits at full power
              P_rest p_idle; it has no sleep here
    NPU       E, t   as measured;  P_rest p_rest (sleep), or what it draws at work (idle);  waking takes t_wake at the power that
                     it draws at work
    Loihi 2   E = operations and steps, P_rest = p_static, all the time: a chip that waits draws its static power and nothing else
The host of a chip encodes, then rests while the chip plans. Units: W, s, J; bands are low, nominal, high of the constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import dense, loihi
from spikeplan.energy.catalogue import ZERO, Band, Catalogue, Device
from spikeplan.energy.charge import Setup
from spikeplan.energy.systems.files import Part, System


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Mean power and time of an action; `by`: each machine's part of the watts; `rests`: what it draws between actions."""

    watts: Band
    latency_s: Band
    by: dict[str, Band]
    rests: dict[str, Band]


@dataclass(frozen=True)
class _Busy:
    joules: Band
    busy_s: Band  # in which it does not draw `rest_W`
    takes_s: Band
    rest_W: Band


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

    Raises UserError for a machine without a needed figure, for rows that a machine cannot run, and for a rate that the plan
    cannot meet.

    >>> draw_of(load_systems()["orin"], rows, actions, rate_hz=10, catalogue=default()).watts.nominal
    """
    if not 0 < rate_hz < 1e9:
        raise UserError(f"rate {rate_hz:g} Hz: give actions a second, above 0")
    setup = setup or Setup()
    planner = catalogue.device(system.planner.device)
    parts: dict[str, _Busy] = {}
    if system.side == "spiking":
        chip_rows, host_rows = loihi.split(planner, rows)
        left = [row for row in host_rows if row.macs or row.acs]
        parts[planner.name] = _chip(planner, chip_rows, actions, setup)
        if left and system.host is None:
            phases = ", ".join(sorted({row.phase for row in left}))
            raise UserError(f"system {system.name}: nothing runs {phases}; add a machine that encodes")
        if system.host is not None:
            host = catalogue.device(system.host.device)
            parts[host.name] = _machine(system.host, host, left, actions)
    else:
        parts[planner.name] = _machine(system.planner, planner, rows, actions)
    takes = sum((part.takes_s for part in parts.values()), ZERO)
    if rate_hz * takes.nominal > 1:
        raise UserError(
            f"system {system.name}: an action takes {takes.nominal * 1e3:.3g} ms, more than a period at {rate_hz:g} Hz; lower "
            "the rate or plan less"
        )
    by = {name: _mean(part, rate_hz) for name, part in parts.items()}
    return Drawn(
        watts=sum(by.values(), ZERO),
        latency_s=takes,
        by=by,
        rests={name: part.rest_W for name, part in parts.items()},
    )


def _mean(part: _Busy, rate_hz: float) -> Band:
    watts = []
    for joules, busy, rest in zip(part.joules.bounds(), part.busy_s.bounds(), part.rest_W.bounds(), strict=True):
        share = rate_hz * busy
        watts.append(rate_hz * joules / max(1.0, share) + rest * max(0.0, 1 - share))
    return Band(*watts)


def _chip(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup) -> _Busy:
    """Static power runs all the time, so no second of it is taken out."""
    found = loihi.charge(device, rows, actions, setup)
    joules = found.operations.band + found.memory.band + loihi.stepping(device, rows, actions, setup).band
    rest = device.figure("p_static").band * loihi.chips_on(device, rows, setup)
    return _Busy(joules, ZERO, loihi.seconds(device, rows, actions, setup), rest)


def _machine(part: Part, device: Device, rows: Sequence[CountRow], actions: int) -> _Busy:
    """A dense machine. Without rows it rests all the time."""
    if device.kind == "npu":
        return _npu(part, device, rows, actions)
    if device.kind != "gpu":
        raise UserError(f"machine '{device.name}': a {device.kind} has no states to rest in here; name a GPU or an NPU")
    if part.rest == "sleep":
        raise UserError(f"machine '{device.name}': no sleep state is known of it; write rest = \"idle\"")
    rest = device.figure("p_idle").band
    if not rows:
        return _Busy(ZERO, ZERO, ZERO, rest)
    charge = dense.charge(device, rows, actions, Setup(), None)
    whole = (charge.operations + charge.memory + charge.standing).band
    bound = dense.launch_bound(device, rows, actions)
    if bound is None or bound.idle_j is None:
        raise UserError(f"machine '{device.name}': p_idle and t_launch are needed; give them in --devices FILE")
    joules = Band(whole.low, bound.idle_j.nominal, bound.full_j.high)
    at = device.figure("power").band
    time = Band(whole.low / at.low, bound.latency_s.nominal, bound.latency_s.high)
    return _Busy(joules, time, time, rest)


def _npu(part: Part, device: Device, rows: Sequence[CountRow], actions: int) -> _Busy:
    done = dense.charge(device, rows, actions, Setup(), None).operations.band if rows else ZERO
    macs = sum(row.macs + row.acs for row in rows) / actions
    time = device.figure("t_mac").band * macs
    pairs = zip(device.figure("e_mac").band.bounds(), device.figure("t_mac").band.bounds(), strict=True)
    at_work = Band(*(joules / seconds for joules, seconds in pairs))  # W; both bands are of one measurement
    if part.rest != "sleep":
        return _Busy(done, time, time, at_work)
    waking = device.figure("t_wake").band if rows and "t_wake" in device.figures else ZERO
    return _Busy(done + at_work * waking, time + waking, time + waking, device.figure("p_rest").band)
