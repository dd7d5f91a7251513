"""Which constant turns the order of two systems, and which would have to be measured to decide it, in order of worth.

Sensitivity moves one quantity at a time to its ends, correlated figures together, at the plans that are cheapest at nominal
figures. Worth asks the draws: how much of the variance of ln(ratio) goes with a quantity, and in how many draws the order is
called rightly by who knows it (energy/worth.py). Success of the plans is one of the quantities: more episodes would tell it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeplan.energy.catalogue import Catalogue, Figure
from spikeplan.energy.systems import Works
from spikeplan.energy.uncertainty import at_ends, quantities, swings
from spikeplan.energy.worth import Reals, binned, resolution, right, right_now, variance_share
from spikeplan.evaluation.pricing.sure import BETWEEN, Plans, Sample

EPISODES = "success of the plans"
SHIFTS = 20  # other constants that each draw of episodes is paired with, to tell the two apart
MAIN = slice(0, 1)  # the first prior
STANDING = {
    BETWEEN: ("assumed", "at its peaks, waiting at idle power, or at full power between kernels"),
    EPISODES: ("simulated", "episodes of this run; more of them would tell"),
}


def sensitivity_row(ours: Plans, other: Plans, catalogue: Catalogue) -> dict[str, Any]:
    """Ratio of watts, spiking over dense, with each quantity at both of its ends; widest first."""
    known = _quantities(ours, other, catalogue)
    names = list(known)
    ends = at_ends(catalogue, names)
    spiking, dense = (_readings(one.price(ends), one.rate_hz, 1 + 2 * len(names)) for one in (ours, other))
    ratios = spiking[1] / dense[1]
    between = (spiking[[0, 2], 0] / dense[[0, 2], 0])[None]
    found = swings([*names, BETWEEN], float(ratios[0]), np.vstack([ratios[1:].reshape(-1, 2), between]))
    return {
        **_pair(ours, other),
        "ratio": float(ratios[0]),
        "sensitivity": [
            {
                "figure": swing.figure,
                "moves": _moves(known.get(swing.figure, [])),
                "at_low": swing.at_low,
                "at_high": swing.at_high,
                "turns": swing.turns,
            }
            for swing in found
        ],
    }


def _readings(works: Works, rate_hz: float, size: int) -> Reals:
    """Watts (3, size) of a GPU at its peaks, waiting at idle and at full power."""
    bands = list(works.by(rate_hz).values())
    return np.array(
        [sum(np.broadcast_to(band.bounds()[reading], (size,)) for band in bands) for reading in range(3)], np.float64
    )


def decide_row(ours: Plans, other: Plans, catalogue: Catalogue, drawn: Sample) -> dict[str, Any]:
    """Quantities by their worth; those without any are left out. Over the draws in which both systems have a plan."""
    ratios = np.log(_ratio(ours, other, 0))
    held = np.isfinite(ratios)
    known: dict[str, list[tuple[str, Figure]]] = {**_quantities(ours, other, catalogue), BETWEEN: []}
    tables = {name: binned(drawn.at[name][held], ratios[held]) for name in known} if held.sum() > 1 else {}
    # Shifts without a pattern: with neighbouring ones two rows would share nearly all of their constants.
    shifts = np.random.default_rng(0).permutation(drawn.draws)[:SHIFTS]
    again = np.log([_ratio(ours, other, int(shift)) for shift in shifts]).T
    again = again[np.isfinite(again).all(1)]
    if len(again) > 1:
        tables[EPISODES] = again
    now = right_now(ratios[held]) if held.any() else None
    rows: list[dict[str, Any]] = []
    for name, table in tables.items():
        share, called = variance_share(table), right(table)
        evidence, source = STANDING.get(name, ("", ""))
        figures = known.get(name, [])
        if share < resolution(table):
            continue
        rows.append(
            {
                "what": name,
                "moves": _moves(figures),
                "variance_share": share,
                "right_if_known": max(called, now or 0.0),
                "evidence": evidence or " ".join(dict.fromkeys(figure.evidence for _, figure in figures)),
                "source": source or "; ".join(dict.fromkeys(figure.source for _, figure in figures)),
            }
        )
    # A percent of the draws is what they resolve; below it the variance decides.
    rows.sort(key=lambda row: (-round(row["right_if_known"], 2), -row["variance_share"]))
    return {**_pair(ours, other), "right_now": now, "worth": rows}


def _ratio(ours: Plans, other: Plans, shift: int) -> Reals:
    """Of a draw of episodes with the constants of the draw that many places off (N,); NaN where a system has no plan."""
    spiking, dense = (one.least(shift, MAIN)[0] for one in (ours, other))
    both = np.isfinite(spiking) & np.isfinite(dense)
    return np.asarray(np.where(both, spiking, np.nan) / np.where(both, dense, np.nan))


def _quantities(ours: Plans, other: Plans, catalogue: Catalogue) -> dict[str, list[tuple[str, Figure]]]:
    """Those of the machines of both systems, with their figures in them."""
    machines = {part.device for one in (ours, other) for part in one.system.parts}
    found = {name: [one for one in figures if one[0] in machines] for name, figures in quantities(catalogue).items()}
    return {name: figures for name, figures in found.items() if figures}


def _moves(figures: Sequence[tuple[str, Figure]]) -> list[str]:
    """`machine.figure`, those that move the other way with a minus."""
    return [f"{'-' if figure.opposed else ''}{machine}.{figure.name}" for machine, figure in figures]


def _pair(ours: Plans, other: Plans) -> dict[str, Any]:
    return {
        "rate_hz": ours.rate_hz,
        "spiking": ours.system.name,
        "dense": other.system.name,
        "spiking_method": ours.best,
        "dense_method": other.best,
    }
