"""Replicas and spread against time, chips and energy: the trade-off of a placement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from spikeplan import energy
from spikeplan.core.chips import ChipLimits
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.evaluation.placed_energy import BOUNDS, Placed, placed
from spikeplan.evaluation.traffic import Traffic
from spikeplan.placement.objective import Choice, choose
from spikeplan.placement.place import TooManyCores
from spikeplan.placement.timing import SCHEDULES

SPREADS = (1, 2, 4, 8, 16)


def replicas_of(samples: int) -> list[int]:
    """1, 2, 4 ... and as many as there are candidates."""
    return sorted({*(1 << i for i in range(samples.bit_length()) if 1 << i <= samples), samples})


def grid(
    traffic: Traffic,
    chip: ChipLimits,
    spreads: tuple[int, ...],
    *,
    catalogue: energy.Catalogue | None = None,
    host_selects: bool = False,
    on_progress: OnProgress = no_progress,
) -> list[Placed]:
    """Placements that hold every limit; the whole loop where the chip takes it. Too large for any machine: left out."""
    extent = "loop" if chip.graded_messages else "predictor"
    found: list[Placed] = []
    asked = [(replicas, spread) for replicas in replicas_of(traffic.planner.samples) for spread in spreads]
    for number, (replicas, spread) in enumerate(asked):
        on_progress(number, len(asked))
        try:
            one = placed(
                traffic,
                chip,
                replicas=replicas,
                spread=spread,
                extent=extent,
                catalogue=catalogue,
                host_selects=host_selects,
            )
        except TooManyCores:
            continue
        found += [] if one.found.broken else [one]
    on_progress(len(asked), len(asked))
    return found


def best_time(one: Placed) -> float:
    return min(one.times[schedule]["nominal"].action_s for schedule in SCHEDULES)


def best_joules(one: Placed) -> float:
    return min(float(one.energy(schedule)["nominal"]) for schedule in SCHEDULES)


def search(
    traffic: Traffic,
    chip: ChipLimits,
    *,
    objective: str,
    chips: int,
    seconds: float | None = None,
    catalogue: energy.Catalogue | None = None,
    host_selects: bool = False,
    on_progress: OnProgress = no_progress,
) -> Choice[Placed] | str:
    """Replicas and spreads within so many chips, the best of the objective first; where there are none, a sentence that says so.

    `seconds`: an action's; where none is that fast, the fastest, and a sentence in `missed`.
    """
    found = grid(traffic, chip, SPREADS, catalogue=catalogue, host_selects=host_selects, on_progress=on_progress)
    within = [one for one in found if one.found.chips <= chips]
    if not within:
        return f"no placement holds the limits of {chip.name} within {chips} chip(s)"
    choice = choose(
        within,
        objective,
        time_s=best_time,
        energy_j=best_joules,
        within_s=seconds,
        what=f"within {chips} chip(s) plans an action",
    )
    more = "; allow more chips or fewer candidates"
    return choice if choice.missed is None else replace(choice, missed=choice.missed + more)


def sweep_rows(
    traffic: Traffic,
    chip: ChipLimits,
    *,
    spreads: tuple[int, ...],
    catalogue: energy.Catalogue | None = None,
    host_selects: bool = False,
    on_progress: OnProgress = no_progress,
) -> list[dict[str, Any]]:
    """A row a placement; `front`: no other takes as few cores and less time."""
    found = grid(
        traffic,
        chip,
        spreads,
        catalogue=catalogue,
        host_selects=host_selects,
        on_progress=lambda done, total: on_progress(done, 2 * total),
    )
    points = [(one.found.cores, best_time(one)) for one in found]
    rows = []
    for number, (one, (cores, time)) in enumerate(zip(found, points, strict=True), 1):
        beaten = any(c <= cores and t <= time and (c, t) != (cores, time) for c, t in points)
        row: dict[str, Any] = {
            "replicas": one.found.replicas,
            "spread": one.found.spread,
            "cores": cores,
            "chips": one.found.chips,
            "chips_at_80_percent": one.found.chips_at_80,
            "extent": one.extent,
            "front": not beaten,
        }
        for schedule in SCHEDULES:
            joules = one.energy(schedule)
            row[schedule] = {
                "action_s": {b: one.times[schedule][b].action_s for b in BOUNDS},
                "energy": {b: joules[b] for b in BOUNDS},
                "without_static": joules["without_static"],
            }
        rows.append(row)
        on_progress(len(found) + number, 2 * len(found))
    return rows
