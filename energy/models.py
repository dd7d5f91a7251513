"""From operation counts rows to Joules per action, on one device, in one of three counts_files.

    compute  operations only     chip  + memory traffic and network on chip     system  + static power x time, I/O, host

A verdict is read from scope system. Every figure comes from `devices/` and every estimate carries low, nominal and high
with the evidence codes of the figures in it. Counts come from a simulation: nothing here is a measurement of a chip.

Spiking rows run on chips of kind loihi1, loihi2, event and datasheet, dense rows on GPU, CPU and ASIC. A spiking method whose
loop holds dense MACs (the encoder) has them charged on `Setup.host_device`, and the chip's static power runs on meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy import dense, event, loihi
from spikeplan.energy.catalogue import Catalogue, Device, default
from spikeplan.energy.charge import Charge, Setup, Term

CHARGE = {"loihi1": loihi.charge, "loihi2": loihi.charge, "event": event.charge, "datasheet": event.charge}
SCOPES = ("compute", "chip", "system")
EXTENTS = ("predictor", "loop")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """An estimate in J per action: low, nominal, high. `evidence`: codes of the figures used, then what a reader must know.

    >>> found = estimate("loihi2", rows, actions, scope="system", extent="loop")
    >>> found.nominal, found.unit
    """

    device: str
    method: str
    scope: str
    extent: str
    low: float
    nominal: float
    high: float
    unit: str = "J/action"
    evidence: str
    latency_s: float | None


def estimate(
    device: str | Device,
    rows: Sequence[CountRow],
    actions: int,
    *,
    scope: str,
    extent: str,
    batch: int | None = None,
    setup: Setup | None = None,
    catalogue: Catalogue | None = None,
) -> Energy:
    """Energy of one method per action, in J, on one machine.

    Args:
        device: a name of the catalogue, or a `Device`.
        rows: operation counts of one method in one schedule, summed over `actions`.
        actions: how many actions the counts are of.
        scope: "compute" has the operations, "chip" memory and network too, "system" also static power, host and I/O.
        extent: "predictor" keeps the predictor's rows, "loop" keeps all of them.
        batch: CEM samples that share a read of the weights; None: all of them.
        setup: chips, cores, times, the host; one chip and one core by default.
        catalogue: another than `default()`.

    Raises UserError for an unknown device or scope, for rows that the device cannot run, and for a figure that is missing.

    >>> rows = op_counts.rows("interleaved")
    >>> estimate("loihi2", rows, op_counts.actions, scope="system", extent="loop").nominal
    """
    setup = setup or Setup()
    catalogue = catalogue or default()
    if isinstance(device, str):
        device = catalogue.device(device)
    if scope not in SCOPES:
        raise UserError(f"scope {scope!r} is unknown; use one of {', '.join(SCOPES)}")
    if not 0 < actions < math.inf or (batch is not None and not 0 < batch < math.inf):
        raise UserError(f"{actions} actions in batches of {batch}: both must be > 0")
    kept, method = _select(rows, extent)
    charge = _charge(device, kept, actions, setup, batch, catalogue)
    terms = {"compute": (charge.operations,), "chip": (charge.operations, charge.memory)}
    parts = terms.get(scope, (charge.operations, charge.memory, charge.standing))
    whole = sum(parts, Term())
    return Energy(
        device=device.name,
        method=method,
        scope=scope,
        extent=extent,
        low=whole.band.low,
        nominal=whole.band.nominal,
        high=whole.band.high,
        evidence="; ".join([",".join(sorted(whole.codes)), "simulated counts", *whole.notes]),
        latency_s=charge.latency_s,
    )


def _select(rows: Sequence[CountRow], extent: str) -> tuple[list[CountRow], str]:
    if extent not in EXTENTS:
        raise UserError(f"extent {extent!r} is unknown; use one of {', '.join(EXTENTS)}")
    kept = [row for row in rows if extent == "loop" or row.phase == "predictor"]
    if not kept:
        raise UserError(f"no operation counts in extent {extent!r}; run the method before its energy is estimated")
    methods, schedules = {row.method for row in kept}, {row.schedule for row in kept if row.phase == "predictor"}
    if len(methods) > 1 or len(schedules) > 1:
        raise UserError(
            f"rows of methods {', '.join(sorted(methods))} in schedules {', '.join(sorted(schedules))}: "
            "estimate one method in one schedule at a time"
        )
    references = {row.reference for row in kept if row.phase == "predictor"}
    if len(references) > 1:
        raise UserError(f"rows of references {', '.join(sorted(references))}: a method runs on one; price them apart")
    if not any(row.macs or row.acs or row.synops or row.updates or row.dram_bytes for row in kept):
        raise UserError(f"method '{kept[0].method}': no operations in its rows, so there is nothing to price")
    return kept, methods.pop()


def _charge(
    device: Device, rows: Sequence[CountRow], actions: int, setup: Setup, batch: int | None, catalogue: Catalogue
) -> Charge:
    if not device.spiking:
        return dense.charge(device, rows, actions, setup, batch)
    chip_rows, host_rows = loihi.split(device, rows)
    if not any(row.macs or row.acs for row in host_rows):
        return CHARGE[device.kind](device, chip_rows, actions, setup)
    host_device = catalogue.device(setup.host_device)
    if host_device.spiking:
        raise UserError(f"host device '{host_device.name}' is a spiking chip; dense phases need a GPU, CPU or ASIC")
    host = dense.charge(host_device, host_rows, actions, setup, batch)
    chip = CHARGE[device.kind](
        device, chip_rows, actions, setup, wait_s=0.0 if host.latency_s is None else host.latency_s
    )
    phases = ", ".join(sorted({row.phase for row in host_rows}))
    both = chip + host
    return Charge(
        operations=both.operations + Term(notes=(f"{phases} on {host_device.name}",)),
        memory=both.memory,
        standing=both.standing,
        latency_s=both.latency_s,
    )
