"""A point of the map: a predictor of so many weights that plans with so many candidates, as operation counts of both sides.

    dense     iterations x horizon x layers rows: all candidates share a read of the weights, a kernel each
    spiking   synops = density x MACs;   updates = placed neurons x chip steps, also of those that wait

L = P / W^2 layers of W x W weights in 8 bits. Widths lie between those of networks of these sizes: 256 at 82 KB, 700 at 1 MB,
1024 at 10 MB, 2048 at 100 MB. Distance and selection are left out on both sides.

A chip holds as many replicas as candidates and cores allow. They take turns over the candidates, one prediction a chip step each
(the interleaved schedule). With fewer candidates a replica than layers the pipe is partly empty, since a rollout is a recurrence.
Then a rollout step takes as many chip steps as there are layers, and in each only some of the cores have messages to work on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import CountRow
from spikeplan.core.errors import UserError
from spikeplan.energy.band import Band
from spikeplan.energy.charge import Setup
from spikeplan.energy.fit import limits_of
from spikeplan.energy.schema import Device

SIZES = (82e3, 1e6, 10e6, 100e6, 1e9)  # bytes of weights
WIDTHS = (256, 700, 1024, 2048, 4096)
STATE_BYTES = 6  # sigma and its reference, in 24 bits


@dataclass(frozen=True, kw_only=True)
class Point:
    """Raises UserError for numbers below 1."""

    weight_bytes: int
    candidates: int
    iterations: int = 4
    horizon: int = 12

    def __post_init__(self) -> None:
        for name in ("weight_bytes", "candidates", "iterations", "horizon"):
            if not getattr(self, name) >= 1:
                raise UserError(f"map: {name} is {getattr(self, name)}; give numbers of 1 and more")

    @property
    def width(self) -> int:
        """Interpolated in logarithms; the same beyond both ends."""
        return round(float(np.exp(np.interp(np.log(self.weight_bytes), np.log(SIZES), np.log(WIDTHS)))))

    @property
    def layers(self) -> int:
        return max(1, round(self.weight_bytes / self.width**2))

    @property
    def neurons(self) -> int:
        return max(1, round(self.weight_bytes / self.width))

    @property
    def predictions(self) -> int:
        """An action's."""
        return self.candidates * self.iterations * self.horizon

    @property
    def macs(self) -> int:
        return self.weight_bytes * self.predictions


def dense_rows(point: Point) -> list[CountRow]:
    """Of one action, int8."""
    each = point.weight_bytes // point.layers
    return [
        CountRow(
            method="dense",
            phase="predictor",
            layer=f"h{layer}",
            reference="zero",
            schedule="batched",
            iteration=iteration,
            rollout_step=step,
            precision="int8",
            macs=each * point.candidates,
            weight_bytes=each,
            state_reads=point.width * point.candidates,
            state_writes=point.width * point.candidates,
        )
        for iteration in range(point.iterations)
        for step in range(point.horizon)
        for layer in range(point.layers)
    ]


@dataclass(frozen=True)
class Placed:
    """`cores` share the work; each of `replicas` makes a prediction a chip step."""

    chips: int
    cores: int
    replicas: int


def placed(point: Point, chip: ChipLimits) -> Placed:
    """As many replicas as the chips hold that one network needs, then each layer spread over the cores that are left."""
    stored = -(-(point.weight_bytes + STATE_BYTES * point.neurons) // point.layers)
    least = point.layers * max(1, -(-stored // chip.core_memory_bytes))
    chips = -(-least // chip.cores)
    replicas = max(1, min(point.candidates, chips * chip.cores // least))
    spread = max(1, chips * chip.cores // (replicas * least))
    return Placed(chips, replicas * least * spread, replicas)


def spiking_rows(point: Point, density: float, device: Device) -> tuple[list[CountRow], Setup]:
    """Of one action at a density, where the network lies on this chip, and how long that takes. One row: its model only sums.

    Raises UserError for a chip whose limits are not known.
    """
    limits = limits_of(device)
    if limits is None:
        raise UserError(f"map: nobody described how much a core of '{device.name}' holds; give a chip with --plugin")
    at = placed(point, limits)
    turns = -(-point.candidates // at.replicas)
    steps = point.iterations * point.horizon * max(turns, point.layers)
    synops = density * point.macs
    row = CountRow(
        method="spiking",
        phase="predictor",
        layer="h",
        reference="zero",
        schedule="interleaved",
        precision="int8",
        synops=synops,  # type: ignore[arg-type]  # counts may be means
        updates_idle=point.neurons * at.replicas * steps,
        weight_bytes=point.weight_bytes,
        state_bytes=STATE_BYTES * point.neurons,
        chip_steps=steps,
        dense_macs=point.macs,
    )
    working = at.cores * min(1.0, turns / point.layers)  # of the cores, in a step
    return [row], Setup(chips=at.chips, cores=at.cores, time_s=_time(device, at, synops / working, row, steps))


def _time(device: Device, at: Placed, synops: float, row: CountRow, steps: int) -> Band:
    """`synops`: of a core that works, over all steps. A step is as long as its slowest part."""
    barrier = "t_barrier_chips" if at.chips > 1 and "t_barrier_chips" in device.figures else "t_barrier"
    parts = (
        device.figure("t_synop").band * synops,
        device.figure("t_update").band * (row.updates_idle / at.cores),
        device.figure(barrier).band * steps,
    )
    return Band(*(max(bounds) for bounds in zip(*(part.bounds() for part in parts), strict=True)))
