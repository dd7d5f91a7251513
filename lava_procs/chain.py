"""Builds the predictor of an artifact as a chain of Lava processes.

    source ==> coder ==> Dense ==> sigma_delta ==> Dense ==> ... ==> Dense ==> sigma
      +-token--> + ------token-------> + ------token-------> ... ------token--> +
                 |                     |                                        |
              recorder              recorder                                 recorder

Data and tokens move on by one layer a time step, so that a pass enters and a pass leaves at every step.

Synapses are Lava's stock Dense in MIXED sign mode: it keeps even weights only, so it is given 2w and weight_exp - 1
(the final right shift by one halves an even number: exact). Dense sums and shifts in int32; the part of weight_exp
that could overflow there is applied by the neuron in int64 (`input_exp`, 0 in any network of sane scale).

Nothing here imports Lava before `build` is called: the parent process validates without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit
from spikeplan.core.ir.artifact import Artifact, Layer
from spikeplan.core.ir.trace import Passes, Trace
from spikeplan.lava_procs.neurons import NeuronParams

PRECISIONS = {"fixed_pt": "int64", "floating_pt": "float64"}
CHANNEL_SIZE = 4  # messages a port can hold; all processes meet after every step, so more than two never wait
INT32_MAX = 2**31 - 1


def validate(artifact: Artifact, passes: Passes) -> None:
    """Refuse what the chain would compute differently from what the artifact says."""
    validate_network(artifact)
    layers = artifact.layers
    for source, layer in pairwise(layers):
        split_exp(layer, source.message_bits)
    if passes.x.shape[1] != layers[0].n_in:
        raise UserError(f"passes: {passes.x.shape[1]} inputs, layer '{layers[0].name}' has {layers[0].n_in}")


def validate_network(artifact: Artifact) -> None:
    """Refuse an artifact that is no chain, or says of a layer what neither the chain nor the fused network computes."""
    layers = artifact.layers
    kinds = [layer.kind for layer in layers]
    if len(kinds) < 2 or kinds != ["delta", *["sigma_delta"] * (len(kinds) - 2), "sigma"]:
        raise UserError(f"artifact: layer kinds {kinds} are no chain; expected delta, sigma_delta ..., sigma")
    names = [layer.name for layer in layers]
    feeds = sorted((edge.src, edge.dst) for edge in artifact.edges if edge.role == "feed")
    if feeds != sorted(pairwise(names)):
        raise UserError(f"artifact: feed edges {feeds} do not chain the layers {names} one after the other")
    for edge in artifact.edges:  # a residual edge is the reader's business: it adds the value once per prediction
        if edge.role == "feed" and edge.delay_steps != 1:
            raise UserError(f"edge {edge.src}->{edge.dst}: delay_steps {edge.delay_steps}; Dense delays by exactly 1")
    artifact.need("a chain in Lava")


def split_exp(layer: Layer, message_bits: int) -> tuple[int, int]:
    """weight_exp = (part for Dense, part for the neuron) such that no sum of messages can overflow int32 in Dense."""
    assert layer.weight is not None
    largest = int(np.abs(layer.weight.astype(np.int64)).sum(axis=1).max()) * limit(message_bits)
    if 2 * largest > INT32_MAX or largest << layer.weight_exp > 2**62:
        raise UserError(
            f"layer '{layer.name}': {layer.n_in} inputs of {message_bits} bits and weight_exp {layer.weight_exp} "
            "overflow the accumulator; lower weight_exp or split the layer"
        )
    room = (INT32_MAX // max(largest, 1)).bit_length() - 1
    in_dense = min(layer.weight_exp, room)
    return in_dense, layer.weight_exp - in_dense


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A built chain. `source` starts and stops all of it; it takes `steps` time steps until the last pass is out."""

    source: Any
    steps: int
    config: Any
    compile_config: dict[str, Any]
    rows: dict[str, Path]  # layer -> the recorder's file


