"""`spikeplan lava run`: a network file through our Lava processes; messages, states and output, as table, JSON and picture."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from spikeplan.conversion.lif_fixed import quantise
from spikeplan.conversion.netx import read_netx
from spikeplan.conversion.nir import DT_S, read_nir
from spikeplan.core.counts.exchange import dump_rows
from spikeplan.core.errors import UserError
from spikeplan.core.files import NUMPY_ERRORS, new_file, write_whole
from spikeplan.core.format import several
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.core.ir.graph import LIF, Conv, Graph, SigmaDelta, depths, pipelined
from spikeplan.core.ir.graph import file as graph_file
from spikeplan.core.ir.graph.from_artifact import graph_of_artifact
from spikeplan.experiments.runner.output import check_outputs, check_seed, write_json, write_report, write_text
from spikeplan.experiments.runner.progress import working
from spikeplan.lava_procs.graph.run import GraphRecord, run_graph

NETX, NIR, OWN = (".net", ".h5", ".hdf5"), (".nir",), (".safetensors",)
SHOWN = 5  # neurons of a layer whose state is kept
MOST_STEPS = 100_000
MOST_STATES = 1 << 24  # values recorded: beyond it only messages are
SPIKE_RATE, STEP, REACH = 0.3, 20, 127  # of the inputs drawn where none are given
TIMEOUT_S = 600.0


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a file is read. residue: of netx; the others: of NIR. dt None: the reader's own."""

    residue: str = "owed"
    precision: str = "fixed_pt"
    dt: float | None = None
    graded: bool = False
    decay: str = "euler"
    reset: str = "zero"


def network_command(
    path: str,
    reading: Reading,
    *,
    steps: int,
    inputs: str | None,
    seed: int,
    json: str | None,
    svg: str | None,
    counts: str | None = None,
    out: str | None = None,
    console: Console,
) -> None:
    check_outputs({"--json": json, "--svg": svg, "--counts": counts, "--out": out}, inputs=(path, inputs))
    check_seed(seed)
    if not 1 <= steps <= MOST_STEPS:
        raise UserError(f"--steps {steps} must be from 1 to {MOST_STEPS:,}")
    target = None if out is None else new_file(out, (".npz",), replace=True)
    network, notes = open_network(path, reading)
    data = read_inputs(inputs, steps) if inputs else draw_inputs(network, steps, seed)
    watch = len(data) * network.neurons <= MOST_STATES
    if not watch:
        notes.append("too many neurons and steps to record states; messages only")
    if data.shape[1:] != network.source.shape:
        wanted = ", ".join(map(str, network.source.shape))
        raise UserError(f"inputs of shape {data.shape}; expected (steps, {wanted})")
    given = {network.source.name: data}
    with tempfile.TemporaryDirectory() as folder, working(f"{several(len(data), 'step')} in Lava"):
        record = run_graph(network, given, workdir=folder, timeout_s=TIMEOUT_S, watch=watch)
    facts = facts_of(path, network, data, record, notes)
    show(facts, console)
    try:
        if counts:
            with working("counting synapses"):
                write_json(Path(counts), counts_of(network, data, record))
        if json:
            write_report(json, facts)
        if target is not None:
            rows = {"input": data, **{f"output.{name}": found for name, found in record.out.items()}}
            rows |= {f"messages.{node.name}": record.sent[node.name] for node in network.layers}
            write_whole(target, lambda temporary: np.savez_compressed(temporary, **dict[str, Any](rows)))
        if svg:
            from spikeplan.experiments.report import style
            from spikeplan.experiments.report.figures.lava_run import run_figure

            write_text(Path(svg), style.svg(run_figure, facts) or "")
    except OSError as error:
        raise UserError(f"cannot write the results ({error}); choose a writable file") from error


def open_network(path: str, reading: Reading) -> tuple[Graph, list[str]]:
    """The network, by the file's suffix, with a chip's delays, and what reading it changed."""
    suffix = Path(path).suffix.lower()
    if reading.precision not in ("fixed_pt", "floating_pt"):
        raise UserError(f"--precision {reading.precision!r} is unknown; use fixed_pt or floating_pt")
    nir = reading.precision != "fixed_pt" or reading.dt is not None or reading.graded
    if suffix not in NIR and (nir or reading.decay != "euler" or reading.reset != "zero"):
        raise UserError("--precision, --dt, --graded, --decay and --reset are for NIR files; leave them out")
    if suffix in NETX:
        network, report = read_netx(path, residue=reading.residue)
        return network, list(report.notes)
    if suffix in OWN:
        return pipelined(_own(path)), []
    if suffix not in NIR:
        known = f"{', '.join(NETX)} for netx, .nir for NIR and .safetensors for our own"
        raise UserError(f"{path}: suffix {suffix!r} is unknown; use {known}")
    dt_s = DT_S if reading.dt is None else reading.dt
    network = read_nir(path, dt_s=dt_s, graded_input=reading.graded, decay=reading.decay, reset=reading.reset)
    if network.fixed and nir:
        raise UserError(f"{path}: a sigma-delta network of integers; leave out --precision, --dt and --graded")
    if network.fixed or reading.precision == "floating_pt":
        return pipelined(network), []
    network, reports = quantise(network)
    return pipelined(network), [
        f"{name}: threshold {r.vth_lsb} LSB, errors: weights {r.weight_error:.1%} of the largest ({r.lost_weights} lost), "
        f"bias {r.bias_error:.1%}, du {r.du_error:.1%}, dv {r.dv_error:.1%}"
        for name, r in reports.items()
    ]


