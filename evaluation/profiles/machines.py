"""Rows of a comparison, one a network, schedule and machine: Joules of an action in all three scopes, and what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from spikeplan import energy
from spikeplan.core.counts.operations import CountRow, per_action
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Catalogue, Device
from spikeplan.energy.measured import MeasuredRow
from spikeplan.energy.measured_prices import price, same_plan
from spikeplan.evaluation.profiles.counted import Counted
from spikeplan.evaluation.profiles.loop import Loop

# marks of a machine's row: no such machine; rates that no small network reaches; parts unknown; above idle
HYPOTHETICAL, BOUND, LOWER, MEASURED = "hypothetical", "bound", "at least", "measured"


def on_machines(
    counted: Counted,
    schedule: str,
    rows: Sequence[CountRow],
    devices: Sequence[Device],
    loop: Loop,
    catalogue: Catalogue,
    setup: energy.Setup,
    refused: list[dict[str, str]],
) -> list[dict[str, Any]]:
    found = []
    for device in devices:
        here = replace(setup, assume_graded=setup.assume_graded or not device.graded_messages)
        try:
            compute, chip, whole = (
                energy.estimate(
                    device,
                    rows,
                    counted.actions,
                    scope=scope,
                    extent="loop",
                    batch=loop.batch,
                    setup=here,
                    catalogue=catalogue,
                )
                for scope in energy.SCOPES
            )
        except UserError as error:
            refused.append({"name": counted.name, "of": "machine", "machine": device.name, "reason": str(error)})
            continue
        scopes = {"compute": compute.nominal, "chip": chip.nominal}
        found.append(_row(counted, rows, whole, mark=_mark(device, whole.evidence), schedule=schedule, scopes=scopes))
    return found


def _row(
    counted: Counted,
    rows: Sequence[CountRow],
    whole: energy.Energy,
    *,
    mark: str,
    schedule: str,
    scopes: Mapping[str, float],
) -> dict[str, Any]:
    """`scopes`: J of the smaller ones, where they are known."""
    return {
        "name": counted.name,
        "file": counted.where,
        "machine": whole.device,
        "mark": mark,
        "schedule": schedule,
        "compute": scopes.get("compute"),
        "chip": scopes.get("chip"),
        "joules": whole.nominal,
        "low": whole.low,
        "high": whole.high,
        "seconds": whole.latency_s,
        "equivalents": per_action(rows, counted.actions),
        "evidence": whole.evidence,
    }


def _mark(device: Device, evidence: str) -> str:
    """What a reader must know of the figure."""
    if device.hypothetical:
        return HYPOTHETICAL
    if device.kind == "gpu":
        return BOUND
    return LOWER if "lower bound" in evidence else ""


def as_measured(
    counted: Counted, rows: Sequence[CountRow], devices: Sequence[Device], measured: Sequence[MeasuredRow]
) -> list[dict[str, Any]]:
    """The same plan where somebody measured it: J above idle."""
    macs = sum(row.macs for row in rows if row.phase == "predictor") / counted.actions
    found = []
    for device in devices:
        for row in same_plan(measured, device, macs) if macs else ():
            if row.told:
                whole, schedule = price(row, device=device.name), f"measured, {row.way} {row.precision}"
                found.append(_row(counted, rows, whole, mark=MEASURED, schedule=schedule, scopes={}))
    return found