def build(artifact: Artifact, passes: Passes, *, workdir: Path, precision: str = "fixed_pt") -> Chain:
    """Create and connect the processes; nothing is compiled or started yet. Lava must be importable (import_lava)."""
    from lava.magma.core.run_configs import Loihi2SimCfg

    from spikeplan.lava_procs.neuron_model import probe_width
    from spikeplan.lava_procs.processes.delta import Delta
    from spikeplan.lava_procs.processes.recorder import Recorder
    from spikeplan.lava_procs.processes.sigma import Sigma
    from spikeplan.lava_procs.processes.sigma_delta import SigmaDelta
    from spikeplan.lava_procs.processes.source import Source

    families = {"delta": Delta, "sigma_delta": SigmaDelta, "sigma": Sigma}
    validate(artifact, passes)
    numbers = np.arange(1, len(passes) + 1)
    source = Source(x=passes.x, tokens=np.stack([numbers, passes.load, passes.save], axis=1))
    rows = {}
    control_out, messages_out = source.control_out, source.x_out
    message_bits = 0
    for index, layer in enumerate(artifact.layers):
        input_exp = 0
        if layer.weight is not None:
            dense, input_exp = _dense(layer, message_bits, precision)
            messages_out.connect(dense.s_in)
            messages_out = dense.a_out
        params = NeuronParams.of(layer, input_exp=input_exp)
        group = families[layer.kind](params=params, contexts=passes.contexts, name=layer.name)
        messages_out.connect(group.a_in)
        control_out.connect(group.control_in)
        rows[layer.name] = workdir / f"rows_{index}.npy"
        recorder = Recorder(
            path=str(rows[layer.name]),
            rows=len(passes),
            width=probe_width(layer.n_out),
            dtype=PRECISIONS[precision],
            name=f"{layer.name}_recorder",
        )
        group.probe_out.connect(recorder.probe_in)
        control_out, messages_out, message_bits = group.control_out, group.s_out, layer.message_bits
    return Chain(
        source=source,
        steps=len(passes) + len(artifact.layers) - 1,
        config=Loihi2SimCfg(select_tag=precision),
        compile_config={"pypy_channel_size": CHANNEL_SIZE},
        rows=rows,
    )


def _dense(layer: Layer, message_bits: int, precision: str) -> tuple[Any, int]:
    from lava.proc.dense.process import Dense
    from lava.utils.weightutils import SignMode

    assert layer.weight is not None
    name = f"{layer.name}_synapses"
    if precision == "floating_pt":
        weight = layer.weight * 2.0**layer.weight_exp
        return Dense(weights=weight, num_message_bits=message_bits, name=name), 0
    in_dense, in_neuron = split_exp(layer, message_bits)
    dense = Dense(
        weights=2 * layer.weight.astype(np.int32),
        weight_exp=in_dense - 1,
        sign_mode=SignMode.MIXED,
        num_message_bits=message_bits,
        name=name,
    )
    return dense, in_neuron


def collect(artifact: Artifact, rows: dict[str, Path], passes: int) -> Trace:
    """Trace from the recorders' files; every pass must have arrived at every recorder."""
    messages, sigma, ref, saturated = {}, {}, {}, {}
    value: NDArray[Any] = np.zeros((passes, 0))
    for layer in artifact.layers:
        recorded = np.load(rows[layer.name])
        if not np.array_equal(recorded[:, 0], np.arange(1, passes + 1)):
            raise RuntimeError(f"layer '{layer.name}': not every pass reached the recorder")
        saturated[layer.name] = int(recorded[:, 1].sum())
        out, sums, refs = np.split(recorded[:, 2:], 3, axis=1)
        if layer.kind != "delta":
            sigma[layer.name] = sums
        if layer.kind == "sigma":
            value = out
        else:
            messages[layer.name], ref[layer.name] = out, refs
    return Trace(messages=messages, sigma=sigma, ref=ref, value=value, saturated=saturated)