def _own(path: str) -> Graph:
    """Of a network graph, or of an artifact: what `spikeplan convert` writes."""
    if graph_file.FILE.header(path):
        return graph_file.load(path)
    return graph_of_artifact(artifact_file.load(path))


def read_inputs(path: str, steps: int) -> NDArray[Any]:
    try:
        with Path(path).open("rb") as handle:
            found = np.load(handle, allow_pickle=False)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "iufb" or found.ndim < 2:
            raise ValueError("no array of numbers (steps, ...)")
    except NUMPY_ERRORS as error:
        raise UserError(f"{path}: missing or not an input .npy ({error})") from error
    return found[:steps]


def draw_inputs(network: Graph, steps: int, seed: int) -> NDArray[np.int64]:
    """Spikes where the first synapses take spikes, else a walk of which a third moves every step."""
    source = network.source
    rng, shape = np.random.default_rng(seed), (steps, *source.shape)
    if source.spikes:
        return (rng.random(shape) < SPIKE_RATE).astype(np.int64)
    moves = rng.integers(-STEP, STEP + 1, shape) * (rng.random(shape) < 1 / 3)
    return np.clip(np.cumsum(moves, 0), -REACH, REACH)


def counts_of(network: Graph, data: NDArray[Any], record: GraphRecord) -> dict[str, Any]:
    """The run as operation counts in the exchange format, one action: what `spikeplan energy compare` reads.

    Lava's processes record how many messages a layer sends, and not which neurons send. In front of a convolution that matters:
    the reference runs once more, and must have sent as many.
    """
    from spikeplan.evaluation.own_network.counts import spiking_rows
    from spikeplan.evaluation.own_network.run import run_network as run_reference
    from spikeplan.placement.graph import INPUT, graph_of_network
    from spikeplan.placement.recording import of_arrays

    graph = graph_of_network(network)
    sent: dict[str, NDArray[Any]] = {layer.name: record.sent[layer.name] for layer in graph.layers}
    if graph.input_bits:
        sent[INPUT] = data != 0
    if any(isinstance(node, Conv) for node in network.nodes):
        rasters = run_reference(network, data)
        for name, counted in record.sent.items():
            if not np.array_equal(rasters[name].reshape(len(data), -1).sum(1), counted):
                raise AssertionError(f"node '{name}': the reference sent other messages than Lava's process")
        sent |= {name: rasters[name] for name in sent if name in rasters}
    method = "sigma_delta" if any(isinstance(node, SigmaDelta) for node in network.nodes) else "lif"
    return dump_rows(spiking_rows(graph, of_arrays(graph, sent, "run"), method=method), 1)


def facts_of(path: str, network: Graph, data: NDArray[Any], record: GraphRecord, notes: list[str]) -> dict[str, Any]:
    layers = [
        {
            "name": node.name,
            "shape": list(network.shapes[node.name]),
            "neurons": int(np.prod(network.shapes[node.name])),
            "messages": [int(n) for n in record.sent[node.name]],
            "threshold": float(node.vth.mean()) if isinstance(node, LIF) else None,
            "states": {
                name.removeprefix(f"{node.name}."): _sample(rows.reshape(len(rows), -1)).tolist()
                for name, rows in record.states.items()
                if name.startswith(f"{node.name}.")
            },
        }
        for node in network.layers
    ]
    spikes = np.count_nonzero(data.reshape(len(data), -1), axis=1)
    taken = {"shape": list(network.source.shape), "messages": [int(n) for n in spikes]}
    coded = all(network.node(edge.dst).stateful for edge in network.out_of(network.source.name))
    outside = {} if coded else {"input": taken}  # a coder takes values, synapses messages
    return {
        "network": path,
        "steps": len(data),
        "input_shape": list(network.source.shape),
        "outputs": {name: list(network.shapes[name]) for name in network.outputs},
        "delay": min(depths(network)[name] for name in network.outputs),
        "residue": network.provenance.get("residue"),
        "precision": "fixed_pt" if network.fixed else "floating_pt",
        "step_ms": record.step_s * 1e3,
        "overflows": record.overflows if network.fixed else None,
        "notes": notes,
        "layers": layers,
        **outside,
    }


def _sample(rows: NDArray[Any]) -> NDArray[Any]:
    """(steps, SHOWN): neurons spread over the layer."""
    return rows[:, np.unique(np.linspace(0, rows.shape[1] - 1, SHOWN).astype(int))]


def show(facts: dict[str, Any], console: Console) -> None:
    table = Table(
        "layer", "shape", "neurons", "messages a step", "share", title=f"{several(facts['steps'], 'step')} in Lava"
    )
    for layer in facts["layers"]:
        mean = float(np.mean(layer["messages"]))
        table.add_row(
            layer["name"],
            "x".join(map(str, layer["shape"])),
            f"{layer['neurons']:,}",
            f"{mean:,.1f}",
            f"{mean / layer['neurons']:.3f}",
        )
    console.print(table)
    overflows = "" if facts["overflows"] is None else f"; {facts['overflows']:,} values overflowed"
    sizes = ", ".join("x".join(map(str, shape)) for shape in facts["outputs"].values())
    console.print(f"Input {'x'.join(map(str, facts['input_shape']))}, output {sizes}.")
    console.print(
        f"{facts['step_ms']:.2f} ms a step of simulation; an input reaches the output after "
        f"{several(facts['delay'], 'step')}{overflows}."
    )
    for note in facts["notes"]:
        console.print(note, markup=False)
