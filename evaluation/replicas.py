"""Copies of a method's whole loop on one Loihi 2, kept by a run as counts, so that time and energy follow any catalogue.

A chip has room for many copies of so small a network, and its static power is drawn whether they work or not: time is what
copies save. What they cost is charged: every placed neuron updates in every chip step, while no candidate is in its layer and
while candidates are selected (row `waiting`), and the loop's own parts do synops (row `parts`). Left out: that copies work in
lock step on unlike candidates, so that the busiest of them sets a step (traffic is a mean), and sending latent and goal to each.
More chips than one are no options: their static power outweighs the time (`spikeplan place --sweep` has them). Axes that look at
the mean candidate are none either: every copy would pass it, which no operation counts counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spikeplan.core.chips import LOIHI2
from spikeplan.core.counts.operations import CountRow
from spikeplan.energy.catalogue import Band, Device
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.traffic import Traffic
from spikeplan.placement.timing import SCHEDULES, Load

DEVICE = LOIHI2.name
REPLICAS = (1, 2, 4, 8, 16, 32, 64)
COLUMNS = ("steps", "synops", "synops_sent", "fixed", "messages", "messages_sent")
SPREADS = (1, 2, 4)  # times the least number of cores
FIGURES = ("t_synop", "t_update", "t_link", "t_barrier")


@dataclass(frozen=True, kw_only=True)
class Copies:
    """One placement. `synops` and, by schedule, `waiting` updates are an action's, beside those of the op_counts."""

    replicas: int
    spread: int
    cores: int
    synops: float
    waiting: dict[str, float]
    load: dict[str, Load]

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

    @property
    def told(self) -> dict[str, int]:
        """As results name it."""
        return {"copies": self.replicas, "spread": self.spread, "cores": self.cores}

    def dump(self) -> dict[str, Any]:
        return {
            "replicas": self.replicas,
            "spread": self.spread,
            "cores": self.cores,
            "synops": self.synops,
            "waiting": self.waiting,
            "load": {
                schedule: {**{name: getattr(load, f"{name}_J").tolist() for name in COLUMNS}, "updates": load.updates}
                for schedule, load in self.load.items()
            },
        }

    @classmethod
    def read(cls, dumped: dict[str, Any]) -> Copies:
        """What `dump` wrote, or a ValueError, KeyError or TypeError."""
        load = {
            schedule: Load(
                **{f"{name}_J": np.array([_count(x) for x in dumped["load"][schedule][name]]) for name in COLUMNS},
                updates=_whole(dumped["load"][schedule]["updates"]),
            )
            for schedule in SCHEDULES
        }
        counts = {name: _whole(dumped[name]) for name in ("replicas", "spread", "cores")}
        waiting = {schedule: _count(dumped["waiting"][schedule]) for schedule in SCHEDULES}
        return cls(**counts, synops=_count(dumped["synops"]), waiting=waiting, load=load)


def _count(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r:.40} in a placement")
    return float(value)


def _whole(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"{value!r:.40} in a placement")
    return value


def copies_of(traffic: Traffic) -> list[Copies]:
    """Every placement of `REPLICAS` and `SPREADS` that one chip holds."""
    planner = traffic.planner
    found: list[Copies] = []
    if traffic.own_passes:
        return found
    for replicas in sorted({min(n, planner.samples) for n in REPLICAS}):
        for spread in SPREADS:
            one = placed(traffic, LOIHI2, replicas=replicas, spread=spread, extent="loop")
            if one.found.broken or one.found.chips > 1:
                continue
            clock = one.clocks["nominal"]
            found.append(
                Copies(
                    replicas=replicas,
                    spread=spread,
                    cores=one.found.cores,
                    synops=one.parts_synops,
                    waiting={s: one.waiting(one.rows(s), s) / traffic.spiking.actions for s in SCHEDULES},
                    load={s: clock.load(planner, s) for s in SCHEDULES},
                )
            )
    return found
