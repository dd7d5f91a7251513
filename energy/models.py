"""From ledger rows to Joules per action, on one device, in one of three ledgers.

    A  operations only        B  + memory traffic and network on chip        C  + static power x time, I/O, host

A verdict is read from ledger C. Every figure comes from `devices.toml` and every estimate carries low, nominal and high
with the evidence codes of the figures in it. Counts come from a simulation: nothing here is a measurement of a chip.

Spiking rows run on chips of kind loihi1, loihi2, event and datasheet, dense rows on GPU, CPU and ASIC. A spiking arm whose
loop holds dense MACs (the encoder) has them charged on `Setup.host_device`, and the chip's static power runs on meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeplan.core.counts.ledger import LedgerRow
from spikeplan.core.errors import UserError
from spikeplan.energy import dense, event, loihi
from spikeplan.energy.catalogue import Catalogue, Device, default
from spikeplan.energy.charge import Charge, Setup, Term

CHARGE = {"loihi1": loihi.charge, "loihi2": loihi.charge, "event": event.charge, "datasheet": event.charge}
LEDGERS = ("A", "B", "C")
SCOPES = ("predictor", "loop")


@dataclass(frozen=True, kw_only=True)
class Energy:
    """An estimate (pinned contract). `evidence`: codes of the figures used, then what a reader must know."""

    device: str
    arm: str
    ledger: str
    scope: str
    low: float
    nominal: float
    high: float
    unit: str = "J/action"
    evidence: str
    latency_s: float | None


def estimate(
    device: str | Device,
    rows: Sequence[LedgerRow],
    actions: int,
    *,
    ledger: str,
    scope: str,
    batch: int | None = None,
    setup: Setup | None = None,
    catalogue: Catalogue | None = None,
) -> Energy:
    """Energy of one arm per action. `rows` are sums over `actions`; `batch` None: all CEM samples share a weight read.

    scope "predictor" keeps the predictor's rows, "loop" keeps all of them.
    """
    setup = setup or Setup()
    catalogue = catalogue or default()
    if isinstance(device, str):
        device = catalogue.device(device)
    if ledger not in LEDGERS:
        raise UserError(f"ledger {ledger!r} is unknown; use one of {', '.join(LEDGERS)}")
    if actions <= 0 or (batch is not None and batch <= 0):
        raise UserError(f"{actions} actions in batches of {batch}: both must be > 0")
    kept, arm = _select(rows, scope)
    charge = _charge(device, kept, actions, setup, batch, catalogue)
    terms = {"A": (charge.operations,), "B": (charge.operations, charge.memory)}
    parts = terms.get(ledger, (charge.operations, charge.memory, charge.standing))
    whole = sum(parts, Term())
    return Energy(
        device=device.name, arm=arm, ledger=ledger, scope=scope, low=whole.band.low, nominal=whole.band.nominal,
        high=whole.band.high, evidence="; ".join([",".join(sorted(whole.codes)), "simulated counts", *whole.notes]),
        latency_s=charge.latency_s,
    )  # fmt: skip


def _select(rows: Sequence[LedgerRow], scope: str) -> tuple[list[LedgerRow], str]:
    if scope not in SCOPES:
        raise UserError(f"scope {scope!r} is unknown; use one of {', '.join(SCOPES)}")
    kept = [row for row in rows if scope == "loop" or row.phase == "predictor"]
    if not kept:
        raise UserError(f"no ledger rows in scope {scope!r}; run the arm before its energy is estimated")
    arms, schedules = {row.arm for row in kept}, {row.schedule for row in kept if row.phase == "predictor"}
    if len(arms) > 1 or len(schedules) > 1:
        raise UserError(
            f"rows of arms {', '.join(sorted(arms))} in schedules {', '.join(sorted(schedules))}: "
            "estimate one arm in one schedule at a time"
        )
    return kept, arms.pop()


def _charge(
    device: Device, rows: Sequence[LedgerRow], actions: int, setup: Setup, batch: int | None, catalogue: Catalogue
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
