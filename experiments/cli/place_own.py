"""`spikeplan place` for a network of one's own: any artifact, netx or NIR file, with what its neurons send."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir import graph as ir
from spikeplan.core.ir.artifact import Artifact
from spikeplan.evaluation.network_files import header
from spikeplan.evaluation.own_network.counts import mean_rate
from spikeplan.evaluation.own_network.files import messages_of, read_rates, read_recording
from spikeplan.evaluation.own_network.placed import Asked, PlacedNetwork, dense_machines, place_network
from spikeplan.evaluation.own_network.run import record_inputs
from spikeplan.evaluation.own_network.search import joules_of, time_of, tried
from spikeplan.evaluation.placed_energy import BOUNDS
from spikeplan.experiments.cli.lava_run import MOST_STEPS, NETX, NIR, Reading, open_network, read_inputs
from spikeplan.experiments.cli.place import ASSUMED, check_asked, choice_facts, figures_of, group_rows, size_facts
from spikeplan.experiments.report.terminal.placement_own import print_own
from spikeplan.experiments.runner.output import check_outputs, write_report, write_text
from spikeplan.experiments.runner.progress import counted
from spikeplan.placement.graph import Graph, graph_of_artifact, graph_of_network
from spikeplan.placement.objective import Choice, choose
from spikeplan.placement.recording import Recording

KERNELS = "a convolution's kernel is stored once a core"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """Where the messages come from: one of the three. `dt`, `graded`: how a NIR file is read."""

    recording: str | None = None
    rates: str | None = None
    inputs: str | None = None
    dt: float | None = None
    graded: bool = False

    @property
    def given(self) -> bool:
        return not (self.recording is None and self.rates is None and self.inputs is None)


def is_own(path: str, sent: Sent) -> bool:
    """Whether a file is placed as a network of one's own, and not on recorded plans of our tasks."""
    return sent.given or Path(path).suffix.lower() in (*NETX, *NIR)


def own_command(
    path: str,
    sent: Sent,
    *,
    chip: str,
    replicas: int,
    spread: int,
    steps: int | None,
    batch: int,
    passes: int | None,
    objective: str | None,
    for_latency: float | None,
    max_chips: int | None,
    sweep: bool,
    devices: str | None,
    json: str | None,
    svg: str | None,
    console: Console,
) -> int:
    """Prints one short table; 1 when a limit is broken, or no placement is fast or small enough."""
    limits = check_asked(chip, replicas, spread, for_latency, max_chips)
    check_outputs({"--json": json, "--svg": svg}, inputs=(path, sent.recording, sent.inputs, devices))
    catalogue = figures_of(chip, devices)
    asked, notes = asked_of(path, sent, steps=steps, batch=batch, passes=passes)
    choice: Choice[PlacedNetwork] | None = None
    others: list[PlacedNetwork] = []
    if objective is not None or for_latency is not None or sweep:
        with counted("trying placements") as on_progress:
            others = tried(asked, limits, catalogue, max_chips=max_chips, on_progress=on_progress)
    if others and others[0].refused:
        one = others[0]
    elif objective is not None or for_latency is not None:
        if max_chips is not None and not (others := [o for o in others if o.found.chips <= max_chips]):
            needed = place_network(asked, limits, catalogue).found.chips
            raise UserError(f"--max-chips {max_chips}: the network takes {needed} chips of {chip}; allow as many")
        within = None if for_latency is None else for_latency * 1e-3
        choice = choose(
            others,
            objective or "chips",
            time_s=time_of,
            energy_j=joules_of,
            within_s=within,
            what="tried computes the batch",
        )
        one = choice.best
    else:
        one = place_network(asked, limits, catalogue, replicas=replicas, spread=spread)
    facts = facts_of(one, notes)
    facts["missed"] = None if choice is None else choice.missed
    facts["choice"] = None if choice is None else choice_facts(objective, choice, size_of)
    facts["sweep"] = [size_of(other) for other in others] if sweep and not one.refused else None
    print_own(facts, console)
    if json:
        write_report(json, facts)
    if svg:
        from spikeplan.experiments.report import style
        from spikeplan.experiments.report.figures.placement import placement_figure

        write_text(Path(svg), style.svg(placement_figure, one.found) or "")
    return 1 if facts["broken"] or facts["missed"] else 0


