"""`spikeplan energy report`: everything that a reader needs to judge a run's energy, as one JSON value.

Read in this order: pairs (who is ahead at equal success, by how much, how sure), opponents (against whom), layers (why),
gpu and chips (what the totals are made of).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan import energy
from spikeplan.core.format import percent
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.measured import MeasuredRow
from spikeplan.energy.uncertainty import PRIORS
from spikeplan.evaluation.iso_success import MARGIN
from spikeplan.evaluation.pricing.layers import (
    break_even_rows,
    chip_rows,
    curve,
    gpu_rows,
    reference_methods,
    updates_share,
)
from spikeplan.evaluation.pricing.opponents import SCHEDULE, best_device, cheapest_spiking, opponents
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP, drawn, number_of_pairs, pairs, replicas_in_words
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import (
    BATCHED,
    PricedFolder,
    PricedRun,
    full_dense,
    full_int8,
    headline,
    read_run,
)
from spikeplan.evaluation.rows import to_json

DRAWS = 2000
SEED = 0


def energy_report(
    folder: Path,
    catalogue: Catalogue,
    *,
    draws: int = DRAWS,
    rng: np.random.Generator | None = None,
    on_progress: OnProgress = no_progress,
    measured: Sequence[MeasuredRow] = (),
) -> dict[str, Any]:
    """Counts are simulated; nothing here is a measurement of a chip. `rng` draws the figures of the bands. Progress is in
    pairs of devices and in curves, which take nearly all of the time. `measured`: what GPUs drew for the same plan."""
    run = read_run(folder)
    pricing = Pricing(catalogue=catalogue, cpu=energy.measure_peak())
    rng = rng or np.random.default_rng(SEED)
    priors = drawn(catalogue, draws=draws, rng=rng)
    part = number_of_pairs(pricing) + len(pricing.dense)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        on_progress(done, part * len(run.methods))

    tasks = {}
    for number, (task, methods) in enumerate(run.methods.items(), 1):
        tasks[task] = _task(task, methods, run, pricing, priors, step, measured)
        done = part * number - 1  # a task without an opponent has no pairs
        step()
    return {
        "report": "energy",
        "command": run.command,
        "scope": "system",
        "extent": "loop",
        "draws": draws,
        "margin": MARGIN,
        "priors": list(PRIORS),
        "tasks": tasks,
    }


def _task(
    task: str,
    methods: Sequence[PricedRun],
    run: PricedFolder,
    pricing: Pricing,
    priors: dict[str, Catalogue],
    step: Callable[[], None],
    measured: Sequence[MeasuredRow],
) -> dict[str, Any]:
    refused = Pricing(catalogue=pricing.catalogue, cpu=pricing.cpu)
    spiking = cheapest_spiking(methods, refused)
    full = full_dense(methods)
    rows = pairs(methods, refused, priors, step=step)
    dense = _dense_side(methods, refused)
    found = {
        "full_success": None if full is None else full.success,
        "episodes": methods[0].row.episodes,
        "methods": [_method_row(method) for method in methods],
        "pairs": rows,
        "verdicts": [verdict_of(row) for row in rows if row["chip"] == MAIN_CHIP],
        "opponents": opponents(methods, refused),
        "layers": [row for method in reference_methods(methods) for row in break_even_rows(method, refused)],
        "gpu": gpu_rows(dense, refused, measured),
        "chips": [] if spiking is None else chip_rows(spiking, refused),
        "dense": [row for method in dense for row in chip_rows(method, refused)],
        "update_share": None if spiking is None else updates_share(spiking, pricing),
        "placed": [to_json(row) for row in run.placed if row.task == task],
        "curves": _curves(methods, refused, step),
        "refused": refused.refused,
    }
    return found


def _method_row(method: PricedRun) -> dict[str, Any]:
    return {
        "method": method.method,
        "budget": method.row.budget,
        "reference": method.op_counts.reference,
        "role": method.role,
        "success": method.success,
        "ci95": method.row.ci95,
        "precision": method.op_counts.precision,
        "equivalents": {schedule: method.equivalents(schedule) for schedule in method.schedules},
    }


def _dense_side(methods: Sequence[PricedRun], pricing: Pricing) -> list[PricedRun]:
    """The full planner in int8 (else whatever dense method the run has) and, of equal success, the cheapest point."""
    full, int8 = full_dense(methods), full_int8(methods)
    found = [int8] if int8 is not None else [method for method in methods if not method.spiking and method.headline][:1]
    if full is None:
        return found
    level = full.success - MARGIN
    equal = [a for a in methods if a.role == "front" and a.family in ("dense", "dense_replay") and a.success >= level]
    priced = [(best[1], i) for i, method in enumerate(equal) if (best := best_device(method, pricing))]
    cheapest = equal[min(priced)[1]] if priced else None
    return [*found, *([] if cheapest is None or cheapest in found else [cheapest])]


def drawable(methods: Sequence[PricedRun]) -> tuple[PricedRun, PricedRun] | None:
    """The same function spiking and dense, so that density alone moves: a method and its own reading with every MAC."""
    own = {method.method: method for method in headline(methods, "dense_replay")}
    both = [(method, own.get(f"{method.method}/dense")) for method in headline(methods, "spiking")]
    spiking, dense = next((pair for pair in both if pair[1] is not None), both[0] if both else (None, None))
    dense = dense or full_int8(methods)
    if (
        spiking is None
        or dense is None
        or not any(c.synops and c.dense_macs for _, c in spiking.op_counts.counts("predictor"))
    ):
        return None
    return spiking, dense


def _curves(methods: Sequence[PricedRun], pricing: Pricing, step: Callable[[], None]) -> list[dict[str, Any]]:
    pair = drawable(methods)
    if pair is None:
        return []
    spiking, dense = pricing.best_placement(pair[0], MAIN_CHIP, SCHEDULE), pair[1]
    devices = [name for name in pricing.dense if pricing.maybe(dense, name, BATCHED) is not None]
    found = []
    for name in devices:
        found.append(curve(spiking, dense, pricing, chip=MAIN_CHIP, device=name))
        step()
    return found


def verdict_of(row: dict[str, Any]) -> str:
    """One sentence: device, who is ahead, how sure, and what would turn it."""
    chances = row["probability"]
    turning = [w["figure"] for w in row["sensitivity"] if w["turns"]]
    waiting = row["probability_waiting"]
    return (
        f"{row['spiking_method']} on {row['chip']}{replicas_in_words(row)}, {row['schedule']}, against "
        f"{row['dense_method']} on {row['device']}: "
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
