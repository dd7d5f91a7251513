"""What one machine of a system does for an action: Joules, seconds, and what it draws at rest (model.py has the formulas)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spikeplan.core.counts.operations import UPDATE_WEIGHT, CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import dense, loihi
from spikeplan.energy.catalogue import ZERO, Band, Catalogue, Device
from spikeplan.energy.charge import Setup
from spikeplan.energy.systems.files import Events, Part
from spikeplan.energy.systems.states import waking, watts_in


@dataclass(frozen=True)
class Work:
    """One machine. The bounds of its bands are one reading of the constants each, and belong together."""

    joules: Band
    busy_s: Band  # in which it does not draw `rest_W`
    takes_s: Band
    rest_W: Band
    steady_W: Band = ZERO  # beside rest and work, in every second
    steady_busy: float = 0.0  # share of a second that this takes of the machine


def mean_watts(work: Work, works_hz: float) -> Band:
    """At most busy all the time, and never less at work than at rest: so watts never fall with the rate."""
    watts = []
    for joules, busy, rest, steady in zip(
        work.joules.bounds(), work.busy_s.bounds(), work.rest_W.bounds(), work.steady_W.bounds(), strict=True
    ):
        share = works_hz * busy
        at_work = works_hz * np.maximum(joules, rest * busy) / np.maximum(1.0, share)
        watts.append(at_work + rest * np.maximum(0.0, 1 - share) + steady)
    return Band(*watts)


def chip_work(
    part: Part, device: Device, rows: Sequence[CountRow], actions: int, setup: Setup, events: Events | None
) -> Work:
    """Static power runs all the time where the chip stays on, so no second of it is taken out. One that sleeps between actions
    draws it while it works and wakes."""
    found = loihi.charge(device, rows, actions, setup)
    chips = loihi.chips_on(device, rows, setup)
    steps = _against(device, loihi.stepping(device, rows, actions, setup).band)
    steady = ZERO
    if events is not None:
        equivalents = events.synops + UPDATE_WEIGHT * events.updates
        each_step = _against(device, device.figure("e_step").band)
        steady = device.figure("e_eq").band * equivalents + each_step * (events.steps * chips)
    share = 0.0 if events is None else _busy_with(events, device)
    joules = found.operations.band + found.memory.band + steps
    static, time = chips_at_rest(device, chips), loihi.seconds(device, rows, actions, setup)
    if part.rest == "idle":
        return Work(joules, ZERO, time, static, steady, share)
    rest, (e_waking, t_waking) = watts_in(device, part.rest) * chips, waking(device, part.rest)
    busy = time + t_waking
    return Work(joules + static * time + e_waking * chips, busy, busy, rest, steady, share)


def chips_at_rest(device: Device, chips: float) -> Band:
    """Watts of so many chips that are on and wait: p_idle where the file has it, else their static power."""
    idle = watts_in(device, "idle") if "p_idle" in device.figures else loihi.static_figure(device, chips).band
    return idle * chips


def _busy_with(events: Events, device: Device) -> float:
    """Of a second, on one core: a step lasts as its slowest part. Raises UserError for more than a second of work."""
    parts = (
        events.steps * device.figure("t_barrier").band.nominal,
        events.synops * device.figure("t_synop").band.nominal,
        events.updates * device.figure("t_update").band.nominal,
    )
    share = float(np.median(max(parts, key=np.median)))
    if share > 1:
        raise UserError(
            f"events: {share:.3g} s of work a second for '{device.name}'; give fewer synops, updates or steps a second"
        )
    return share


def _against(device: Device, steps: Band) -> Band:
    """In the reading with low static power, steps took more, where both are of one measured total."""
    if "e_step" in device.figures and device.figure("e_step").opposed == device.figure("p_static").shared != "":
        return Band(steps.high, steps.nominal, steps.low)
    return steps


def sensor_work(part: Part, device: Device) -> Work:
    rest = watts_in(device, part.rest)
    if part.rest == "active":
        return Work(ZERO, ZERO, ZERO, rest)
    e_waking, t_waking = waking(device, part.rest)
    frame = device.figure("t_frame").band
    busy = frame + t_waking
    return Work(watts_in(device, "active") * frame + e_waking, busy, busy, rest)


def machine_work(
    part: Part,
    catalogue: Catalogue,
    rows: Sequence[CountRow],
    actions: int,
    events: Events | None = None,
) -> Work:
    """A dense machine. Without rows it rests all the time, but for an event encoder's passes."""
    device = catalogue.device(part.device)
    if device.kind not in ("gpu", "npu"):
        raise UserError(f"machine '{device.name}': a {device.kind} has no states to rest in here; name a GPU or an NPU")
    rest = watts_in(device, part.rest)

    def work(rows: Sequence[CountRow], actions: int) -> Work:
        e_waking, t_waking = waking(device, part.rest)
        joules, busy = (_npu if device.kind == "npu" else _gpu)(device, rows, actions)
        return Work(joules + e_waking, busy + t_waking, busy + t_waking, rest)

    steady = ZERO
    if events is not None and events.macs:
        passes = mean_watts(work([_pass(events)], 1), events.hz)
        steady = Band(*(one - other for one, other in zip(passes.bounds(), rest.bounds(), strict=True)))
    if rows:
        done = work(rows, actions)
    else:  # a host without a row still wakes to send what the chip plans with, and to read the action
        e_waking, t_waking = waking(device, part.rest) if part.does == "encode" and part.each_action else (ZERO, ZERO)
        done = Work(e_waking, t_waking, t_waking, rest)
    return replace(done, steady_W=steady)


def _pass(events: Events) -> CountRow:
    """Every weight is used once."""
    macs = round(events.macs / events.hz)
    return CountRow(
        method="events",
        phase="events",
        layer="dense",
        reference="zero",
        schedule="batched",
        precision="int8",
        macs=macs,
        weight_bytes=macs,
    )


def _gpu(device: Device, rows: Sequence[CountRow], actions: int) -> tuple[Band, Band]:
    charge = dense.charge(device, rows, actions, Setup(), None)
    whole = (charge.operations + charge.memory + charge.standing).band
    bound = dense.launch_bound(device, rows, actions)
    if bound is None or bound.idle_j is None:
        raise UserError(f"machine '{device.name}': p_idle and t_launch are needed; give them in --devices FILE")
    at = device.figure("power").band
    joules = Band(whole.low, bound.idle_j.nominal, bound.full_j.high)
    return joules, Band(whole.low / at.low, bound.latency_s.nominal, bound.latency_s.high)


def _npu(device: Device, rows: Sequence[CountRow], actions: int) -> tuple[Band, Band]:
    done = dense.charge(device, rows, actions, Setup(), None).operations.band
    macs = sum(row.macs + row.acs for row in rows) / actions
    return done, device.figure("t_mac").band * macs
