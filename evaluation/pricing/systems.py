"""`spikeplan energy systems`: mean watts of whole systems at control rates, each with its cheapest plan of equal success.

A system runs the plans of its side. Of those within the margin of the full dense planner the one that draws least is taken, at
nominal figures, for each rate; a spiking one in the placement that draws least. The policy alone is a row of its own where it
falls short: what a system draws that does not plan. How sure an order is, sure.py and decide.py tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from spikeplan.core.errors import UserError
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.systems import Drawn, System, Works, check_rate, works_of
from spikeplan.energy.uncertainty import PRIORS
from spikeplan.evaluation.iso_success import MARGIN
from spikeplan.evaluation.pricing.decide import decide_row, sensitivity_row
from spikeplan.evaluation.pricing.episodes import reached
from spikeplan.evaluation.pricing.price import Pricing, on_chip, placement_fields
from spikeplan.evaluation.pricing.runs import BATCHED, PricedRun, full_dense, read_run
from spikeplan.evaluation.pricing.sure import Plans, Sample, best_pairs, contenders, pair_rows, sample, undecided

DENSE = ("dense", "dense_replay")
SCHEDULE = "interleaved"
SEED = 0


RATES_HZ = (1.0, 10.0, 50.0, 200.0)  # of the reports


def systems_report(
    folder: Path,
    catalogue: Catalogue,
    systems: Mapping[str, System],
    rates_hz: Sequence[float],
    *,
    draws: int | None = None,
    seed: int = SEED,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """Rows of each task: system, rate, method, success with its interval (Wilson, 95 %), and with their bands the mean watts,
    the latency, the energy of an action above what the system draws at rest, and each machine's part. Then how sure that is:
    `pairs` (probability that a spiking system draws less than a dense one); `sensitivity` and `decide`, what would have to be
    measured, of the best of both sides at each rate, which come first, and of every pair that is undecided. Without `draws` these
    are not asked, and empty.

    Raises UserError for a rate that is not above 0, for no draws, and for a machine that the catalogue lacks.

    >>> systems_report(Path("results/demo"), default(), load_systems(), [10.0], draws=2000)["draws"]
    2000
    """
    for rate in rates_hz:
        check_rate(rate)
    for system in systems.values():
        for part in system.parts:
            catalogue.machine(part.device)
    methods = read_run(folder).methods
    without = next((task for task, found in methods.items() if full_dense(found) is None), None)
    if without is not None:
        raise UserError(f"{folder}: task {without} has no full dense plan to hold success against; run demo or results")
    return report_of(methods, catalogue, systems, rates_hz, draws=draws, seed=seed, on_progress=on_progress)


def report_of(
    tasks_methods: Mapping[str, Sequence[PricedRun]],
    catalogue: Catalogue,
    systems: Mapping[str, System],
    rates_hz: Sequence[float],
    *,
    draws: int | None = None,
    seed: int = SEED,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """The same of methods at hand, by task; a task without a full dense plan is left out: nothing is of equal success there."""
    rng = np.random.default_rng(seed)
    drawn = None if draws is None else sample(catalogue, draws=draws, rng=rng)
    pricing, step = Pricing(catalogue=catalogue), _steps(len(systems) * len(tasks_methods) * 2 + 1, on_progress)
    tasks: dict[str, Any] = {}
    for task, methods in tasks_methods.items():
        full = full_dense(methods)
        if full is None:
            continue
        good, how = reached(methods, full, draws=draws or 0, rng=rng)
        enough = {id(method.row): one for method, one in zip(methods, good, strict=True)}
        rows: list[dict[str, Any]] = []
        refused: dict[str, str] = {}
        plans: list[Plans] = []
        for system in systems.values():
            options = _options(system, methods, full.success - MARGIN, enough, pricing)
            step()
            for rate in rates_hz:
                rows += _rows(system, options, rate, refused)
            plans += [] if drawn is None else _plans(system, options, rates_hz, enough, pricing, drawn)
            step()
        tasks[task] = {
            "full_success": full.success,
            "rows": rows,
            "refused": refused,
            "episodes": how,
            **_sure(plans, catalogue, drawn),
        }
    step()
    report = {"report": "systems", "rates_hz": list(rates_hz), "margin": MARGIN}
    return {**report, "draws": draws, "seed": seed, "priors": list(PRIORS), "tasks": tasks}


def _steps(total: int, on_progress: OnProgress) -> Callable[[], None]:
    done = count(1)
    return lambda: on_progress(next(done), total)


@dataclass(frozen=True, kw_only=True)
class _Option:
    """A plan that a system might run, in one placement: priced, or why it is not."""

    kind: str  # plan; policy alone: too few succeed; other: too few succeeded, but in some draws enough do
    method: PricedRun
    works: Works | None = None
    why: str = ""


def _options(
    system: System, methods: Sequence[PricedRun], level: float, enough: Mapping[int, Any], pricing: Pricing
) -> list[_Option]:
    chip = system.planner.device
    if system.side == "spiking":
        points = [one for one in on_chip(methods, chip) if one.role == "front"]
    else:
        points = [one for one in methods if not one.spiking and one.family in DENSE and one.role == "front"]
    found = []
    for method in points:
        kind = "plan" if method.success >= level else "policy alone" if method.acts_alone else "other"
        if kind == "other" and not enough[id(method.row)].any():
            continue
        try:
            found.append(_Option(kind=kind, method=method, works=_works(system, method, pricing.catalogue, pricing)))
        except UserError as error:
            found.append(_Option(kind=kind, method=method, why=str(error)))
    return found


def _rows(system: System, options: Sequence[_Option], rate: float, refused: dict[str, str]) -> list[dict[str, Any]]:
    """The system's cheapest plan of equal success, and the policy alone beside it where that falls short."""
    rows = []
    for kind in ("plan", "policy alone"):
        priced, why = [], dict[str, str]()
        for number, option in enumerate(options):
            if option.kind != kind:
                continue
            try:
                if option.works is None:
                    raise UserError(option.why)
                drawn = option.works.at(rate)
            except UserError as error:
                why.setdefault(str(error), option.method.name)
                continue
            priced.append((drawn.watts.nominal, number, drawn))
        if why and not priced:
            first, name = next(iter(why.items()))
            refused[f"{system.name} at {rate:g} Hz ({kind})"] = f"{name}: {first}"
        if priced:
            _, number, drawn = min(priced, key=lambda one: one[:2])
            rows.append(_row(system, kind, options[number].method, rate, drawn))
    return rows


