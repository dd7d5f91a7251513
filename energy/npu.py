"""A microcontroller's NPU, by what whole networks took on it: nothing is taken apart.

    A  MAC e_mac      B = A, C = A: the measured energy holds memory and static power while it works
    time  t = MAC t_mac

e_mac and t_mac are bands between a network that uses each weight once and one that uses it many times. An addition counts as a
MAC. Weights must fit the chip, and arithmetic is int8: anything else is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from spikeplan.core.counts.operations import BYTES, CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy.charge import Charge, Setup, Term
from spikeplan.energy.schema import Device

PRECISION = "int8"


def charge(device: Device, rows: Sequence[CountRow], actions: int, setup: Setup) -> Charge:
    """Energy and time of dense rows, per action. Raises UserError for other precisions and for weights that do not fit."""
    stored = {
        (row.phase, row.layer): (row.weight_bytes or 0) * BYTES[PRECISION] / BYTES.get(row.precision, BYTES[PRECISION])
        for row in rows
    }
    weights = sum(stored.values())
    if "memory" in device.figures and weights > device.figure("memory").band.nominal:
        room = device.figure("memory").band.nominal
        raise UserError(
            f"method '{rows[0].method}': {weights:,.0f} bytes of weights do not fit the {room:,.0f} of '{device.name}'; take a "
            "smaller network or another machine"
        )
    for row in rows:
        precision = setup.assume_precision or row.precision
        if (row.macs or row.acs) and precision != PRECISION:
            raise UserError(
                f"method '{row.method}', layer '{row.layer}': '{device.name}' computes in {PRECISION}, the row is {precision}; "
                f'quantise it, or pass assume_precision="{PRECISION}"'
            )
    done = sum(row.macs + row.acs for row in rows) / actions
    operations = Term.of(device.figure("e_mac"), done)
    time = device.figure("t_mac").band * done
    return Charge(operations=operations, memory=Term(), standing=Term(), latency_s=time.nominal)
