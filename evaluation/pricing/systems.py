"""`spikeplan energy systems`: mean watts of whole systems at control rates, each with its cheapest plan of equal success.

A system runs the plans of its side. Of those within the margin of the full dense planner the one that draws least is taken, at
nominal figures, for each rate; a spiking one in the placement that draws least. The policy alone is a row of its own where it
falls short: what a system draws that does not plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spikeplan.core.errors import UserError
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.energy.catalogue import Band, Catalogue
from spikeplan.energy.systems import Drawn, System, draw_of
from spikeplan.evaluation.iso_success import MARGIN
from spikeplan.evaluation.pricing.price import Pricing, on_chip, placement_fields
from spikeplan.evaluation.pricing.runs import BATCHED, PricedRun, full_dense, read_run

ALONE = ("policy", "policy-int8")
DENSE = ("dense", "dense_replay")
SCHEDULE = "interleaved"


def systems_report(
    folder: Path,
    catalogue: Catalogue,
    systems: Mapping[str, System],
    rates_hz: Sequence[float],
    *,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Rows of each task: system, rate, method, success with its interval (Wilson, 95 %), and with their bands the mean watts,
    the latency, the energy of an action above what the system draws at rest, and each machine's part.

    Raises UserError for a rate that is not above 0, and for a machine that the catalogue lacks.
    """
    for rate in rates_hz:
        if not 0 < rate < 1e9:
            raise UserError(f"--rate {rate:g}: give actions a second, above 0")
    for system in systems.values():
        for part in system.parts:
            catalogue.machine(part.device)
    run = read_run(folder)
    pricing, done, tasks = Pricing(catalogue=catalogue), 0, {}
    for task, methods in run.methods.items():
        full = full_dense(methods)
        if full is None:
            raise UserError(
                f"{folder}: task {task} has no full dense plan to hold success against; run demo or results"
            )
        level = full.success - MARGIN
        rows: list[dict[str, Any]] = []
        refused: dict[str, str] = {}
        for system in systems.values():
            for rate in rates_hz:
                found = _rows(system, methods, level, rate, pricing, refused)
                rows += found
                done += 1
                on_progress(done, len(systems) * len(rates_hz) * len(run.methods))
        tasks[task] = {"full_success": full.success, "rows": rows, "refused": refused}
    return {"report": "systems", "rates_hz": list(rates_hz), "margin": MARGIN, "tasks": tasks}


def _rows(
    system: System,
    methods: Sequence[PricedRun],
    level: float,
    rate: float,
    pricing: Pricing,
    refused: dict[str, str],
) -> list[dict[str, Any]]:
    """The system's cheapest plan of equal success, and on the dense side the policy alone beside it where that falls short."""
    chip = system.planner.device
    if system.side == "spiking":
        points = [one for one in on_chip(methods, chip) if one.role == "front"]
    else:
        points = [one for one in methods if not one.spiking and one.family in DENSE and one.role == "front"]
    enough = [one for one in points if one.success >= level]
    short = [one for one in points if one.method in ALONE and one not in enough]
    rows = []
    for kind, candidates in (("plan", enough), ("policy alone", short)):
        priced, why = [], dict[str, str]()
        for number, method in enumerate(candidates):
            try:
                drawn = _drawn(system, method, rate, pricing)
            except UserError as error:
                why.setdefault(str(error), method.name)
                continue
            priced.append((drawn.watts.nominal, number, drawn))
        if why and not priced:
            first, name = next(iter(why.items()))
            refused[f"{system.name} at {rate:g} Hz ({kind})"] = f"{name}: {first}"
        if priced:
            _, number, drawn = min(priced, key=lambda one: one[:2])
            rows.append(_row(system, kind, candidates[number], rate, drawn))
    return rows


def _drawn(system: System, method: PricedRun, rate: float, pricing: Pricing) -> Drawn:
    device = system.planner.device
    schedule = SCHEDULE if method.spiking else BATCHED
    host = device if system.host is None else system.host.device
    setup = pricing.setup(method, device, schedule, host, extent="loop", catalogue=pricing.catalogue)
    return draw_of(
        system,
        pricing.rows(method, device, schedule),
        method.op_counts.actions,
        rate_hz=rate,
        catalogue=pricing.catalogue,
        setup=setup if method.spiking else None,
    )


def _row(system: System, kind: str, method: PricedRun, rate: float, drawn: Drawn) -> dict[str, Any]:
    return {
        "system": system.name,
        "title": system.title,
        "side": system.side,
        "kind": kind,
        "rate_hz": rate,
        "method": method.name,
        **placement_fields(method, system.planner.device),
        "success": method.success,
        "success_ci95": list(method.row.ci95),
        "episodes": method.row.episodes,
        "watts": _band(drawn.watts),
        "latency_s": _band(drawn.latency_s),
        "action_J": _band(drawn.action_J),
        "by": {name: _band(band) for name, band in drawn.by.items()},
        "rests": {name: _band(band) for name, band in drawn.rests.items()},
        "takes_s": {name: _band(band) for name, band in drawn.takes.items()},
    }


def by_plan(part: dict[str, Any]) -> list[dict[float, dict[str, Any]]]:
    """Rows of a task by rate, one entry a system and plan; those that draw least at their lowest rate first."""
    found: dict[tuple[str, str, str], dict[float, dict[str, Any]]] = {}
    for row in part["rows"]:
        found.setdefault((row["title"], row["kind"], row["method"]), {})[row["rate_hz"]] = row
    return sorted(found.values(), key=lambda by_rate: lowest(by_rate)["watts"]["nominal"])


def lowest(by_rate: dict[float, dict[str, Any]]) -> dict[str, Any]:
    """The row of the lowest rate."""
    return by_rate[min(by_rate)]


def _band(band: Band) -> dict[str, float]:
    return dict(zip(("low", "nominal", "high"), map(float, band.bounds()), strict=True))
