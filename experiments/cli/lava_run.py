"""`spikeplan lava run`: a netx or NIR file through our Lava processes; messages a step and states, as table, JSON and picture."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from spikeplan.conversion.lif_fixed import quantise
from spikeplan.conversion.netx import read_netx
from spikeplan.conversion.nir_file import read_nir
from spikeplan.core.counts.exchange import dump_rows
from spikeplan.core.errors import UserError
from spikeplan.core.files import NUMPY_ERRORS
from spikeplan.core.format import several
from spikeplan.core.ir.network import Conv, LIFNeuron, Network
from spikeplan.experiments.runner.output import check_outputs, check_seed, write_json, write_report, write_text
from spikeplan.experiments.runner.progress import working
from spikeplan.lava_procs.network_run import Record, run_network

NETX, NIR = (".net", ".h5", ".hdf5"), (".nir",)
SHOWN = 5  # neurons of a layer whose state is kept
MOST_STEPS = 100_000
MOST_STATES = 1 << 24  # values recorded: beyond it only messages are
SPIKE_RATE, STEP, REACH = 0.3, 20, 127  # of the inputs drawn where none are given
TIMEOUT_S = 600.0


def network_command(
    path: str,
    *,
    steps: int,
    inputs: str | None,
    residue: str,
    precision: str,
    dt: float | None,
    graded: bool,
    seed: int,
    json: str | None,
    svg: str | None,
    counts: str | None = None,
    console: Console,
) -> None:
    check_outputs({"--json": json, "--svg": svg, "--counts": counts}, inputs=(path, inputs))
    check_seed(seed)
    if not 1 <= steps <= MOST_STEPS:
        raise UserError(f"--steps {steps} must be from 1 to {MOST_STEPS:,}")
    network, notes = open_network(path, precision=precision, dt=dt, graded=graded)
    data = read_inputs(inputs, steps) if inputs else draw_inputs(network, steps, seed)
    watch = len(data) * sum(layer.n for layer in network.layers) <= MOST_STATES
    if not watch:
        notes.append("too many neurons and steps to record states; messages only")
    with tempfile.TemporaryDirectory() as folder, working(f"{several(len(data), 'step')} in Lava"):
        record = run_network(network, data, workdir=folder, timeout_s=TIMEOUT_S, residue=residue, watch=watch)
    facts = facts_of(path, network, data, record, notes, residue)
    show(facts, console)
    try:
        if counts:
            with working("counting synapses"):
                write_json(Path(counts), counts_of(network, data, record, residue))
        if json:
            write_report(json, facts)
        if svg:
            from spikeplan.experiments.report import style
            from spikeplan.experiments.report.figures.lava_run import run_figure

            write_text(Path(svg), style.svg(run_figure, facts) or "")
    except OSError as error:
        raise UserError(f"cannot write the results ({error}); choose a writable file") from error


def open_network(path: str, *, precision: str, dt: float | None, graded: bool = False) -> tuple[Network, list[str]]:
    """The description, by the file's suffix, and what reading it changed."""
    suffix = Path(path).suffix.lower()
    if precision not in ("fixed_pt", "floating_pt"):
        raise UserError(f"--precision {precision!r} is unknown; use fixed_pt or floating_pt")
    if suffix in NETX:
        if precision != "fixed_pt" or dt is not None or graded:
            raise UserError("--precision, --dt and --graded are for NIR files; netx networks run in fixed point")
        network, report = read_netx(path)
        return network, list(report.notes)
    if suffix not in NIR:
        raise UserError(f"{path}: suffix {suffix!r} is unknown; use {', '.join(NETX)} for netx and .nir for NIR")
    network = read_nir(path, graded_input=graded, **({} if dt is None else {"dt_s": dt}))
    if precision == "floating_pt":
        return network, []
    network, reports = quantise(network)
    return network, [
        f"{name}: threshold {r.vth_lsb} LSB, errors: weights {r.weight_error:.1%} of the largest ({r.lost_weights} lost), "
        f"bias {r.bias_error:.1%}, du {r.du_error:.1%}, dv {r.dv_error:.1%}"
        for name, r in reports.items()
    ]


