"""Placements of 1 to 64 replicas of the planning loop on one Loihi 2, stored as operation counts so that time and energy can be
recomputed with other constants.

A chip has room for many replicas of so small a network, and it draws its static power whether they work or not: replicas save
time. Their cost is charged: every placed neuron updates in every chip step, also while no candidate is in its layer and while
candidates are selected (row `waiting`), and the loop's own parts do synops (row `parts`). Left out: replicas in lock step wait
for the busiest of them (traffic is a mean), and latent and goal are sent to each. Several chips are left out too, since their
static power outweighs the time saved (`spikeplan place --sweep` has them), and so are references that look at the mean
candidate: every replica would compute it, and no count says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from spikeplan.core.chips import LOIHI2
from spikeplan.core.counts.operations import CountRow
from spikeplan.energy.catalogue import Band, Device
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.traffic import Traffic
from spikeplan.placement.load import Load
from spikeplan.placement.timing import SCHEDULES

DEVICE = LOIHI2.name
REPLICAS = (1, 2, 4, 8, 16, 32, 64)
SPREADS = (1, 2, 4)  # times the least number of cores
FIGURES = ("t_synop", "t_update", "t_link", "t_barrier")


@dataclass(frozen=True, kw_only=True)
class StoredPlacement:
    """One placement of one or more replicas, as counts. `synops` and, by schedule, `waiting` updates are an action's and come
    on top of the run's operation counts."""

    replicas: int
    spread: int
    cores: int
    synops: float
    waiting: dict[str, float]
    load: dict[str, Load]

    def __post_init__(self) -> None:
        if self.load.keys() != set(SCHEDULES) or self.waiting.keys() != set(SCHEDULES):
            raise ValueError("a placement without both schedules")
        if min(self.replicas, self.spread, self.cores) < 1:
            raise ValueError("a placement of no replicas or on no cores")
        for count in (self.synops, *self.waiting.values()):
            if not 0 <= count < math.inf:
                raise ValueError(f"{count!r} operations in a placement")

    def rows(self, rows: Sequence[CountRow], actions: int, schedule: str) -> list[CountRow]:
        """The method's rows with what the placement adds; the source makes the candidates on the chip."""
        kept = [row for row in rows if row.layer != "candidates"]
        blank = CountRow(
            method=rows[0].method,
            phase="predictor",
            layer="waiting",
            reference=rows[0].reference,
            schedule=schedule,
            precision=rows[0].precision,
        )
        return [
            *kept,
            replace(blank, phase="evaluation", layer="parts", synops=round(self.synops * actions)),
            replace(blank, updates_idle=round(self.waiting[schedule] * actions)),
        ]

    def time_s(self, device: Device, schedule: str) -> Band:
        """Seconds an action."""
        bands = [device.figure(name).band for name in FIGURES]
        bounds = zip(*(band.bounds() for band in bands), strict=True)
        return Band(*(self.load[schedule].seconds(*figures) for figures in bounds))


def placements_of(traffic: Traffic) -> list[StoredPlacement]:
    """Every placement of `REPLICAS` and `SPREADS` that one chip holds."""
    planner = traffic.planner
    placements: list[StoredPlacement] = []
    if traffic.own_passes:
        return placements
    for replicas in sorted({min(n, planner.samples) for n in REPLICAS}):
        for spread in SPREADS:
            one = placed(traffic, LOIHI2, replicas=replicas, spread=spread, extent="loop")
            if one.found.broken or one.found.chips > 1:
                continue
            clock = one.clocks["nominal"]
            placements.append(
                StoredPlacement(
                    replicas=replicas,
                    spread=spread,
                    cores=one.found.cores,
                    synops=one.parts_synops,
                    waiting={s: one.waiting(one.rows(s), s) / traffic.spiking.actions for s in SCHEDULES},
                    load={s: clock.load(planner, s) for s in SCHEDULES},
                )
            )
    return placements
