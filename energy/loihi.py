"""Spiking chips.

    Loihi 2   A  e_eq (S + AC + 10 (N_active + N_idle + restores))   hops and on-chip memory are inside e_eq
              C  + P_static chips t + e_step chips steps
    Loihi 1   A  e_syn (S + AC) + e_active (N_active + restores) + e_idle N_idle
              B  + e_message messages + e_hop hops; where hops are not known, the message within its tile only
              C  + P_static chips t
    time      Loihi 2: t = max(steps t_barrier, t_syn S / cores, t_upd N / cores) + host words / io_rate
              Loihi 1: t = steps t_barrier + max(t_syn S, t_upd N) / cores + host words / io_rate
              or, on either, a placement's + host words

S synops, N updates, AC additions of the distance, which a chip would do as synops. A step of Loihi 2 is over when its slowest
part is (arXiv 2601.10035 measured it so: synops, updates, links, barrier). Here `max` is over the sums of a run and the work is
spread evenly over `cores`, the least that hold the network (fit.py). Both are lower bounds on time, while cores=1 is the slowest
placement; a placement times every step. Several chips wait for t_barrier_chips.
Off-chip DRAM traffic has no figure for either chip, so a row that has some is refused.
Loihi 1 sends single bits: a graded message is refused unless assumed, and is then charged as one spike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spikeplan.core.counts.operations import CountRow, total
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Band, Device, Figure
from spikeplan.energy.charge import HOST_PHASES, Charge, Setup, Term, refuse_graded
from spikeplan.energy.fit import refuse_untimed, room


def split(device: Device, rows: Sequence[CountRow]) -> tuple[list[CountRow], list[CountRow]]:
    """Rows of a spiking method -> (what the chip runs, what its dense host runs)."""
    chip, host = [], []
    for row in rows:
        dense = row.phase == "encoder" or row.macs > 0
        if row.phase == "predictor" and (dense or row.schedule == "batched"):
            raise UserError(
                f"method '{row.method}', layer '{row.layer}': a dense predictor ({row.macs} MACs) does not run on "
                f"'{device.name}'; convert it, or choose a GPU, CPU or ASIC"
            )
        if not dense:
            chip.append(row)
            continue
        if row.phase not in HOST_PHASES:
            raise UserError(
                f"method '{row.method}', layer '{row.layer}': phase {row.phase!r} cannot be left on the host"
            )
        host.append(
            replace(
                row,
                synops=0,
                updates_active=0,
                updates_idle=0,
                state_restores=0,
                messages=0,
                message_bits=0,
                hops=None,
                chip_steps=0,
                host_words=0,
            )
        )
        chip.append(replace(row, macs=0, acs=0, weight_bytes=0, dram_bytes=0))
    if rows and not any(row.synops or row.updates for row in chip):
        raise UserError(f"method '{rows[0].method}': no spiking operations, nothing to run on '{device.name}'")
    return chip, host


def charge(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup, *, wait_s: float = 0.0) -> Charge:
    """Energy and time of a spiking method's chip rows, per action. `wait_s`: the chip stays on while the host computes."""
    if total(rows, "dram_bytes"):
        raise UserError(
            f"method '{rows[0].method}': '{device.name}' has no figure for DRAM; place the network on more chips"
        )
    operations, memory = (_loihi2 if device.kind == "loihi2" else _loihi1)(device, rows, actions, setup)
    if setup.time_s is None:
        refuse_untimed(device, rows)
        if not total(rows, "chip_steps"):
            operations += Term(notes=("no chip steps in the scope: time is a lower bound",))
    time = seconds(device, rows, actions, setup)
    on = time + Band(wait_s, wait_s, wait_s)
    chips = chips_on(device, rows, setup)
    standing = Term.of(static_figure(device, chips), on * chips) + stepping(device, rows, actions, setup)
    figures = ("t_barrier", "t_synop", "t_update", *(("t_link",) if setup.time_s is not None else ()))
    timing = {device.figure(name).evidence for name in figures if name in device.figures}
    standing = replace(standing, codes=standing.codes | (timing if setup.step_s is None else set()))
    if "io_rate" not in device.figures and total(rows, "host_words"):
        standing += Term(notes=("host words cost no time",))
    return Charge(operations=operations, memory=memory, standing=standing, latency_s=time.nominal)


def chips_on(device: Device, rows: Sequence[CountRow], setup: Setup) -> float:
    """A machine is on as a whole; it must hold the network all the same."""
    chips = room(device, rows, setup).chips
    return float(device.figure("chips").band.nominal) if "chips" in device.figures else chips


def static_figure(device: Device, chips: float) -> Figure:
    """Static power of each of so many chips. Machines of several were measured with the board and the links around them, which
    take more than the chips."""
    return device.figure("p_static_chips" if chips > 1 and "p_static_chips" in device.figures else "p_static")


def stepping(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup) -> Term:
    """What the chip steps of an action take on every chip; nothing where that is not known."""
    if "e_step" not in device.figures:
        return Term()
    return Term.of(device.figure("e_step"), chips_on(device, rows, setup) * total(rows, "chip_steps") / actions)


def _loihi2(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup) -> tuple[Term, Term]:
    return Term.of(device.figure("e_eq"), total(rows, "synop_equivalents") / actions), Term()


def _loihi1(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup) -> tuple[Term, Term]:
    notes = refuse_graded(device, rows, setup)
    operations = (
        Term.of(device.figure("e_synop"), (total(rows, "synops") + total(rows, "acs")) / actions)
        + Term.of(
            device.figure("e_update_active"), (total(rows, "updates_active") + total(rows, "state_restores")) / actions
        )
        + Term.of(device.figure("e_update_idle"), total(rows, "updates_idle") / actions)
        + Term(notes=notes)
    )
    memory = Term.of(device.figure("e_message"), total(rows, "messages") / actions)
    memory += Term.of(device.figure("e_hop"), sum(row.hops or 0 for row in rows) / actions)
    if any(row.messages and row.hops is None for row in rows):
        memory += Term(notes=("hops unknown: network on chip is a lower bound",))
    return operations, memory


def seconds(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup) -> Band:
    """Seconds an action that the chip computes and talks to its host."""
    steps = total(rows, "chip_steps") / actions
    words = total(rows, "host_words") / actions
    io = words / device.figure("io_rate").band.nominal if "io_rate" in device.figures else 0.0
    if setup.time_s is not None:
        return setup.time_s + Band(io, io, io)
    if setup.step_s is not None:
        at = steps * setup.step_s + io
        return Band(at, at, at)
    has = room(device, rows, setup)
    synops = device.figure("t_synop").band * ((total(rows, "synops") + total(rows, "acs")) / actions / has.cores)
    updates = device.figure("t_update").band * (total(rows, "updates") / actions / has.cores)
    work = Band(*map(np.maximum, synops.bounds(), updates.bounds()))
    barrier = "t_barrier_chips" if has.chips > 1 and "t_barrier_chips" in device.figures else "t_barrier"
    waiting = device.figure(barrier).band * steps
    if device.kind == "loihi2":
        return Band(*map(np.maximum, work.bounds(), waiting.bounds())) + Band(io, io, io)
    return waiting + work + Band(io, io, io)
