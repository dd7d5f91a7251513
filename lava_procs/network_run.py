"""Parent side of a network's run in Lava: a worker in its own process group, a record back, nothing left behind."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir import network as description
from spikeplan.core.ir.network import Network
from spikeplan.lava_procs import child
from spikeplan.lava_procs.network import RESIDUES, check
from spikeplan.lava_procs.network_graph import form_of


@dataclass(frozen=True, kw_only=True)
class Record:
    """T steps of a network. out (T, *output_shape): what the last layer sent, the effect of the input `delay` steps before;
    counts {layer: (T,)}: its messages that were not zero; states {name: (T, n)}: sigma and ref, or u and v, of a layer
    (when watched); overflows: values that did not fit (fused form only); step_s: seconds a step of the simulation."""

    out: NDArray[Any]
    counts: dict[str, NDArray[np.int64]]
    states: dict[str, NDArray[Any]]
    overflows: int | None
    step_s: float


def run_network(
    network: Network,
    inputs: NDArray[Any],
    *,
    workdir: str | os.PathLike[str],
    timeout_s: float,
    form: str | None = None,
    residue: str = "owed",
    watch: bool = False,
    counts: bool = True,
) -> Record:
    """Run a network of any shape for T time steps in Lava, in a process of its own, and record what it does.

    Args:
        network: layers and synapses, as read from a NIR or netx file.
        inputs: (T, *network.input_shape), integers for a fixed-point network.
        workdir: receives the job, the record and worker.log.
        timeout_s: seconds without an answer until the worker is ended.
        form: "stock" builds Lava's own processes; None: "fused" for a sigma-delta network, else "lif".
        residue: what becomes of the bits that a graded spike leaves out, "owed" (sent later) or "lost".
        watch: record the states of every layer too.
        counts: False leaves out the recorder of the fused form's messages (counts is empty, overflows None).

    Raises UserError for bad input, and LavaError for a crash or no answer in time; the worker's group has ended then.

    >>> record = run_network(network, np.ones((100, 34), np.int64), workdir="runs/net", timeout_s=60)
    >>> record.out.shape
    """
    child.check_timeout(timeout_s)
    inputs = np.asarray(inputs)
    if inputs.ndim != 1 + len(network.input_shape) or inputs.shape[1:] != network.input_shape or not len(inputs):
        raise UserError(f"inputs of shape {inputs.shape}; expected (steps, {', '.join(map(str, network.input_shape))})")
    if network.fixed and inputs.dtype.kind not in "iub":
        raise UserError(f"inputs are {inputs.dtype}; a fixed-point network takes integers, quantise them first")
    if not np.isfinite(inputs).all() or inputs.max() >= 2**31 or inputs.min() <= -(2**31):
        raise UserError("inputs: a value is not finite or beyond 32 bits")
    if not network.graded_input and not np.isin(inputs, (0, 1)).all():
        raise UserError(
            "inputs: the first synapses take spikes, 0 or 1; read the network with graded_input=True (--graded)"
        )
    if network.sigma_delta or residue not in RESIDUES:
        check(network, residue)
    folder = Path(workdir).resolve()
    form = form or form_of(network)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        description.save(network, folder / "network.npz")
        np.save(folder / "inputs.npy", inputs)
        job = {
            "network": str(folder / "network.npz"),
            "inputs": str(folder / "inputs.npy"),
            "form": form,
            "residue": residue,
            "watch": watch,
            "counts": counts,
            "record": str(folder / "record.npz"),
            "parent": os.getpid(),
        }
        (folder / "job.json").write_text(json.dumps(job, indent=1))
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error}); choose a writable directory") from error
    child.run("spikeplan.lava_procs.network_worker", folder, timeout_s)
    with np.load(folder / "record.npz") as found:
        rows = {name: found[name] for name in found.files}
    for scratch in folder.glob("rows_*.npy"):
        scratch.unlink()
    return record_of(network, rows)


def record_of(network: Network, rows: dict[str, NDArray[Any]]) -> Record:
    """From what the processes recorded, in Lava's order."""
    last = network.layers[-1]
    steps_last = rows["out"] if "out" in rows else rows[f"{last.name}.messages"]
    out = steps_last.transpose(0, *reversed(range(1, steps_last.ndim)))
    if "counts" in rows:
        counts = {layer.name: rows["counts"][:, i] for i, layer in enumerate(network.layers)}
    elif "out" in rows:
        counts = {}
    else:
        counts = {
            layer.name: np.count_nonzero(rows[f"{layer.name}.messages"].reshape(len(out), -1), axis=1)
            for layer in network.layers
        }
    states = {}
    ends = np.cumsum([layer.n for layer in network.layers])
    for layer, end in zip(network.layers, ends, strict=True):
        for name in ("sigma", "ref", "u", "v"):
            if f"{layer.name}.{name}" in rows:
                found = rows[f"{layer.name}.{name}"]
                states[f"{layer.name}.{name}"] = found.transpose(0, *reversed(range(1, found.ndim))).reshape(
                    len(out), -1
                )
            elif name in rows:
                states[f"{layer.name}.{name}"] = rows[name][:, end - layer.n : end]
    overflows = int(rows["counts"][-1, -1]) if "counts" in rows else None
    return Record(out=out, counts=counts, states=states, overflows=overflows, step_s=float(rows["step_s"]))
