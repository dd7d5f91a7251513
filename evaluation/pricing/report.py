"""`spikeplan energy report`: everything that a reader needs to judge a run's energy, as one JSON value.

Read in this order: pairs (who is ahead at equal success, by how much, how sure), opponents (against whom), layers (why),
gpu and chips (what the totals are made of).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan import energy
from spikeplan.core.format import percent
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.uncertainty import PRIORS
from spikeplan.evaluation.iso_success import MARGIN
from spikeplan.evaluation.pricing.layers import axis_arms, break_even_rows, chip_rows, curve, gpu_rows, updates_share
from spikeplan.evaluation.pricing.opponents import SCHEDULE, best_device, cheapest_spiking, opponents
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP, copied, drawn, pairs
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import BATCHED, Arm, Energies, full_dense, headline, read_run

DRAWS = 2000
SEED = 0


def energy_report(
    folder: Path, catalogue: Catalogue, *, draws: int = DRAWS, rng: np.random.Generator | None = None
) -> dict[str, Any]:
    """Counts are simulated; nothing here is a measurement of a chip. `rng` draws the figures of the bands."""
    run = read_run(folder)
    pricing = Pricing(catalogue=catalogue, cpu=energy.measure_peak())
    rng = rng or np.random.default_rng(SEED)
    priors = drawn(catalogue, draws=draws, rng=rng)
    return {
        "report": "energy", "command": run.command, "ledger": "C", "scope": "loop", "draws": draws, "margin": MARGIN,
        "priors": list(PRIORS), "tasks": {
            task: _task(task, arms, run, pricing, priors) for task, arms in run.arms.items()
        },
    }  # fmt: skip


def _task(
    task: str, arms: Sequence[Arm], run: Energies, pricing: Pricing, priors: dict[str, Catalogue]
) -> dict[str, Any]:
    refused = Pricing(catalogue=pricing.catalogue, cpu=pricing.cpu)
    spiking = cheapest_spiking(arms, refused)
    full = full_dense(arms)
    rows = pairs(arms, refused, priors)
    dense = _dense_side(arms, refused)
    found = {
        "full_success": None if full is None else full.row["success"],
        "episodes": arms[0].row["episodes"],
        "arms": [_arm_row(arm) for arm in arms],
        "pairs": rows,
        "verdicts": [verdict_of(row) for row in rows if row["chip"] == MAIN_CHIP],
        "opponents": opponents(arms, refused),
        "layers": [row for arm in axis_arms(arms) for row in break_even_rows(arm, refused)],
        "gpu": gpu_rows(dense, refused),
        "chips": [] if spiking is None else chip_rows(spiking, refused),
        "dense": [row for arm in dense for row in chip_rows(arm, refused)],
        "update_share": None if spiking is None else updates_share(spiking, pricing),
        "placed": [row for row in run.placed if row["task"] == task],
        "curves": _curves(arms, refused),
        "refused": refused.refused,
    }
    return found


def _arm_row(arm: Arm) -> dict[str, Any]:
    return {
        "arm": arm.row["arm"], "budget": arm.row["budget"], "axis": arm.ledger.axis, "role": arm.row["role"],
        "success": arm.row["success"], "ci95": arm.row["ci95"], "precision": arm.ledger.precision,
        "equivalents": {schedule: arm.equivalents(schedule) for schedule in arm.schedules},
    }  # fmt: skip


def _dense_side(arms: Sequence[Arm], pricing: Pricing) -> list[Arm]:
    """The full planner in int8 (else whatever dense arm the run has) and, of equal success, the cheapest point."""
    full, int8 = full_dense(arms), headline(arms, "int8")
    found = [int8] if int8 is not None else [arm for arm in arms if not arm.spiking and arm.row["headline"]][:1]
    if full is None:
        return found
    level = full.row["success"] - MARGIN
    equal = [
        a for a in arms if a.row["role"] == "front" and a.family in ("dense", "full") and a.row["success"] >= level
    ]
    priced = [(best[1], i) for i, arm in enumerate(equal) if (best := best_device(arm, pricing))]
    cheapest = equal[min(priced)[1]] if priced else None
    return [*found, *([] if cheapest is None or cheapest in found else [cheapest])]


def drawable(arms: Sequence[Arm]) -> tuple[Arm, Arm] | None:
    """The same function spiking and dense, so that density alone moves: an arm and its own reading with every MAC."""
    spiking, dense = headline(arms, "delta"), headline(arms, "delta/full") or headline(arms, "int8")
    if (
        spiking is None
        or dense is None
        or not any(c.synops and c.dense_macs for _, c in spiking.ledger.counts("predictor"))
    ):
        return None
    return spiking, dense


def _curves(arms: Sequence[Arm], pricing: Pricing) -> list[dict[str, Any]]:
    pair = drawable(arms)
    if pair is None:
        return []
    spiking, dense = pricing.best_placement(pair[0], MAIN_CHIP, SCHEDULE), pair[1]
    devices = [name for name in pricing.dense if pricing.maybe(dense, name, BATCHED) is not None]
    return [curve(spiking, dense, pricing, chip=MAIN_CHIP, device=name) for name in devices]


def verdict_of(row: dict[str, Any]) -> str:
    """One sentence: device, who is ahead, how sure, and what would turn it."""
    chances = row["probability"]
    turning = [w["figure"] for w in row["swings"] if w["turns"]]
    waiting = row["probability_waiting"]
    return (
        f"{row['spiking_arm']} on {row['chip']}{copied(row)}, {row['schedule']}, against {row['dense_arm']} on {row['device']}: "
        f"{row['ahead']} ahead at nominal figures, spiking / dense = {row['ratio']:.3g} [{row['ratio_low']:.3g} .. "
        f"{row['ratio_high']:.3g}]; spikes win in {percent(chances[PRIORS[0]])} of the draws "
        f"({percent(min(chances.values()))} to {percent(max(chances.values()))} over priors"
        + (
            ""
            if waiting is None
            else f"; {percent(waiting)} where the GPU waits at idle power, for kernels or for the chip"
        )
        + ")"
        + (f"; turned by {', '.join(turning)} alone" if turning else "; turned by no figure alone")
    )
