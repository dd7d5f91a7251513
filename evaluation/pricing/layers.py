"""Break-even density by layer and axis, and the GPU's time at this network's size.

A connection is what lies between a layer and the one that sends to it: its synops are caused by the sender, its updates and
restores are the receiver's. Density s = synops / dense MACs; below s* the spiking connection takes less energy. Static power
is shared out by MACs. The dense side is charged its peak energy per MAC and nothing else, the hardest opponent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from spikeplan import energy
from spikeplan.core.counts.ledger import UPDATE_WEIGHT, total
from spikeplan.core.errors import UserError
from spikeplan.energy.dense import e_mac
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP
from spikeplan.evaluation.pricing.price import HOST, Pricing, told_copies
from spikeplan.evaluation.pricing.runs import BATCHED, Arm

PRECISION = "int8"
SCHEDULE = "interleaved"


def connections(arm: Arm, schedule: str = SCHEDULE) -> list[dict[str, float | str]]:
    """Per action and connection: dense MACs, synops, updates with restores. Updates of the input's coder go to the first."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: {"macs": 0.0, "synops": 0.0, "updates": 0.0})
    for row in arm.rows(schedule):
        if row.phase == "predictor":
            found = sums[row.layer]
            found["macs"] += row.dense_macs / arm.ledger.actions
            found["synops"] += row.synops / arm.ledger.actions
            found["updates"] += (row.updates + row.state_restores) / arm.ledger.actions
    names = [name for name, found in sums.items() if found["updates"] and (found["macs"] or found["synops"])]
    result: list[dict[str, float | str]] = []
    coder = 0.0
    for sender, receiver in zip([None, *names], names, strict=False):
        found = sums[receiver]
        if not found["macs"]:
            coder += found["updates"]
            continue
        synops = sums[sender]["synops"] if sender else 0.0
        result.append(
            {"layer": receiver, "macs": found["macs"], "synops": synops, "updates": found["updates"] + coder,
             "s": synops / found["macs"]}
        )  # fmt: skip
        coder = 0.0
    return result


def break_even_rows(arm: Arm, pricing: Pricing, *, chip: str = MAIN_CHIP) -> list[dict[str, Any]]:
    """s* of every connection against every dense device that states an energy per MAC."""
    found = connections(arm)
    device = pricing.catalogue.device(chip)
    e_syn = device.figure("e_eq").band.nominal
    seconds = pricing.price(arm, chip, SCHEDULE, scope="predictor").latency_s or 0.0
    static_j = device.figure("p_static").band.nominal * seconds
    whole = sum(float(c["macs"]) for c in found)
    rows = []
    for c in found:
        macs = float(c["macs"])
        stars = {}
        for name in pricing.dense:
            try:
                dense = e_mac(pricing.catalogue.device(name), PRECISION).nominal
            except UserError:
                continue
            b = energy.break_even(
                e_mac=dense, e_syn=e_syn, e_upd=UPDATE_WEIGHT * e_syn, steps=1.0, fan_in=macs / float(c["updates"]),
                static_j=static_j * macs / whole, macs=macs,
            )  # fmt: skip
            stars[name] = {"first": b.first_term, "update": b.update_term, "static": b.static_term, "s_star": b.s_star}
        rows.append({"chip": chip, "arm": arm.row["arm"], "axis": arm.ledger.axis, "threshold": arm.row["threshold"],
                     "success": arm.row["success"], **c, "s_star": stars})  # fmt: skip
    return rows


def axis_arms(arms: Sequence[Arm]) -> list[Arm]:
    """The delta arm on every axis that the run planned on: the headline, and of the other axes the point of the highest
    success."""
    best: dict[str, Arm] = {}
    for arm in arms:
        if arm.row["arm"] == "delta":
            axis = arm.ledger.axis
            rank = (arm.row["headline"], arm.row["success"])
            if axis not in best or rank > (best[axis].row["headline"], best[axis].row["success"]):
                best[axis] = arm
    return list(best.values())


def curve(arm: Arm, dense: Arm, pricing: Pricing, *, chip: str, device: str, points: int = 33) -> dict[str, Any]:
    """Ratio of energies (ledger C, whole loop) against density. Updates stay; time moves with the messages."""
    found = connections(arm)
    measured = sum(float(c["synops"]) for c in found) / sum(float(c["macs"]) for c in found)
    opponent = pricing.price(dense, device, BATCHED).nominal
    densities = np.geomspace(1e-4, 1.0, points)

    def at(s: float) -> list[float]:
        e = pricing.price(arm.scaled(s / measured), chip, SCHEDULE, host=device)
        return [e.low / opponent, e.nominal / opponent]

    ratios = np.array([at(float(s)) for s in densities])
    return {"chip": chip, "device": device, **told_copies(arm, chip), "s": densities.tolist(), "low": ratios[:, 0].tolist(),
            "nominal": ratios[:, 1].tolist(), "measured_s": measured, "measured_ratio": at(measured)[1]}  # fmt: skip


def gpu_rows(arms: Sequence[Arm], pricing: Pricing) -> list[dict[str, Any]]:
    """Time and energy of dense arms on GPUs: at the peak, and when kernels wait for each other."""
    rows = []
    for arm in arms:
        for name in pricing.dense:
            device = pricing.catalogue.device(name)
            e = pricing.maybe(arm, name, BATCHED) if device.kind == "gpu" else None
            bound = None if e is None else energy.launch_bound(device, arm.rows(BATCHED), arm.ledger.actions)
            if e is None or bound is None:
                continue
            idle = device.figures.get("p_idle")
            rows.append(
                {
                    "arm": arm.name, "device": name, "roofline_s": e.latency_s, "joules": e.nominal, "kernels": bound.kernels,
                    "launched_s": bound.latency_s.nominal, "launched_low_s": bound.latency_s.low,
                    "launched_high_s": bound.latency_s.high, "power_w": device.figure("power").band.nominal,
                    "idle_w": None if idle is None else idle.band.nominal,
                    "idle_joules": None if bound.idle_j is None else bound.idle_j.nominal,
                    "full_joules": bound.full_j.nominal,
                }
            )  # fmt: skip
    return rows


def chip_rows(arm: Arm, pricing: Pricing) -> list[dict[str, Any]]:
    """What of an arm's energy is operations, network and memory, static power; and its time, on every device that takes it."""
    rows = []
    for name in pricing.spiking if arm.spiking else pricing.dense:
        for schedule in arm.schedules:
            if pricing.maybe(arm, name, schedule) is None:
                continue
            here = pricing.best_placement(arm, name, schedule)
            a, b, c = (pricing.price(here, name, schedule, ledger=ledger) for ledger in "ABC")
            placed = pricing.rows(here, name, schedule)
            known = all(row.hops is not None for row in placed if row.messages)
            rows.append({"arm": arm.name, "device": name, "schedule": schedule, "host": HOST,
                         **told_copies(here, name), "a": a.nominal,
                         "b": b.nominal, "c": c.nominal, "low": c.low, "high": c.high, "latency_s": c.latency_s,
                         "messages": total(placed, "messages") / arm.ledger.actions,
                         "hops": sum(row.hops or 0 for row in placed) / arm.ledger.actions if known else None,
                         "evidence": c.evidence})  # fmt: skip
    return rows


def updates_share(arm: Arm, pricing: Pricing, chip: str = MAIN_CHIP) -> float:
    """Of the synop-equivalents that are priced there; neurons that wait update, too."""
    rows = pricing.rows(arm, chip, SCHEDULE)
    return UPDATE_WEIGHT * total(rows, "updates") / total(rows, "synop_equivalents")