def open_own(path: str, sent: Sent) -> tuple[ir.Graph | Artifact, Graph, list[str]]:
    """The network, its graph and what reading it changed. Raises UserError for a file of another kind."""
    if Path(path).suffix.lower() in (*NETX, *NIR):
        network, notes = open_network(path, Reading(dt=sent.dt, graded=sent.graded))
        return network, graph_of_network(network), notes
    if sent.dt is not None or sent.graded:
        raise UserError(f"{path}: --dt and --graded are for NIR files; leave them out")
    kind = header(Path(path)).get("kind", "")
    if "lif" in str(kind):
        raise UserError(
            f"{path}: a LIF network of `spikeplan train` is placed on plans of its task; leave out --recording, --inputs, --rates"
        )
    artifact = artifact_file.load(path)
    return artifact, graph_of_artifact(artifact), []


def asked_of(path: str, sent: Sent, *, steps: int | None, batch: int, passes: int | None) -> tuple[Asked, list[str]]:
    """What is placed, from the words of the command line."""
    if sum(given is not None for given in (sent.recording, sent.rates, sent.inputs)) != 1:
        raise UserError(
            f"{path}: say what its neurons send, in one way: --recording FILE, --inputs FILE or --rates RATE"
        )
    network, graph, notes = open_own(path, sent)
    recording = recording_of(network, graph, sent)
    silent = [name for name in recording.messages if not recording.total(name)]
    if silent:
        notes = [
            *notes,
            f"nothing was sent by {', '.join(silent)}: look at the inputs, thresholds, and --dt of a NIR file",
        ]
    inference = recording.steps if steps is None else steps
    lif = any(layer.kind == "lif" for layer in graph.layers)
    asked = Asked(
        path=path,
        method="lif" if lif else "sigma_delta",
        graph=graph,
        recording=recording,
        steps=inference,
        batch=batch,
        passes=passes if passes is not None else 1 if lif else inference,
    )
    return asked, notes


def recording_of(network: ir.Graph | Artifact, graph: Graph, sent: Sent) -> Recording:
    if sent.recording is not None:
        return read_recording(sent.recording, graph)
    if sent.rates is not None:
        return read_rates(sent.rates, graph)
    assert sent.inputs is not None
    inputs = read_inputs(sent.inputs, MOST_STEPS)
    with counted("running the network on the inputs") as on_progress:
        return record_inputs(network, graph, np.asarray(inputs), sent.inputs, on_progress)


def facts_of(one: PlacedNetwork, notes: list[str]) -> dict[str, Any]:
    """What `--json` writes. A placement that breaks a known limit has neither time nor energy: it cannot be built."""
    asked, found = one.asked, one.found
    graph = asked.graph
    facts: dict[str, Any] = {
        "network": asked.path,
        "chip": found.chip.name,
        "replicas": found.replicas,
        "spread": found.spread,
        "cores": found.cores,
        "chips": found.chips,
        "cores_at_80_percent": found.cores_at_80,
        "chips_at_80_percent": found.chips_at_80,
        "neurons": graph.neurons,
        "weights": graph.weights,
        "steps": asked.steps,
        "batch": asked.batch,
        "recording": {
            "from": asked.recording.source,
            "steps": asked.recording.steps,
            "messages": dict(messages_of(asked.recording)),
            "rate": mean_rate(graph, asked.recording),
        },
        "groups": group_rows(found),
        "broken": [asdict(b) | {"text": str(b)} for b in one.refused],
        "warnings": [str(b) for b in found.broken if b.assumed],
        "assumed": [*ASSUMED, KERNELS],
        "notes": notes,
        "step": None,
        "time": None,
        "energy": None,
        "dense": None,
    }
    if one.refused:
        return facts
    load = one.load
    layer, chip_number, core = load.busiest
    facts["step"] = {
        "busiest": {"layer": layer, "chip": chip_number, "core": core},
        "synops": float(load.synops_T.mean()),
        "updates": load.updates,
        "link_messages": float(load.messages_T.mean()),
        "set_by": one.set_by,
        "seconds": one.step_s.to_json(),
        "joules": one.step_joules.to_json(),
    }
    facts["time"] = {
        "inference": one.inference_s.to_json(),
        "batch": one.batch_s.to_json(),
        "latency": one.latency_s.to_json(),
    }
    facts["energy"] = {
        **{bound: getattr(one.joules, bound) for bound in BOUNDS},
        "without_static": {bound: getattr(one.without_static, bound) for bound in BOUNDS},
        "unit": "J/inference",
        "scope": "system",
        "evidence": one.joules.evidence,
    }
    machines, unpriced = dense_machines(asked, one.catalogue)
    facts["dense"] = {
        "macs": graph.macs,
        "weight_bytes": graph.weights,
        "passes": asked.passes,
        "machines": machines,
        "refused": unpriced,
    }
    return facts


def size_of(one: PlacedNetwork) -> dict[str, Any]:
    return size_facts(one.found, time_s=time_of(one), joules=joules_of(one))
