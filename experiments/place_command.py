"""`spikeplan place`: where a network lies on a chip, and how long a plan takes there."""

from __future__ import annotations

from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import energy
from experiments.agreement import rerun
from experiments.bundle import load_bundle
from experiments.jobs import EPISODE_SEED, scale_thresholds
from experiments.output import write_json
from experiments.record import record_plans
from lava_procs.placement import Placement, hops, place, time_of
from snn.delta_predictor import DeltaPredictor
from spec import artifact as artifact_file
from spec.artifact import Artifact
from spec.errors import UserError
from spec.ledger import Ledger
from spec.limits import CHIPS
from worldmodel.planner import CEMConfig
from worldmodel.tasks import WORLDS

BUDGET_S, BUDGET_OF = 10e-3, "JEPA-R's control period"
SLOW_S, SLOW_OF = 16.0, "V-JEPA 2-AC on an RTX 4090"


def messages_of(artifact: Artifact, axis: str) -> tuple[dict[str, float], CEMConfig]:
    """Messages of a pass, by layer, counted on a plan recorded on a reported episode of the artifact's task; and the
    budget it was planned with."""
    task = str(artifact.provenance.get("task"))
    if task not in WORLDS:
        raise UserError(f"place: the artifact's provenance names task {task!r}; its traffic cannot be recorded")
    model = load_bundle(task).model
    plans = record_plans(model, episodes=1, seed=EPISODE_SEED, every=model.planner.horizon)
    predictor = DeltaPredictor(artifact)
    ledger = Ledger(arm="delta", axis=axis, precision="int8", spiking=True)
    rerun(predictor, plans, axis, ledger)
    sent: dict[str, float] = {}
    calls: dict[str, int] = {}
    for (_, layer, _, _), counts in ledger.counts("predictor"):
        sent[layer] = sent.get(layer, 0) + counts.messages
        calls[layer] = calls.get(layer, 0) + counts.calls
    return {layer: sent[layer] / calls[layer] for layer in sent if calls[layer]}, model.planner


def contexts_of(axis: str, planner: CEMConfig, replicas: int) -> int:
    """Stored contexts a copy keeps beside its working state."""
    turns = -(-planner.samples // replicas)
    return {"none": 0, "order": 0, "rollout": turns if turns > 1 else 0, "mean": planner.horizon,
            "iteration": turns * planner.horizon}[axis]  # fmt: skip


def place_command(path: str, *, chip: str, replicas: int, json: str | None, svg: str | None, console: Console) -> int:
    """Prints the table; 1 when a limit is broken."""
    if chip not in CHIPS:
        raise UserError(f"chip {chip!r} is unknown; use one of {', '.join(CHIPS)}")
    artifact = artifact_file.load(path)
    axis, factor = "none", 1.0
    if chosen := artifact.provenance.get("thresholds", {}).get("chosen"):
        axis, factor = chosen["axis"], chosen["factor"]
    artifact = scale_thresholds(artifact, factor)
    sent, planner = messages_of(artifact, axis)
    found = place(artifact, CHIPS[chip], replicas=replicas, contexts=contexts_of(axis, planner, replicas))
    facts = facts_of(found, artifact, sent, planner, chip)
    facts |= {"artifact": path, "axis": axis, "threshold": factor}
    console.print(cores_table(found))
    show(facts, console)
    if json:
        write_json(Path(json), facts, indent=1)
    if svg:
        from experiments.report.figures_placement import placement_figure

        placement_figure(found).savefig(svg)
    return 1 if found.broken else 0


def facts_of(
    found: Placement, artifact: Artifact, sent: dict[str, float], planner: CEMConfig, chip: str
) -> dict[str, Any]:
    device = energy.default().device(chip)
    schedules: dict[str, Any] = {}
    for schedule in ("sequential", "interleaved"):
        bands = {}
        for bound in ("low", "nominal", "high"):
            seconds = {
                name: getattr(device.figure(figure).band, bound)
                for name, figure in (("synop_s", "t_synop"), ("update_s", "t_update"), ("barrier_s", "t_barrier"))
            }
            bands[bound] = asdict(
                time_of(found, artifact, sent, samples=planner.samples, iterations=planner.iterations,
                        horizon=planner.horizon, schedule=schedule, **seconds)
            )  # fmt: skip
        schedules[schedule] = bands
    cores = len(found.cores)
    passes = planner.evaluations / found.replicas
    return {
        "chip": chip, "replicas": found.replicas, "contexts": found.contexts, "cores": cores, "chips": found.chips,
        "cores_at_80_percent": -(-cores * 10 // 8), "budget": planner.label, "messages_per_pass": sent,
        "hops_per_action": hops(found, sent) * passes, "time": schedules, "broken": [str(b) for b in found.broken],
        "within_10_ms": {s: bands["nominal"]["action_s"] <= BUDGET_S for s, bands in schedules.items()},
        "assumed": [*CHIPS[chip].assumed, "tiles", "t_barrier"],
    }  # fmt: skip


def cores_table(found: Placement) -> Table:
    copies = f", {found.replicas} copies" if found.replicas > 1 else ""
    table = Table(title=f"{found.chip.name}: {len(found.cores)} neurocores on {found.chips} chip(s){copies}; one copy:")
    for name in ("layer", "cores", "neurons a core", "weights, B", "states, B", "axons in", "axons out"):
        table.add_column(name, justify="left" if name == "layer" else "right")
    for layer, group in groupby((use for use in found.cores if use.replica == 0), key=lambda use: use.layer):
        uses = list(group)
        most = max(uses, key=lambda use: use.neurons)
        table.add_row(layer, str(len(uses)), str(most.neurons), f"{most.weight_bytes:,}", f"{most.state_bytes:,}",
                      f"{most.axons_in:,}", f"{most.axons_out:,}")  # fmt: skip
    return table


def show(facts: dict[str, Any], console: Console) -> None:
    table = Table(
        "schedule", "chip steps an action", "step", "action", "one prediction", title=f"CEM {facts['budget']}"
    )
    for schedule, bands in facts["time"].items():
        low, nominal, high = (bands[b] for b in ("low", "nominal", "high"))
        table.add_row(
            schedule, f"{nominal['steps']:,}", f"{nominal['step_s'] * 1e6:.2f} us",
            f"{nominal['action_s'] * 1e3:.3g} ms ({low['action_s'] * 1e3:.3g} .. {high['action_s'] * 1e3:.3g})",
            f"{nominal['latency_s'] * 1e6:.1f} us",
        )  # fmt: skip
    console.print(table)
    best = min(bands["nominal"]["action_s"] for bands in facts["time"].values())
    verdict = "within" if best <= BUDGET_S else "beyond"
    console.print(
        f"{best * 1e3:.3g} ms an action: {verdict} the {BUDGET_S * 1e3:.0f} ms of {BUDGET_OF}; {SLOW_OF} takes {SLOW_S:.0f} s."
    )
    console.print(f"Assumed, not published: {', '.join(facts['assumed'])}. Simulated traffic of one recorded episode.")
    for line in facts["broken"]:
        console.print(f"[red]{line}[/]")
