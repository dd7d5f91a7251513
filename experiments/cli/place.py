"""`spikeplan place`: where a network lies on a chip, how long a plan takes there, and what it costs beside dense devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from spikeplan.core.chips import CHIPS, ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.energy.catalogue import Catalogue
from spikeplan.evaluation.own_network.search import MAX_CHIPS
from spikeplan.evaluation.placed_energy import BOUNDS, Placed, dense_energy, placed
from spikeplan.evaluation.placement_sweep import best_joules, best_time, search, sweep_rows
from spikeplan.evaluation.traffic import Traffic, traffic_of
from spikeplan.experiments.cli.energy_devices import catalogue_of
from spikeplan.experiments.report.terminal.placement import print_facts, print_sweep
from spikeplan.experiments.runner.output import check_outputs, write_report, write_text
from spikeplan.experiments.runner.progress import counted
from spikeplan.placement.objective import Choice
from spikeplan.placement.place import Placement
from spikeplan.placement.timing import SCHEDULES

MOST = 4096  # replicas, and times the least cores a layer
BUDGETS_S = {"JEPA-R's control period": 10e-3, "V-JEPA 2-AC on an RTX 4090": 16.0}
ON_HOST = (
    "latent, distance, selection and refit exchange values, which a chip of binary spikes cannot send: they stay on "
    "the host, whose time and energy are not in these figures"
)
ASSUMED = (
    "axons in and out of a core (Loihi 1's)",
    "tiles and links (Loihi 1's)",
    "time on a link (Loihi 1's hop)",
    "barrier of several chips (Loihi 1's)",
    "state words that a program may hold",
    "no idle core is gated",
)


def place_command(
    path: str,
    *,
    chip: str,
    replicas: int,
    spread: int,
    objective: str | None,
    for_latency: float | None,
    max_chips: int | None,
    sweep: bool,
    select_on: str,
    devices: str | None,
    json: str | None,
    svg: str | None,
    sweep_svg: str | None,
    console: Console,
) -> int:
    """Places an artifact on plans of its task and prints the tables; 1 when a limit is broken or `for_latency` (ms) cannot be
    met."""
    limits = check_asked(chip, replicas, spread, for_latency, max_chips)
    check_outputs({"--json": json, "--svg": svg, "--sweep-svg": sweep_svg}, inputs=(path, devices))
    catalogue = figures_of(chip, devices)
    host_selects = select_on == "host"
    if host_selects and not limits.graded_messages:
        raise UserError(f"--select-on host: chip {chip!r} holds no loop, so its host selects anyway; leave it out")
    choice: Choice[Placed] | str | None = None
    with counted("recording the traffic of an episode") as on_progress:
        traffic = traffic_of(path, limits, on_progress=on_progress)
    if objective is not None or for_latency is not None:
        with counted("trying placements") as on_progress:
            choice = search(
                traffic,
                limits,
                objective=objective or "chips",
                chips=MAX_CHIPS if max_chips is None else max_chips,
                seconds=None if for_latency is None else for_latency * 1e-3,
                catalogue=catalogue,
                host_selects=host_selects,
                on_progress=on_progress,
            )
    if isinstance(choice, Choice):
        replicas, spread = choice.best.found.replicas, choice.best.found.spread
    with counted("placing") as on_progress:
        facts = facts_of(
            traffic,
            limits,
            replicas=replicas,
            spread=spread,
            catalogue=catalogue,
            host_selects=host_selects,
            on_progress=on_progress,
        )
    facts["missed"] = choice if isinstance(choice, str) else None if choice is None else choice.missed
    facts["choice"] = choice_facts(objective, choice, _size_of) if isinstance(choice, Choice) else None
    if sweep or sweep_svg:
        with counted("placing copies and spreads") as on_progress:
            spreads = tuple(sorted({1, 2, 4, 8, spread}))
            facts["sweep"] = sweep_rows(
                traffic,
                limits,
                spreads=spreads,
                catalogue=catalogue,
                host_selects=host_selects,
                on_progress=on_progress,
            )
    print_facts(facts, console)
    if "sweep" in facts:
        print_sweep(facts, console)
    if json:
        write_report(json, facts)
    if svg or sweep_svg:
        draw(traffic, limits, facts, svg, sweep_svg)
    return 1 if facts["broken"] or facts["missed"] else 0


def check_asked(chip: str, replicas: int, spread: int, for_latency: float | None, max_chips: int | None) -> ChipLimits:
    """The chip's limits, or one line about a flag that asks for nothing possible."""
    if chip not in CHIPS:
        raise UserError(f"chip {chip!r} is unknown; use one of {', '.join(CHIPS)}")
    if for_latency is not None and not 0 < for_latency < float("inf"):
        raise UserError(f"--for-latency {for_latency} must be finite and > 0 (milliseconds)")
    if max_chips is not None and max_chips < 1:
        raise UserError(f"--max-chips {max_chips} must be at least 1")
    for name, value in (("replicas", replicas), ("spread", spread)):
        if not 1 <= value <= MOST:
            raise UserError(f"--{name} {value} must be from 1 to {MOST}")
    return CHIPS[chip]


