"""Who takes less energy at equal success: every spiking device against every dense one, both schedules, with probability.

Each side brings its cheapest point (scope system, whole loop, nominal) that plans within the margin of the full dense planner;
a run without a front has the full budgets only. The probability is over the figures' bands, not over episodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from spikeplan.core.format import several
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.uncertainty import PRIORS, Energies, draw, probability, sensitivity
from spikeplan.evaluation.iso_success import MARGIN, compare
from spikeplan.evaluation.pricing.price import Pricing, gains, on_chip, placement_fields
from spikeplan.evaluation.pricing.runs import BATCHED, SCHEDULES, PricedRun, full_dense

MAIN_CHIP = "loihi2"
MOST_SWINGS = 6


def drawn(catalogue: Catalogue, *, draws: int, rng: np.random.Generator) -> dict[str, Catalogue]:
    return {prior: draw(catalogue, prior=prior, draws=draws, rng=rng) for prior in PRIORS}


def number_of_pairs(pricing: Pricing) -> int:
    """How often `pairs` calls `step`."""
    return len(pricing.spiking) * len(pricing.dense) * len(SCHEDULES)


def pairs(
    methods: Sequence[PricedRun],
    pricing: Pricing,
    draws: dict[str, Catalogue],
    *,
    schedules: Sequence[str] = SCHEDULES,
    step: Callable[[], None] = lambda: None,
) -> list[dict[str, Any]]:
    """`step` is called after each pair of devices and schedule, priced or not."""
    full = full_dense(methods)
    if full is None:
        return []
    found = []
    for chip in pricing.spiking:
        for device in pricing.dense:
            for schedule in schedules:
                pair = best_pair(methods, pricing, chip, device, schedule, full.success)
                if pair is not None:
                    found.append(_row(*pair, pricing, draws, chip, device, schedule))
                step()
    return found


def best_pair(
    methods: Sequence[PricedRun], pricing: Pricing, chip: str, device: str, schedule: str, success: float
) -> tuple[PricedRun, PricedRun] | None:
    """The cheapest spiking and the cheapest dense point of equal success; None where one side has none."""
    sides = [
        *on_chip(methods, chip),
        *(method for method in methods if not method.spiking and method.family in ("dense", "dense_replay")),
    ]
    spiking = {i: method for i, method in enumerate(sides) if method.spiking}
    dense = {i: method for i, method in enumerate(sides) if not method.spiking}
    prices = {i: pricing.maybe(method, chip, schedule, host=device) for i, method in spiking.items()}
    prices |= {i: pricing.maybe(method, device, BATCHED) for i, method in dense.items()}

    numbers = {id(method): i for i, method in enumerate(sides)}

    def cost(method: PricedRun) -> float | None:
        e = prices[numbers[id(method)]]
        return None if e is None else e.nominal

    best = compare(
        [method for method in sides if method.role == "front"],
        success,
        what="",
        unit="J",
        against=("dense", "dense_replay"),
        dense_cost=cost,
        spiking_cost=cost,
    )
    if best.spiking is None or best.dense is None:
        return None
    return best.spiking, best.dense


def _row(
    spiking: PricedRun,
    dense: PricedRun,
    pricing: Pricing,
    draws: dict[str, Catalogue],
    chip: str,
    device: str,
    schedule: str,
) -> dict[str, Any]:
    s, d = pricing.price(spiking, chip, schedule, host=device), pricing.price(dense, device, BATCHED)
    ours, theirs = pricing.nominal(spiking, chip, schedule, host=device), pricing.nominal(dense, device, BATCHED)
    chances = {prior: probability(ours, theirs, catalogue) for prior, catalogue in draws.items()}
    waits = pricing.waiting(spiking, chip, schedule, host=device), pricing.waiting(dense, device, BATCHED)
    turning = sensitivity(ours, theirs, pricing.catalogue) if chip == MAIN_CHIP else []
    return {
        "chip": chip,
        "device": device,
        "schedule": schedule,
        "spiking_method": spiking.name,
        "dense_method": dense.name,
        **placement_fields(spiking, chip),
        "spiking_success": spiking.success,
        "dense_success": dense.success,
        "margin": MARGIN,
        "hypothetical": any(pricing.catalogue.device(name).hypothetical for name in (chip, device)),
        "incomplete": pricing.catalogue.device(chip).kind == "event",  # no static power or time known: a lower bound
        "spiking": _band(s),
        "dense": _band(d),
        **gains(
            s.nominal,
            d.nominal,
            pricing.equivalents(spiking, chip, schedule),
            pricing.equivalents(dense, device, BATCHED),
        ),
        "ratio_low": s.low / d.high,
        "ratio_high": s.high / d.low,
        "probability": chances,
        **_waiting(*waits, pricing.catalogue, draws[PRIORS[0]]),
        "ahead": "spiking" if s.nominal < d.nominal else "dense",
        "sensitivity": [
            {"figure": w.figure, "at_low": w.at_low, "at_high": w.at_high, "turns": w.turns}
            for i, w in enumerate(turning)
            if w.turns or i < MOST_SWINGS
        ],
    }


def _waiting(
    spiking: Energies | None, dense: Energies | None, catalogue: Catalogue, drawn: Catalogue
) -> dict[str, Any]:
    """Both methods with the idle power of the GPU that waits in them; None where it is not known for one of them."""
    if spiking is None or dense is None:
        return {"waiting": None, "probability_waiting": None}
    return {
        "waiting": {"spiking": float(spiking(catalogue)), "dense": float(dense(catalogue))},
        "probability_waiting": probability(spiking, dense, drawn),
    }


def _band(e: Any) -> dict[str, Any]:
    return {"low": e.low, "nominal": e.nominal, "high": e.high, "latency_s": e.latency_s, "evidence": e.evidence}


def replicas_in_words(row: dict[str, Any]) -> str:
    """How many replicas of the loop a row was priced with."""
    replicas = row["replicas"]
    if replicas is None:
        return ", not placed" if row.get("chip", row.get("device")) == MAIN_CHIP else ""
    return f", {several(replicas, 'replica')} on {several(row['cores'], 'core')}"
