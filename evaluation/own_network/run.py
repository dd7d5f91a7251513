"""Runs a network on given inputs in NumPy or torch, and records what every neuron sent: the rules of the Lava processes.

sigma-delta network    spikeplan.lava_procs.network, the arithmetic of the fused Lava process
LIF network            spikeplan.lava_procs.lif, layer after layer with one step of delay each
artifact               spikeplan.snn.delta, one pass a step; on reference zero every pass starts anew, else from the last
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.network import Conv, Dense, LIFNeuron, Network
from spikeplan.core.progress import OnProgress, no_progress
from spikeplan.lava_procs.lif import LIFParams, LIFState, lif_fixed, lif_float
from spikeplan.lava_procs.network import SigmaDeltaNetwork
from spikeplan.placement.graph import INPUT, Graph
from spikeplan.placement.recording import Recording, of_arrays

Rasters = dict[str, NDArray[Any]]


def record_inputs(
    network: Network | Artifact, graph: Graph, inputs: NDArray[Any], source: str, on_progress: OnProgress = no_progress
) -> Recording:
    """What the network sends for inputs (T, *input_shape). Raises UserError for inputs that it does not take."""
    if isinstance(network, Artifact):
        return of_arrays(graph, run_artifact(network, inputs, source), source)
    return of_arrays(graph, run_network(network, inputs, source=source, on_progress=on_progress), source)


def run_network(
    network: Network,
    inputs: NDArray[Any],
    *,
    residue: str = "owed",
    source: str = "inputs",
    on_progress: OnProgress = no_progress,
) -> Rasters:
    """Layer -> (T, *shape), True where a neuron sent; `INPUT` too, where synapses take the input.

    >>> run_network(read_nir("cells.nir"), spikes)["cells"].sum(1)
    """
    _check(inputs, network.input_shape, source, whole=network.fixed)
    if not network.graded_input and not np.isin(inputs, (0, 1)).all():
        raise UserError(f"{source}: the first synapses take spikes, 0 or 1; give --graded for values")
    fired = {layer.name: np.zeros((len(inputs), *layer.shape), bool) for layer in network.layers}
    step = _sigma_delta(network, residue) if network.sigma_delta else _lif(network)
    for t, x in enumerate(inputs):
        for layer, sent in zip(network.layers, step(x), strict=True):
            fired[layer.name][t] = sent.reshape(layer.shape) != 0
        on_progress(t + 1, len(inputs))
    outside = {} if network.layers[0].synapse is None else {INPUT: inputs != 0}
    return fired | outside


def _sigma_delta(network: Network, residue: str) -> Callable[[NDArray[Any]], list[NDArray[Any]]]:
    running = SigmaDeltaNetwork(network, residue=residue)

    def step(x: NDArray[Any]) -> list[NDArray[Any]]:
        running.step(x)
        return running.sent[1:]

    return step


def _lif(network: Network) -> Callable[[NDArray[Any]], list[NDArray[Any]]]:
    """What each layer takes in was sent one step before; so the last one goes first."""
    if any(isinstance(layer.synapse, Conv) for layer in network.layers):
        raise UserError("convolutions into LIF neurons run in Lava alone; give --recording or --rates")
    dtype: Any = np.int64 if network.fixed else np.float64
    states, params, weights = [], [], []
    for layer in network.layers:
        neuron, synapse = layer.neuron, layer.synapse
        assert isinstance(neuron, LIFNeuron) and isinstance(synapse, Dense)
        rest = np.zeros(layer.n, dtype)
        states.append(LIFState(rest, rest.copy()))
        params.append(
            LIFParams(du=neuron.du, dv=neuron.dv, vth=neuron.vth, bias_mant=neuron.bias, bias_exp=neuron.bias_exp)
        )
        weights.append((synapse.weight.astype(dtype), synapse.weight_exp))
    sent = [np.zeros(int(np.prod(network.input_shape)), dtype), *(np.zeros(layer.n, dtype) for layer in network.layers)]

    def step(x: NDArray[Any]) -> list[NDArray[Any]]:
        for number in reversed(range(len(states))):
            weight, exp = weights[number]
            a = weight @ sent[number]
            if network.fixed:
                fired, states[number] = lif_fixed(a << exp if exp >= 0 else a >> -exp, states[number], params[number])
            else:
                fired, states[number] = lif_float(a, states[number], params[number])
            sent[number + 1] = fired.astype(dtype)
        sent[0] = x.reshape(-1).astype(dtype)
        return sent[1:]

    return step


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