def _plans(
    system: System,
    options: Sequence[_Option],
    rates_hz: Sequence[float],
    enough: Mapping[int, Any],
    pricing: Pricing,
    drawn: Sample,
) -> list[Plans]:
    """At each rate, every plan in its cheapest placement, with the draws in which it is good enough."""
    found, known = [], dict[int, Works]()
    for rate in rates_hz:
        best: dict[int, tuple[float, int]] = {}  # of each run: watts and number of the placement that draws least
        for number, option in enumerate(options):
            if option.works is not None and option.works.keeps(rate) and enough[id(option.method.row)].any():
                drawing = float(sum(band.nominal for band in option.works.by(rate).values())), number
                key = id(option.method.row)
                best[key] = min(best.get(key, drawing), drawing)
        nominal = min((one for one in best.values() if options[one[1]].kind == "plan"), default=None)
        if nominal is None:
            continue
        for _, number in best.values():
            if number not in known:
                known[number] = _works(system, options[number].method, drawn.catalogue, pricing)
        taken = options[nominal[1]].method
        names = [options[number].method.name for _, number in best.values()]
        watts = np.array([drawn.watts(known[number], rate) for _, number in best.values()])
        good = np.array([enough[key] for key in best])
        kept = contenders(watts, good)
        found.append(
            Plans(
                system=system,
                rate_hz=rate,
                names=[names[one] for one in kept],
                watts=watts[kept],
                reached=good[kept],
                best=taken.name,
                nominal=nominal[0],
                price=partial(_works, system, taken, pricing=pricing),
            )
        )
    return found


def _sure(plans: Sequence[Plans], catalogue: Catalogue, drawn: Sample | None) -> dict[str, Any]:
    if drawn is None:
        return {"pairs": [], "sensitivity": [], "decide": []}
    rows, best = pair_rows(plans), best_pairs(plans)
    of = {(one.system.name, one.rate_hz): one for one in plans}
    asked = [(ours.rate_hz, ours.system.name, other.system.name) for ours, other in best]
    asked += [(row["rate_hz"], row["spiking"], row["dense"]) for row in rows if undecided(row)]
    two = [(of[spiking, rate], of[dense, rate]) for rate, spiking, dense in dict.fromkeys(asked)]
    return {
        "pairs": rows,
        "sensitivity": [sensitivity_row(ours, other, catalogue) for ours, other in two],
        "decide": [decide_row(ours, other, catalogue, drawn) for ours, other in two],
    }


def _works(system: System, method: PricedRun, catalogue: Catalogue, pricing: Pricing) -> Works:
    """With another catalogue than that of `pricing`: its draws, or its figures at their ends."""
    device = system.planner.device
    schedule = SCHEDULE if method.spiking else BATCHED
    host = device if system.host is None else system.host.device
    return works_of(
        system,
        pricing.rows(method, device, schedule),
        method.op_counts.actions,
        catalogue=catalogue,
        setup=pricing.setup(method, device, schedule, host, extent="loop", catalogue=catalogue)
        if method.spiking
        else None,
    )


def _row(system: System, kind: str, method: PricedRun, rate: float, drawn: Drawn) -> dict[str, Any]:
    return {
        "system": system.name,
        "title": system.title,
        "side": system.side,
        "kind": kind,
        "sees_each_action": system.sees_each_action,
        "rate_hz": rate,
        "method": method.name,
        **placement_fields(method, system.planner.device),
        "success": method.success,
        "success_ci95": list(method.row.ci95),
        "episodes": method.row.episodes,
        "watts": drawn.watts.to_json(),
        "latency_s": drawn.latency_s.to_json(),
        "action_J": drawn.action_J.to_json(),
        "by": {name: band.to_json() for name, band in drawn.by.items()},
        "rests": {name: band.to_json() for name, band in drawn.rests.items()},
        "takes_s": {name: band.to_json() for name, band in drawn.takes.items()},
    }


def plan_in_words(row: dict[str, Any]) -> str:
    """The method, and what a reader must know of its success on this system."""
    words = ([] if row["kind"] == "plan" else ["too few succeed"]) + (
        [] if row["sees_each_action"] else ["its success is with a frame an action"]
    )
    method: str = row["method"]
    return method + (f" ({'; '.join(words)})" if words else "")


def by_plan(part: dict[str, Any]) -> list[dict[float, dict[str, Any]]]:
    """Rows of a task by rate, one entry a system and plan; those that draw least at their lowest rate first."""
    found: dict[tuple[str, str, str], dict[float, dict[str, Any]]] = {}
    for row in part["rows"]:
        found.setdefault((row["title"], row["kind"], row["method"]), {})[row["rate_hz"]] = row
    return sorted(found.values(), key=lambda by_rate: lowest(by_rate)["watts"]["nominal"])


def lowest(by_rate: dict[float, dict[str, Any]]) -> dict[str, Any]:
    """The row of the lowest rate."""
    return by_rate[min(by_rate)]
