"""Runs a network on given inputs in NumPy or torch, and records what every neuron sent: the rules of the Lava processes.

network graph    spikeplan.lava_procs.graph.fused, the executor of the fused Lava process
artifact         spikeplan.snn.delta, one pass a step; on reference zero every pass starts anew, else from the last
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir import graph as ir
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.lava_procs.graph.fused import Compiled
from spikeplan.placement.graph import INPUT, Graph
from spikeplan.placement.recording import Recording, of_arrays

Rasters = dict[str, NDArray[Any]]


def record_inputs(
    network: ir.Graph | Artifact,
    graph: Graph,
    inputs: NDArray[Any],
    source: str,
    on_progress: OnProgress = no_progress,
) -> Recording:
    """What the network sends for inputs (T, *input_shape). Raises UserError for inputs that it does not take."""
    if isinstance(network, Artifact):
        return of_arrays(graph, run_artifact(network, inputs, source), source)
    fired = run_network(network, inputs, source=source, on_progress=on_progress)
    return of_arrays(graph, {name: rows for name, rows in fired.items() if name in graph.sources}, source)


def run_network(
    network: ir.Graph, inputs: NDArray[Any], *, source: str = "inputs", on_progress: OnProgress = no_progress
) -> Rasters:
    """Node -> (T, *shape), True where it sent something; `INPUT` too, for what comes from outside.

    >>> run_network(read_nir("cells.nir"), spikes)["cells"].sum(1)
    """
    outside = network.source
    _check(inputs, outside.shape, source, whole=network.fixed)
    if outside.spikes and not np.isin(inputs, (0, 1)).all():
        raise UserError(f"{source}: the first synapses take spikes, 0 or 1; give --graded for values")
    fired = {node.name: np.zeros((len(inputs), *network.shapes[node.name]), bool) for node in network.nodes}
    running = Compiled(network)
    for t, x in enumerate(inputs):
        running.step({outside.name: x})
        for name, rows in fired.items():
            rows[t] = running.slots[name] != 0
        on_progress(t + 1, len(inputs))
    return fired | {INPUT: inputs != 0}


def run_artifact(artifact: Artifact, inputs: NDArray[Any], source: str) -> Rasters:
    """Layer -> (T, n) of a sigma-delta artifact; the last layer's values are read, which is one message each."""
    import torch

    from spikeplan.snn.delta import DeltaNetwork

    network = DeltaNetwork(artifact)
    _check(inputs, (artifact.layers[0].n_in,), source, whole=True)
    if np.abs(inputs).max() > limit(STATE_BITS):
        raise UserError(f"{source}: inputs reach {np.abs(inputs).max()}, a state holds {limit(STATE_BITS)}; scale them")
    x = torch.from_numpy(inputs.astype(np.int64)).to(network.dtype)
    fired: dict[str, list[NDArray[Any]]] = {layer.name: [] for layer in artifact.layers[:-1]}
    state = None
    with torch.no_grad():
        for row in x if artifact.reference != "zero" else (x,):
            done, after = network.run(row.reshape(-1, x.shape[1]), state)
            state = None if artifact.reference == "zero" else after
            for name, messages in zip(fired, done.messages, strict=False):
                fired[name].append((messages != 0).numpy())
    last = artifact.layers[-1]
    read = {last.name: np.ones((len(inputs), last.n_out), bool)}
    return {name: np.concatenate(parts).reshape(len(inputs), -1) for name, parts in fired.items()} | read


def _check(inputs: NDArray[Any], shape: tuple[int, ...], source: str, *, whole: bool) -> None:
    if inputs.shape[1:] != shape or not len(inputs):
        raise UserError(f"{source}: inputs of shape {inputs.shape}; expected (steps, {', '.join(map(str, shape))})")
    if whole and inputs.dtype.kind not in "iub":
        raise UserError(f"{source}: inputs are {inputs.dtype}; a fixed-point network takes integers, quantise them")
    if not np.isfinite(inputs).all() or np.abs(inputs.astype(np.float64)).max() >= 2**31:
        raise UserError(f"{source}: a value is not finite or beyond 32 bits")
