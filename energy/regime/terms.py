"""What of a machine's watts or Joules is largest.

chip     static    power of the chips that are on, and of whatever rests beside them
         synops | updates | steps
dense    rest      between actions
         macs | weights (fetched beyond what the operations take) | launches (waiting for the next kernel)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spikeplan.core.counts.operations import UPDATE_WEIGHT, CountRow, total
from spikeplan.energy import dense, loihi
from spikeplan.energy.charge import Setup
from spikeplan.energy.schema import Device
from spikeplan.energy.systems import Drawn


def chip_term(device: Device, rows: Sequence[CountRow], setup: Setup, rate_hz: float | None, whole: float) -> str:
    """Of `whole`: watts at a rate, or J of an action where there is none. What operations and steps leave is static."""
    e_eq, times = device.figure("e_eq").band.nominal, 1.0 if rate_hz is None else rate_hz
    parts = {
        "synops": e_eq * total(rows, "synops") * times,
        "updates": e_eq * UPDATE_WEIGHT * total(rows, "updates") * times,
        "steps": loihi.stepping(device, rows, 1, setup).band.nominal * times,
    }
    return _largest({**parts, "static": whole - sum(parts.values())})


def dense_term(device: Device, rows: Sequence[CountRow], rate_hz: float, drawn: Drawn) -> str:
    whole = float(drawn.watts.nominal)
    charge = dense.charge(device, rows, 1, Setup(), None)
    parts = {
        "macs": rate_hz * float((charge.operations + charge.standing).band.nominal),
        "weights": rate_hz * float(charge.memory.band.nominal),
    }
    bound = dense.launch_bound(device, rows, 1)
    if bound is not None and bound.idle_j is not None:
        busy = sum(float(term.band.nominal) for term in (charge.operations, charge.memory, charge.standing))
        parts["launches"] = rate_hz * (float(bound.idle_j.nominal) - busy)
    return _largest({**parts, "rest": whole - sum(parts.values())})


def _largest(parts: Mapping[str, float]) -> str:
    return max(parts, key=lambda name: parts[name])
