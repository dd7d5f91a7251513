"""Break-even density by layer and reference, and the GPU's time at this network's size.

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
from spikeplan.core.counts.operations import UPDATE_WEIGHT, total
from spikeplan.core.errors import UserError
from spikeplan.energy.dense import e_mac
from spikeplan.energy.measured import EVIDENCE, MeasuredRow
from spikeplan.energy.measured_prices import same_plan
from spikeplan.evaluation.pricing.pairs import MAIN_CHIP
from spikeplan.evaluation.pricing.price import HOST, Pricing, placement_fields
from spikeplan.evaluation.pricing.runs import BATCHED, PricedRun

PRECISION = "int8"
SCHEDULE = "interleaved"


def connections(method: PricedRun, schedule: str = SCHEDULE) -> list[dict[str, float | str]]:
    """Per action and connection: dense MACs, synops, updates with restores. Updates of the input's coder go to the first."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: {"macs": 0.0, "synops": 0.0, "updates": 0.0})
    for row in method.rows(schedule):
        if row.phase == "predictor":
            found = sums[row.layer]
            found["macs"] += row.dense_macs / method.op_counts.actions
            found["synops"] += row.synops / method.op_counts.actions
            found["updates"] += (row.updates + row.state_restores) / method.op_counts.actions
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
            {
                "layer": receiver,
                "macs": found["macs"],
                "synops": synops,
                "updates": found["updates"] + coder,
                "s": synops / found["macs"],
            }
        )
        coder = 0.0
    return result


def break_even_rows(method: PricedRun, pricing: Pricing, *, chip: str = MAIN_CHIP) -> list[dict[str, Any]]:
    """s* of every connection against every dense device that states an energy per MAC."""
    found = connections(method)
    device = pricing.catalogue.device(chip)
    e_syn = device.figure("e_eq").band.nominal
    seconds = pricing.price(method, chip, SCHEDULE, extent="predictor").latency_s or 0.0
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
                e_mac=dense,
                e_syn=e_syn,
                e_upd=UPDATE_WEIGHT * e_syn,
                steps=1.0,
                fan_in=macs / float(c["updates"]),
                static_j=static_j * macs / whole,
                macs=macs,
            )
            stars[name] = {"first": b.first_term, "update": b.update_term, "static": b.static_term, "s_star": b.s_star}
        rows.append(
            {
                "chip": chip,
                "method": method.method,
                "reference": method.op_counts.reference,
                "threshold": method.row.threshold,
                "success": method.success,
                **c,
                "s_star": stars,
            }
        )
    return rows


def reference_methods(methods: Sequence[PricedRun]) -> list[PricedRun]:
    """The delta method on every reference that the run planned on: the headline, and of the other references the point
    of the highest
    success."""
    best: dict[str, PricedRun] = {}
    for method in methods:
        if method.method == "sigma_delta":
            reference = method.op_counts.reference
            rank = (method.headline, method.success)
            if reference not in best or rank > (best[reference].headline, best[reference].success):
                best[reference] = method
    return list(best.values())


def curve(
    method: PricedRun, dense: PricedRun, pricing: Pricing, *, chip: str, device: str, points: int = 33
) -> dict[str, Any]:
    """Ratio of energies (scope system, whole loop) against density. Updates stay; time moves with the messages."""
    found = connections(method)
    measured = sum(float(c["synops"]) for c in found) / sum(float(c["macs"]) for c in found)
    opponent = pricing.price(dense, device, BATCHED).nominal
    densities = np.geomspace(1e-4, 1.0, points)

    def at(s: float) -> list[float]:
        e = pricing.price(method.scaled(s / measured), chip, SCHEDULE, host=device)
        return [e.low / opponent, e.nominal / opponent]

    ratios = np.array([at(float(s)) for s in densities])
    return {
        "chip": chip,
        "device": device,
        **placement_fields(method, chip),
        "s": densities.tolist(),
        "low": ratios[:, 0].tolist(),
        "nominal": ratios[:, 1].tolist(),
        "measured_s": measured,
        "measured_ratio": at(measured)[1],
    }


def gpu_rows(
    methods: Sequence[PricedRun], pricing: Pricing, measured: Sequence[MeasuredRow] = ()
) -> list[dict[str, Any]]:
    """Time and energy of dense methods on GPUs: at the peak, when kernels wait for each other, and as somebody measured them.

    `measured` has the plans of as many MACs on this machine, without the encoder, in J above idle; `evidence` says whether there
    are any. The rest of a row is modelled."""
    rows = []
    for method in methods:
        for name in pricing.dense:
            device = pricing.catalogue.device(name)
            e = pricing.maybe(method, name, BATCHED) if device.kind == "gpu" else None
            bound = None if e is None else energy.launch_bound(device, method.rows(BATCHED), method.op_counts.actions)
            if e is None or bound is None:
                continue
            idle = device.figures.get("p_idle")
            macs = sum(row.macs for row in method.rows(BATCHED) if row.phase == "predictor") / method.op_counts.actions
            same = same_plan(measured, device, macs)
            rows.append(
                {
                    "method": method.name,
                    "device": name,
                    "roofline_s": e.latency_s,
                    "joules": e.nominal,
                    "kernels": bound.kernels,
                    "launched_s": bound.latency_s.nominal,
                    "launched_low_s": bound.latency_s.low,
                    "launched_high_s": bound.latency_s.high,
                    "power_w": device.figure("power").band.nominal,
                    "idle_w": None if idle is None else idle.band.nominal,
                    "idle_joules": None if bound.idle_j is None else bound.idle_j.nominal,
                    "full_joules": bound.full_j.nominal,
                    "plan_macs": macs,
                    "evidence": EVIDENCE if same else "modelled",
                    "measured": [_measured(row) for row in same],
                }
            )
    return rows


def _measured(row: MeasuredRow) -> dict[str, Any]:
    net = row.net_J
    return {
        "way": row.way,
        "precision": row.precision,
        "board": row.device,
        "low": net.low,
        "nominal": net.nominal,
        "high": net.high,
        "gross_joules": row.gross_J,
        "seconds": row.seconds,
        "told": row.told,
    }


def chip_rows(method: PricedRun, pricing: Pricing) -> list[dict[str, Any]]:
    """What of a method's energy is operations, network and memory, static power; and its time, on every device that takes it."""
    rows = []
    for name in pricing.spiking if method.spiking else pricing.dense:
        for schedule in method.schedules:
            if pricing.maybe(method, name, schedule) is None:
                continue
            here = pricing.best_placement(method, name, schedule)
            a, b, c = (pricing.price(here, name, schedule, scope=scope) for scope in energy.SCOPES)
            placed = pricing.rows(here, name, schedule)
            known = all(row.hops is not None for row in placed if row.messages)
            rows.append(
                {
                    "method": method.name,
                    "device": name,
                    "schedule": schedule,
                    "host": HOST,
                    **placement_fields(here, name),
                    "compute": a.nominal,
                    "chip": b.nominal,
                    "system": c.nominal,
                    "low": c.low,
                    "high": c.high,
                    "latency_s": c.latency_s,
                    "messages": total(placed, "messages") / method.op_counts.actions,
                    "hops": sum(row.hops or 0 for row in placed) / method.op_counts.actions if known else None,
                    "evidence": c.evidence,
                }
            )
    return rows


def updates_share(method: PricedRun, pricing: Pricing, chip: str = MAIN_CHIP) -> float:
    """Of the synop-equivalents that are priced there; neurons that wait update, too."""
    rows = pricing.rows(method, chip, SCHEDULE)
    return UPDATE_WEIGHT * total(rows, "updates") / total(rows, "synop_equivalents")