def read_inputs(path: str, steps: int) -> NDArray[Any]:
    try:
        with Path(path).open("rb") as handle:
            found = np.load(handle, allow_pickle=False)
        if not isinstance(found, np.ndarray) or found.dtype.kind not in "iufb" or found.ndim < 2:
            raise ValueError("no array of numbers (steps, ...)")
    except NUMPY_ERRORS as error:
        raise UserError(f"{path}: missing or not an input .npy ({error})") from error
    return found[:steps]


def draw_inputs(network: Network, steps: int, seed: int) -> NDArray[np.int64]:
    """Spikes where the first synapses take spikes, else a walk of which a third moves every step."""
    rng, shape = np.random.default_rng(seed), (steps, *network.input_shape)
    if not network.graded_input:
        return (rng.random(shape) < SPIKE_RATE).astype(np.int64)
    moves = rng.integers(-STEP, STEP + 1, shape) * (rng.random(shape) < 1 / 3)
    return np.clip(np.cumsum(moves, 0), -REACH, REACH)


def counts_of(network: Network, data: NDArray[Any], record: Record, residue: str) -> dict[str, Any]:
    """The run as operation counts in the exchange format, one action: what `spikeplan energy compare` reads.

    Lava's processes record how many messages a layer sends, and not which neurons send. In front of a convolution that matters:
    the reference runs once more, and must have sent as many.
    """
    from spikeplan.evaluation.own_network.counts import spiking_rows
    from spikeplan.evaluation.own_network.run import run_network as run_reference
    from spikeplan.placement.graph import INPUT, graph_of_network
    from spikeplan.placement.recording import of_arrays

    graph = graph_of_network(network)
    sent: dict[str, NDArray[Any]] = dict(record.counts)
    if graph.input_bits:
        sent[INPUT] = data != 0
    if any(isinstance(layer.synapse, Conv) for layer in network.layers):
        rasters = run_reference(network, data, residue=residue)
        for name, counted in record.counts.items():
            if not np.array_equal(rasters[name].reshape(len(data), -1).sum(1), counted):
                raise AssertionError(f"layer '{name}': the reference sent other messages than Lava's process")
        sent |= rasters
    method = "sigma_delta" if network.sigma_delta else "lif"
    return dump_rows(spiking_rows(graph, of_arrays(graph, sent, "run"), method=method), 1)


def facts_of(
    path: str, network: Network, data: NDArray[Any], record: Record, notes: list[str], residue: str
) -> dict[str, Any]:
    layers = [
        {
            "name": layer.name,
            "shape": list(layer.shape),
            "neurons": layer.n,
            "messages": [int(n) for n in record.counts[layer.name]],
            "threshold": float(layer.neuron.vth.mean()) if isinstance(layer.neuron, LIFNeuron) else None,
            "states": {
                name.removeprefix(f"{layer.name}."): _sample(rows).tolist()
                for name, rows in record.states.items()
                if name.startswith(f"{layer.name}.")
            },
        }
        for layer in network.layers
    ]
    spikes = np.count_nonzero(data.reshape(len(data), -1), axis=1)
    taken = {"shape": list(network.input_shape), "messages": [int(n) for n in spikes]}
    outside = {} if network.layers[0].synapse is None else {"input": taken}  # a coder takes values, synapses messages
    return {
        "network": path,
        "steps": len(record.out),
        "delay": network.delay,
        "residue": residue if network.sigma_delta else None,
        "precision": "fixed_pt" if network.fixed else "floating_pt",
        "step_ms": record.step_s * 1e3,
        "overflows": record.overflows,
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
    console.print(
        f"{facts['step_ms']:.2f} ms a step of simulation; an input reaches the output after "
        f"{several(facts['delay'], 'step')}{overflows}."
    )
    for note in facts["notes"]:
        console.print(note, markup=False)
