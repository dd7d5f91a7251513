"""How many chips and neurocores a network takes, read from its operation counts; and what was never counted.

A layer of the predictor takes the cores that its weights and states, or its neurons, fill, one at least; layers share no core. A
chip that nobody described (core/chips) holds any network: its figures say nothing about room. A placement (Setup.time_s) or
Setup.chips decides instead; more cores than the chips have are refused.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from spikeplan.core.chips import CHIPS, ChipLimits
from spikeplan.core.counts.operations import CountRow, total
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import default
from spikeplan.energy.charge import Setup
from spikeplan.energy.schema import Device

LARGEST = "hala_point"  # the largest machine there is


@dataclass(frozen=True)
class Room:
    """What a network is given: so many chips, and cores that share its work evenly."""

    chips: int
    cores: int


def limits_of(device: Device) -> ChipLimits | None:
    """The chip by its own name, else the chip that its model is of."""
    for name in (device.name, device.kind):
        if name in CHIPS:
            return CHIPS[name]
    return None


def room(device: Device, rows: Sequence[CountRow], setup: Setup) -> Room:
    """Chips and cores of a spiking network.

    Raises UserError where weight bytes were never given, and for a network that the chips do not hold.

    >>> room(default().device("loihi2"), rows, Setup()).chips
    1
    """
    limits = limits_of(device)
    if limits is None or setup.time_s is not None:
        return Room(setup.chips or 1, setup.cores or 1)
    layers = _layers(rows)
    uncounted = [layer for layer, of_layer in layers.items() if any(row.weight_bytes is None for row in of_layer)]
    if uncounted and (setup.chips is None or setup.cores is None):
        raise UserError(
            f"method '{rows[0].method}', layer '{uncounted[0]}': weight bytes were never given, so nobody knows how many cores "
            f"of '{device.name}' it takes; state weight_bytes, or the chips and cores it is placed on"
        )
    if setup.cores is not None and setup.chips is not None and setup.cores > setup.chips * limits.cores:
        raise UserError(
            f"{setup.cores:,} cores: {setup.chips} of '{device.name}' have {setup.chips * limits.cores:,}; give "
            "fewer, or more chips"
        )
    steps = total(rows, "chip_steps")
    least = sum(_cores(of_layer, limits, steps) for of_layer in layers.values())
    machine = device if "chips" in device.figures else default().device(LARGEST)
    most = setup.chips or round(machine.figure("chips").band.nominal)
    chips = -(-max(least, setup.cores or 0) // limits.cores)
    if chips > most:
        what = f"{most} chip{'s' if most > 1 else ''} of '{device.name}'"
        raise UserError(
            f"method '{rows[0].method}': weights and states fill {least:,} cores, {what} have {most * limits.cores:,}; "
            "take a smaller network or more chips"
        )
    return Room(setup.chips or chips or 1, setup.cores or least or 1)


def _layers(rows: Sequence[CountRow]) -> dict[str, list[CountRow]]:
    found: dict[str, list[CountRow]] = {}
    for row in rows:
        takes = row.updates or row.weight_bytes or (row.synops and row.weight_bytes is None)
        if row.phase == "predictor" and takes:
            found.setdefault(row.layer, []).append(row)
    return found


def _cores(rows: Sequence[CountRow], limits: ChipLimits, steps: float) -> int:
    """Every neuron updates once a chip step, so updates tell how many there are."""
    stored = max((row.weight_bytes or 0) + row.state_bytes for row in rows)
    neurons = total(rows, "updates") / steps if steps else 0
    return max(1, -(-stored // limits.core_memory_bytes), math.ceil(neurons / limits.neurons_per_core))


def refuse_uncounted(device: Device, rows: Sequence[CountRow]) -> None:
    """A dense layer whose weights nobody counted would be read for nothing. Raises UserError by the layer's name."""
    for row in rows:
        if row.macs and row.weight_bytes is None:
            raise UserError(
                f"method '{row.method}', layer '{row.layer}': weight bytes were never given, and '{device.name}' reads them; "
                "state weight_bytes (0 for a product of two activations)"
            )


def refuse_untimed(device: Device, rows: Sequence[CountRow]) -> None:
    """Without chip steps a spiking network would take no time. Raises UserError."""
    if rows and all(row.chip_steps is None for row in rows):
        raise UserError(
            f"method '{rows[0].method}': chip steps were never given, so its time on '{device.name}' is not known; state "
            "chip_steps, or the time of a placement"
        )
