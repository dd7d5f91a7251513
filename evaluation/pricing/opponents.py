"""The opponents that a spiking arm must be put beside, printed whether they flatter it or not.

Each is priced on the dense device that serves it best among those that exist (hypothetical devices are left to the pairs),
ledger C, whole loop. The spiking arm is the cheapest that plans as well as the full dense planner, on one chip, interleaved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from spikeplan.evaluation.bundle import PRUNED_ARMS
from spikeplan.evaluation.iso_success import MARGIN
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP
from spikeplan.evaluation.pricing.price import Pricing, gains, on_chip, told_copies
from spikeplan.evaluation.pricing.runs import BATCHED, Arm, full_dense, headline

SCHEDULE = "interleaved"
PRUNED_SKIP = tuple(f"{arm}/skip" for arm in PRUNED_ARMS)


def opponents(arms: Sequence[Arm], pricing: Pricing) -> dict[str, Any] | None:
    full, spiking = full_dense(arms), cheapest_spiking(arms, pricing)
    if full is None or spiking is None:
        return None
    level = full.row["success"] - MARGIN
    equal = [arm for arm in arms if arm.row["role"] == "front" and arm.row["success"] >= level]
    same = [arm for arm in arms if arm.row["budget"] == spiking.row["budget"]]
    name = spiking.row["arm"]
    bits = matched_bits(spiking)
    beside = [
        ("dense fp32, full budget", full, ""),
        ("dense int8, full budget", headline(arms, "int8"), ""),
        (f"matched bits ({bits}): its own function, every MAC computed", _named(same, f"{name}/full"), _charged(bits)),
        ("zeros of its own function skipped", _named(same, f"{name}/skip"), "hypothetical: finding zeros costs nothing"),
        ("zeros of the int8 network skipped", _named(arms, "zero-skip"), "hypothetical: finding zeros costs nothing"),
        ("pruned dense at equal success (whole neurons: distilled narrower)",
         _cheapest(equal, pricing, lambda arm: arm.row["arm"].startswith("narrow")), ""),
        ("pruned dense at equal success (single weights), every MAC computed",
         _cheapest(equal, pricing, lambda arm: arm.row["arm"] in PRUNED_ARMS), "no device here skips single zeros"),
        ("pruned dense at equal success (single weights), weights of zero skipped",
         _cheapest(equal, pricing, lambda arm: arm.row["arm"] in PRUNED_SKIP),
         "hypothetical: a zero costs neither operation, byte nor index"),
        ("dense int8 at reduced budget, equal success",
         _cheapest(equal, pricing, lambda arm: arm.row["arm"] == "int8" and not arm.row["headline"]), ""),
        ("cheapest dense of equal success",
         _cheapest(equal, pricing, lambda arm: arm.family in ("dense", "full")), ""),
    ]  # fmt: skip
    rows = [row for what, arm, note in beside for row in _rows(what, arm, note, spiking, pricing)]
    one = _at_batch_one(spiking, _cheapest(equal, pricing, lambda arm: arm.family in ("dense", "full")), pricing)
    e = pricing.price(spiking, MAIN_CHIP, SCHEDULE)
    return {
        "chip": MAIN_CHIP, "arm": spiking.name, **told_copies(spiking, MAIN_CHIP),
        "schedule": SCHEDULE, "success": spiking.row["success"],
        "joules": e.nominal, "low": e.low, "high": e.high, "level": level,
        "equivalents": pricing.equivalents(spiking, MAIN_CHIP, SCHEDULE),
        "rows": rows + one,
    }  # fmt: skip


def cheapest_spiking(arms: Sequence[Arm], pricing: Pricing, chip: str = MAIN_CHIP) -> Arm | None:
    full = full_dense(arms)
    level = None if full is None else full.row["success"] - MARGIN
    sides = on_chip(arms, chip)
    priced = [
        (e.nominal, i)
        for i, arm in enumerate(sides)
        if arm.row["role"] == "front"
        and (level is None or arm.row["success"] >= level)
        and (e := pricing.maybe(arm, chip, SCHEDULE)) is not None
    ]
    return sides[min(priced)[1]] if priced else None


def matched_bits(arm: Arm) -> int:
    """Bits of a quantised network that carries as much a pass: those of a graded message, or of the count of spikes in T
    steps, ceil(log2(T + 1)) (Yan, Bai, Wong 2409.08290)."""
    graded = [c for _, c in arm.ledger.counts("predictor") if c.message_bits > c.messages and c.synops and c.dense_macs]
    if graded:
        return max(c.message_bits // c.messages for c in graded)
    return math.ceil(math.log2(arm.ledger.interleaved_steps + 1))


def _charged(bits: int) -> str:
    return "charged as int8" if bits == 8 else "charged as int8, the narrowest rate that most devices have"


def best_device(arm: Arm, pricing: Pricing) -> tuple[str, float] | None:
    priced = [
        (e.nominal, device)
        for device in pricing.dense
        if not pricing.catalogue.device(device).hypothetical and (e := pricing.maybe(arm, device, BATCHED)) is not None
    ]
    return None if not priced else (min(priced)[1], min(priced)[0])


def _named(arms: Sequence[Arm], name: str) -> Arm | None:
    return next((arm for arm in arms if arm.row["arm"] == name and arm.row["role"] == "front"), None)


def _cheapest(arms: Sequence[Arm], pricing: Pricing, wanted: Callable[[Arm], bool]) -> Arm | None:
    priced = [(best[1], i) for i, arm in enumerate(arms) if wanted(arm) and (best := best_device(arm, pricing))]
    return arms[min(priced)[1]] if priced else None


def _rows(what: str, arm: Arm | None, note: str, spiking: Arm, pricing: Pricing) -> list[dict[str, Any]]:
    best = None if arm is None else best_device(arm, pricing)
    if arm is None or best is None:
        return [{"opponent": what, "arm": None, "note": note or "this run has no such point"}]
    device, joules = best
    ours = pricing.price(spiking, MAIN_CHIP, SCHEDULE, host=device).nominal
    return [
        {
            "opponent": what, "arm": arm.name, "precision": arm.ledger.precision, "success": arm.row["success"],
            "device": device, "joules": joules, "equivalents": arm.equivalents(BATCHED), "note": note,
            **gains(ours, joules, pricing.equivalents(spiking, MAIN_CHIP, SCHEDULE), arm.equivalents(BATCHED)),
        }
    ]  # fmt: skip


def _at_batch_one(spiking: Arm, arm: Arm | None, pricing: Pricing) -> list[dict[str, Any]]:
    """The same network with its weights read again for every candidate: what an unfair baseline would show."""
    best = None if arm is None else best_device(arm, pricing)
    if arm is None or best is None:
        return []
    joules = pricing.price(arm, best[0], BATCHED, batch=1).nominal
    ours = pricing.price(spiking, MAIN_CHIP, SCHEDULE, host=best[0]).nominal
    return [
        {
            "opponent": "the last one at batch 1 (unfair: candidates are a batch)", "arm": arm.name,
            "precision": arm.ledger.precision, "success": arm.row["success"], "device": best[0], "joules": joules,
            "equivalents": arm.equivalents(BATCHED), "note": "every other row shares a weight read between all candidates",
            **gains(ours, joules, pricing.equivalents(spiking, MAIN_CHIP, SCHEDULE), arm.equivalents(BATCHED)),
        }
    ]  # fmt: skip
