"""The opponents that a spiking method must be put beside, printed whether they flatter it or not.

Each is priced on the dense device that serves it best among those that exist (hypothetical devices are left to the pairs),
scope system, whole loop. The spiking method is the cheapest that plans as well as the full dense planner, on one chip,
interleaved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from spikeplan.evaluation.iso_success import MARGIN
from spikeplan.evaluation.methods.smaller import NARROW, PRUNED
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP
from spikeplan.evaluation.pricing.price import Pricing, gains, on_chip, placement_fields
from spikeplan.evaluation.pricing.runs import BATCHED, PricedRun, full_dense, full_int8

SCHEDULE = "interleaved"
PRUNED_SKIP = tuple(f"{method}/skip" for method in PRUNED)


def opponents(methods: Sequence[PricedRun], pricing: Pricing) -> dict[str, Any] | None:
    full, spiking = full_dense(methods), cheapest_spiking(methods, pricing)
    if full is None or spiking is None:
        return None
    level = full.success - MARGIN
    equal = [method for method in methods if method.role == "front" and method.success >= level]
    same = [method for method in methods if method.row.budget == spiking.row.budget]
    name = spiking.method
    bits = matched_bits(spiking)
    beside = [
        ("dense fp32, full budget", full, ""),
        ("dense int8, full budget", full_int8(methods), ""),
        (f"matched bits ({bits}): its own function, every MAC computed", _named(same, f"{name}/dense"), _charged(bits)),
        (
            "zeros of its own function skipped",
            _named(same, f"{name}/skip"),
            "hypothetical: finding zeros costs nothing",
        ),
        (
            "zeros of the int8 network skipped",
            _named(methods, "zero_skipping"),
            "hypothetical: finding zeros costs nothing",
        ),
        (
            "pruned dense at equal success (whole neurons: distilled narrower)",
            _cheapest(equal, pricing, lambda method: method.method in NARROW),
            "",
        ),
        (
            "pruned dense at equal success (single weights), every MAC computed",
            _cheapest(equal, pricing, lambda method: method.method in PRUNED),
            "no device here skips single zeros",
        ),
        (
            "pruned dense at equal success (single weights), weights of zero skipped",
            _cheapest(equal, pricing, lambda method: method.method in PRUNED_SKIP),
            "hypothetical: a zero costs neither operation, byte nor index",
        ),
        (
            "dense int8 at reduced budget, equal success",
            _cheapest(equal, pricing, lambda method: method.method == "int8" and not method.headline),
            "",
        ),
        (
            "cheapest dense of equal success",
            _cheapest(equal, pricing, lambda method: method.family in ("dense", "dense_replay")),
            "",
        ),
    ]
    rows = [row for what, method, note in beside for row in _rows(what, method, note, spiking, pricing)]
    one = _at_batch_one(
        spiking, _cheapest(equal, pricing, lambda method: method.family in ("dense", "dense_replay")), pricing
    )
    e = pricing.price(spiking, MAIN_CHIP, SCHEDULE)
    return {
        "chip": MAIN_CHIP,
        "method": spiking.name,
        **placement_fields(spiking, MAIN_CHIP),
        "schedule": SCHEDULE,
        "success": spiking.success,
        "joules": e.nominal,
        "low": e.low,
        "high": e.high,
        "level": level,
        "equivalents": pricing.equivalents(spiking, MAIN_CHIP, SCHEDULE),
        "rows": rows + one,
    }


def cheapest_spiking(methods: Sequence[PricedRun], pricing: Pricing, chip: str = MAIN_CHIP) -> PricedRun | None:
    full = full_dense(methods)
    level = None if full is None else full.success - MARGIN
    sides = on_chip(methods, chip)
    priced = [
        (e.nominal, i)
        for i, method in enumerate(sides)
        if method.role == "front"
        and (level is None or method.success >= level)
        and (e := pricing.maybe(method, chip, SCHEDULE)) is not None
    ]
    return sides[min(priced)[1]] if priced else None


def matched_bits(method: PricedRun) -> int:
    """Bits of a quantised network that carries as much a pass: those of a graded message, or of the count of spikes in T
    steps, ceil(log2(T + 1)) (Yan, Bai, Wong 2409.08290)."""
    graded = [
        c for _, c in method.op_counts.counts("predictor") if c.message_bits > c.messages and c.synops and c.dense_macs
    ]
    if graded:
        return max(c.message_bits // c.messages for c in graded)
    return math.ceil(math.log2(method.op_counts.interleaved_steps + 1))


def _charged(bits: int) -> str:
    return "charged as int8" if bits == 8 else "charged as int8, the narrowest rate that most devices have"


def best_device(method: PricedRun, pricing: Pricing) -> tuple[str, float] | None:
    priced = [
        (e.nominal, device)
        for device in pricing.dense
        if not pricing.catalogue.device(device).hypothetical
        and (e := pricing.maybe(method, device, BATCHED)) is not None
    ]
    return None if not priced else (min(priced)[1], min(priced)[0])


def _named(methods: Sequence[PricedRun], name: str) -> PricedRun | None:
    return next((method for method in methods if method.method == name and method.role == "front"), None)


def _cheapest(methods: Sequence[PricedRun], pricing: Pricing, wanted: Callable[[PricedRun], bool]) -> PricedRun | None:
    priced = [
        (best[1], i) for i, method in enumerate(methods) if wanted(method) and (best := best_device(method, pricing))
    ]
    return methods[min(priced)[1]] if priced else None


def _rows(what: str, method: PricedRun | None, note: str, spiking: PricedRun, pricing: Pricing) -> list[dict[str, Any]]:
    best = None if method is None else best_device(method, pricing)
    if method is None or best is None:
        return [{"opponent": what, "method": None, "note": note or "this run has no such point"}]
    device, joules = best
    ours = pricing.price(spiking, MAIN_CHIP, SCHEDULE, host=device).nominal
    return [
        {
            "opponent": what,
            "method": method.name,
            "precision": method.op_counts.precision,
            "success": method.success,
            "device": device,
            "joules": joules,
            "equivalents": method.equivalents(BATCHED),
            "note": note,
            **gains(ours, joules, pricing.equivalents(spiking, MAIN_CHIP, SCHEDULE), method.equivalents(BATCHED)),
        }
    ]


def _at_batch_one(spiking: PricedRun, method: PricedRun | None, pricing: Pricing) -> list[dict[str, Any]]:
    """The same network with its weights read again for every candidate: what an unfair baseline would show."""
    best = None if method is None else best_device(method, pricing)
    if method is None or best is None:
        return []
    joules = pricing.price(method, best[0], BATCHED, batch=1).nominal
    ours = pricing.price(spiking, MAIN_CHIP, SCHEDULE, host=best[0]).nominal
    return [
        {
            "opponent": "the last one at batch 1 (unfair: candidates are a batch)",
            "method": method.name,
            "precision": method.op_counts.precision,
            "success": method.success,
            "device": best[0],
            "joules": joules,
            "equivalents": method.equivalents(BATCHED),
            "note": "every other row shares a weight read between all candidates",
            **gains(ours, joules, pricing.equivalents(spiking, MAIN_CHIP, SCHEDULE), method.equivalents(BATCHED)),
        }
    ]
