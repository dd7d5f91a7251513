"""Chips known by the energy of a synaptic operation alone, and a chip known by a power alone.

    event       A  e_syn (S + AC) + e_upd (N + restores)      B = A, nothing more is published      C  + P_static t
    datasheet   C  P t, with t the seconds of an action; A and B are nothing: a power cannot be taken apart

t = chip steps x t_step + host words at no cost, or `Setup(time_s)`. What the catalogue does not have is left out and said;
what the model cannot do without (Speck's e_syn, Akida's t) is refused with what to supply.
"""

from __future__ import annotations

from collections.abc import Sequence

from spikeplan.core.counts.operations import CountRow, total
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import ZERO, Band, Device
from spikeplan.energy.charge import Charge, Setup, Term, refuse_graded


def charge(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup, *, wait_s: float = 0.0) -> Charge:
    """Energy and time of a spiking method's chip rows, per action. `wait_s`: the chip stays on while the host computes."""
    if device.kind == "event":
        device.figure("e_synop")  # what nobody published is refused before what this method sends
    notes = refuse_graded(device, rows, setup)
    if total(rows, "dram_bytes"):
        raise UserError(
            f"method '{rows[0].method}': '{device.name}' has no figure for DRAM; place the network on more chips"
        )
    if device.kind == "datasheet":
        return _datasheet(device, setup, notes, wait_s)
    synops = (total(rows, "synops") + total(rows, "acs")) / actions
    updates = (total(rows, "updates") + total(rows, "state_restores")) / actions
    operations = Term.of(device.figure("e_synop"), synops) + Term(notes=notes)
    if "e_update" in device.figures:
        operations += Term.of(device.figure("e_update"), updates)
    elif updates:
        operations += Term(notes=(f"updates not charged: {device.unavailable.get('e_update', 'no figure')}",))
    time = _time(device, rows, actions, setup)
    standing = Term()
    if "p_static" not in device.figures:
        standing = Term(notes=("static power unknown: a lower bound",))
    elif time is None:
        standing = Term(notes=("time unknown, static power not charged: a lower bound",))
    else:
        standing = Term.of(device.figure("p_static"), (time + Band(wait_s, wait_s, wait_s)) * (setup.chips or 1))
    return Charge(
        operations=operations, memory=Term(), standing=standing, latency_s=None if time is None else time.nominal
    )


def _datasheet(device: Device, setup: Setup, notes: tuple[str, ...], wait_s: float) -> Charge:
    time = setup.time_s or device.figure("t_action").band
    standing = Term.of(device.figure("power"), time + Band(wait_s, wait_s, wait_s))
    more = (*notes, "a datasheet's power x time: no operation is charged by itself")
    return Charge(operations=Term(notes=more), memory=Term(), standing=standing, latency_s=time.nominal)


def _time(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup) -> Band | None:
    if setup.time_s is not None:
        return setup.time_s
    steps = total(rows, "chip_steps") / actions
    if setup.step_s is not None:
        return Band(setup.step_s, setup.step_s, setup.step_s) * steps
    if "t_step" in device.figures and steps:
        return device.figure("t_step").band * steps
    return None if steps or not rows else ZERO
