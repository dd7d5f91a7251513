"""The ratios that the page, the terminal and a notebook open with: computed here, once, for all three.

A finding compares the cheapest point of each side that reaches the level. On the chip that is the cheapest placement, with the
encoder on the opponent's device, so both sides pay the same encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spikeplan import energy as catalogue
from spikeplan.evaluation.iso_success import Comparison
from spikeplan.evaluation.ratio import BandOf, CostBand, RatioInterval, counted, ratio_interval
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import FrontRow, PointEnergy
from spikeplan.evaluation.verdict import CHIP, DENSE_DEVICES, on_chip
from spikeplan.experiments.report.front import comparisons

SEED = 0  # of the draws behind an interval


@dataclass(frozen=True, kw_only=True)
class Finding:
    """`device`: the opponent's, "" where operations are compared. `dense`, `spiking`: the cost of each side's point."""

    device: str
    points: Comparison[FrontRow]
    dense: CostBand | None
    spiking: CostBand | None
    interval: RatioInterval | None  # None: one side has no point

    @property
    def replicas(self) -> int | None:
        """Of the planning loop on the chip, in the spiking side's placement."""
        if not self.device or self.points.spiking is None:
            return None
        point = on_chip(self.points.spiking, self.device)
        return None if point is None else point.replicas

    @property
    def turns_s(self) -> float | None:
        """Time of an action on the opponent's device, at its power, from which the spiking side takes less."""
        if not self.device or self.points.spiking_cost is None:
            return None
        return self.points.spiking_cost / catalogue.default().device(self.device).figure("power").band.nominal


def operations(results: Results, task: str) -> Finding | None:
    """Synop-equivalents an action, against networks trained to run densely."""
    what = "synop-equivalents, networks trained to run densely"
    return _finding(results, task, what, "", ("dense",), counted, counted)


def energies(results: Results, task: str) -> list[Finding]:
    """Joules an action, scope system, against each dense device of the verdict."""
    asked = [
        _finding(
            results,
            task,
            f"{CHIP} against {device}, scope system nominal",
            device,
            ("dense", "dense_replay"),
            _dense_band(device),
            chip_band(device),
        )
        for device in DENSE_DEVICES
    ]
    return [one for one in asked if one is not None]


def cheapest_opponent(findings: list[Finding]) -> Finding | None:
    """Against the device on which the dense side takes least."""
    priced = [one for one in findings if one.points.dense_cost is not None]
    return min(priced, key=lambda one: one.points.dense_cost or 0.0, default=next(iter(findings), None))


def _finding(
    results: Results, task: str, what: str, device: str, against: tuple[str, ...], dense: BandOf, spiking: BandOf
) -> Finding | None:
    points = next((c for c in comparisons(results, task) if c.what == what), None)
    if points is None:
        return None
    sure = None
    if points.ratio is not None:
        rng = np.random.default_rng(SEED)
        full = results.task(task).dense
        sure = ratio_interval(results.front(task), against=against, dense=dense, spiking=spiking, rng=rng, full=full)
    return Finding(
        device=device,
        points=points,
        dense=None if points.dense is None else dense(points.dense),
        spiking=None if points.spiking is None else spiking(points.spiking),
        interval=sure,
    )


def _dense_band(device: str) -> BandOf:
    return lambda row: _bounds(row.joules.get(device))


def chip_band(host: str) -> BandOf:
    """Of a spiking point on the chip, with the encoder on the opponent's device."""
    return lambda row: _bounds(on_chip(row, host))


def _bounds(point: PointEnergy | None) -> CostBand | None:
    return None if point is None else (point.low, point.nominal, point.high)