def figures_of(chip: str, devices: str | None) -> Catalogue:
    """The catalogue that a placement on this chip is timed and priced with, or one line where it has no such chip."""
    catalogue = catalogue_of(devices)
    if chip not in catalogue.devices:
        where = "" if devices is None else f"{devices}: "
        raise UserError(
            f"{where}no figures of chip {chip!r}, so it has no time and no energy; give a table [devices.{chip}] with --devices, "
            "or in its plug-in (docs/extend.md)"
        )
    return catalogue


def choice_facts(
    objective: str | None, choice: Choice[Any], size_of: Callable[[Any], dict[str, Any]]
) -> dict[str, Any]:
    """Which placement was taken, and the next best."""
    after = choice.next_best
    return {
        "objective": objective or "chips",
        "taken": size_of(choice.best),
        "next": None if after is None else size_of(after),
    }


def size_facts(found: Placement, *, time_s: float, joules: float) -> dict[str, Any]:
    size = {"replicas": found.replicas, "spread": found.spread, "cores": found.cores, "chips": found.chips}
    return {**size, "time_s": time_s, "joules": joules}


def _size_of(one: Placed) -> dict[str, Any]:
    return size_facts(one.found, time_s=best_time(one), joules=best_joules(one))


def draw(traffic: Traffic, chip: ChipLimits, facts: dict[str, Any], svg: str | None, sweep_svg: str | None) -> None:
    from spikeplan.experiments.report import style
    from spikeplan.experiments.report.figures.placement import placement_figure, sweep_figure

    if svg:
        found = placed(
            traffic, chip, replicas=facts["replicas"], spread=facts["spread"], extent=extents_of(chip)[-1]
        ).found
        write_text(Path(svg), style.svg(placement_figure, found) or "")
    if sweep_svg:
        write_text(Path(sweep_svg), style.svg(sweep_figure, facts) or "")


def extents_of(chip: ChipLimits) -> tuple[str, ...]:
    return ("predictor", "loop") if chip.graded_messages else ("predictor",)


def facts_of(
    traffic: Traffic,
    chip: ChipLimits,
    *,
    replicas: int,
    spread: int,
    catalogue: Catalogue | None = None,
    host_selects: bool = False,
    on_progress: OnProgress = no_progress,
) -> dict[str, Any]:
    """What `--json` writes. `loop` is None where the chip cannot hold it."""
    facts: dict[str, Any] = {
        "artifact": traffic.path,
        "method": traffic.method,
        "task": traffic.task,
        "chip": chip.name,
        "replicas": replicas,
        "spread": spread,
        "reference": traffic.reference,
        "threshold": traffic.threshold,
        "budget": traffic.planner.label,
        "select_on": "host" if host_selects or not chip.graded_messages else "chip",
        "contexts": traffic.contexts(replicas),
        "messages_per_prediction": traffic.sent,
        "loop": None,
        "loop_absent": None if chip.graded_messages else ON_HOST,
        "assumed": list(ASSUMED),
        "budgets_s": BUDGETS_S,
        "simulated": "traffic of one recorded episode",
    }
    broken: dict[tuple[str, str], Any] = {}
    extents = extents_of(chip)
    for number, extent in enumerate(extents, 1):
        one = placed(
            traffic,
            chip,
            replicas=replicas,
            spread=spread,
            extent=extent,
            catalogue=catalogue,
            host_selects=host_selects,
        )
        facts[extent] = extent_facts(one)
        broken |= {(b.layer, b.limit): b for b in one.found.broken}
        on_progress(number, len(extents))
    facts["broken"] = [asdict(b) | {"text": str(b)} for b in broken.values()]
    return facts


def extent_facts(one: Placed) -> dict[str, Any]:
    """A placement that breaks a limit has no time and no energy: it cannot be built."""
    found = one.found
    facts: dict[str, Any] = {
        "cores": found.cores,
        "chips": found.chips,
        "cores_at_80_percent": found.cores_at_80,
        "chips_at_80_percent": found.chips_at_80,
        "neurons": found.neurons,
        "groups": group_rows(found),
        "hops_per_action": one.hops_per_action,
        "time": None,
        "prediction": None,
        "energy": None,
        "within": None,
        "dense": dense_energy(one.traffic, one.extent, one.catalogue),
    }
    if found.broken:
        return facts
    facts["prediction"] = {b: asdict(one.clocks[b].prediction()) for b in BOUNDS}
    facts["time"] = {s: {b: asdict(one.times[s][b]) for b in BOUNDS} for s in SCHEDULES}
    facts["energy"] = {s: one.energy(s) for s in SCHEDULES}
    facts["within"] = {
        s: {name: one.times[s]["nominal"].action_s <= limit for name, limit in BUDGETS_S.items()} for s in SCHEDULES
    }
    return facts


def group_rows(found: Placement) -> list[dict[str, Any]]:
    """Of one replica, and of what there is once: the fullest core of each group."""
    rows = []
    uses = [use for use in found.uses if use.replica <= 0]
    for layer, several in groupby(uses, key=lambda use: use.layer):
        of_layer = list(several)
        most = max(of_layer, key=lambda use: use.neurons)
        rows.append(
            {
                "name": layer,
                "cores": len(of_layer),
                "shares": found.group(layer).shares,
                "neurons": most.neurons,
                "weight_bytes": most.weight_bytes,
                "state_bytes": most.state_bytes,
                "axons_in": most.axons_in,
                "axons_out": most.axons_out,
            }
        )
    return rows
