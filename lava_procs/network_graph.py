"""A network description as a graph of Lava processes between a source and recorders.

    fused   source -> Network -> log                           our one process, sigma-delta
    stock   source -> Delta -> Dense | Conv -> SigmaDelta ...  Lava's own processes, what netx builds; LIF likewise
    lif     source -> Dense -> our LIF -> ...                  with the LIF process of lava_procs/processes

Every form has the same delay of one step a layer of synapses. Nothing imports Lava before `build` is called.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir.network import Conv, Dense, Layer, LIFNeuron, Network, SDNeuron
from spikeplan.lava_procs.lif import LIFParams

FORMS = ("fused", "stock", "lif")


@dataclass(frozen=True, kw_only=True)
class Graph:
    """`start` starts and stops all of it. files: what is recorded -> .npy file, one row a step."""

    start: Any
    tag: str
    files: dict[str, Path]


def form_of(network: Network) -> str:
    return "fused" if network.sigma_delta else "lif"


def build(
    network: Network,
    inputs: NDArray[Any],
    *,
    form: str,
    folder: Path,
    residue: str = "owed",
    watch: bool = False,
    counts: bool = True,
) -> Graph:
    """inputs: (T, *network.input_shape). `watch`: states are recorded too; `counts`: the fused form's messages are."""
    from lava.proc.io.source import RingBuffer

    if form not in FORMS or form in (("lif",) if network.sigma_delta else ("fused",)):
        raise UserError(f"form {form!r} does not run this network; use {form_of(network)!r}")
    recording = _Recording(folder, len(inputs), watch)
    order = tuple(reversed(range(1, inputs.ndim)))  # (T, C, H, W) -> (W, H, C, T), Lava's order with time last
    fixed = network.fixed
    source = RingBuffer(
        data=np.ascontiguousarray(inputs.transpose(*order, 0).astype(np.int32 if fixed else np.float64))
    )
    if form == "fused":
        _fused(source.s_out, network, residue, recording, counts=counts)
    else:
        _chain(source.s_out, network, recording, stock=form == "stock")
    return Graph(start=source, tag="fixed_pt" if fixed else "floating_pt", files=recording.files)


class _Recording:
    def __init__(self, folder: Path, steps: int, watch: bool) -> None:
        self.folder, self.steps, self.watch = folder, steps, watch
        self.files: dict[str, Path] = {}

    def port(self, port: Any, name: str) -> None:
        from spikeplan.lava_procs.processes.log import Log

        port.connect(Log(path=self._file(name), steps=self.steps, shape=port.shape, name=f"log {name}").a_in)

    def var(self, var: Any, name: str, dtype: str) -> None:
        from spikeplan.lava_procs.processes.watch import Watch

        if self.watch:
            watch = Watch(path=self._file(name), steps=self.steps, shape=var.shape, dtype=dtype, name=f"watch {name}")
            watch.var_ref.connect_var(var)

    def _file(self, name: str) -> str:
        self.files[name] = self.folder / f"rows_{len(self.files)}.npy"
        return str(self.files[name])


def _fused(out: Any, network: Network, residue: str, recording: _Recording, *, counts: bool) -> None:
    from spikeplan.lava_procs.processes.network import Network as Process

    process = Process(network=network, residue=residue)
    out.connect(process.a_in)
    recording.port(process.s_out, "out")
    if counts:
        recording.port(process.counts_out, "counts")
    recording.var(process.sigma, "sigma", "int64")
    recording.var(process.ref, "ref", "int64")


def _chain(out: Any, network: Network, recording: _Recording, *, stock: bool) -> None:
    bits = 24 if network.graded_input else 0  # any number > 0 makes Dense and Conv take values, 0 spikes
    before = network.input_shape
    for layer in network.layers:
        if layer.synapse is not None:
            synapse = _synapse(layer, before, bits)
            if isinstance(layer.synapse, Dense) and len(before) == 3:
                out = out.transpose([2, 1, 0]).flatten()
            out.connect(synapse.s_in)
            out = synapse.a_out
        neurons = _neurons(layer, stock=stock, fixed=network.fixed)
        out.connect(neurons.a_in)
        out = neurons.s_out
        recording.port(out, f"{layer.name}.messages")
        if isinstance(layer.neuron, LIFNeuron):
            for name in ("u", "v"):
                recording.var(getattr(neurons, name), f"{layer.name}.{name}", "int64" if network.fixed else "float64")
        elif layer.neuron.kind != "delta":
            recording.var(neurons.sigma, f"{layer.name}.sigma", "int64")
        bits = layer.neuron.message_bits if isinstance(layer.neuron, SDNeuron) else 0
        before = layer.shape


def _synapse(layer: Layer, before: tuple[int, ...], bits: int) -> Any:
    if isinstance(layer.synapse, Dense):
        from lava.proc.dense.process import Dense as Stock

        weight = layer.synapse.weight
        mixed = weight.min() < 0 < weight.max()
        return Stock(  # 8 bits and a sign: Lava then truncates nothing, which is the readers' business
            weights=weight,
            weight_exp=layer.synapse.weight_exp,
            num_weight_bits=8 + int(mixed),
            num_message_bits=bits,
            name=f"{layer.name} synapses",
        )
    from lava.proc.conv.process import Conv as StockConv

    assert isinstance(layer.synapse, Conv)
    flipped = layer.synapse.weight[:, :, ::-1, ::-1].transpose(0, 3, 2, 1)  # Lava convolves, in (W, H)
    return StockConv(
        weight=np.ascontiguousarray(flipped),
        input_shape=before[::-1],
        padding=layer.synapse.padding[::-1],
        stride=layer.synapse.stride[::-1],
        dilation=layer.synapse.dilation[::-1],
        groups=layer.synapse.groups,
        num_message_bits=bits,
        name=f"{layer.name} synapses",
    )


def _neurons(layer: Layer, *, stock: bool, fixed: bool) -> Any:
    neuron, shape = layer.neuron, layer.shape[::-1]
    if isinstance(neuron, LIFNeuron):
        if stock:
            return _stock_lif(neuron, shape, layer.name, fixed=fixed)
        from spikeplan.lava_procs.processes.lif import LIF

        params = LIFParams(du=neuron.du, dv=neuron.dv, vth=neuron.vth, bias_mant=neuron.bias, bias_exp=neuron.bias_exp)
        return LIF(shape=shape, params=params, name=layer.name)
    from lava.proc.sdn.process import Delta, Sigma, SigmaDelta

    if neuron.kind == "sigma":
        return Sigma(shape=shape)
    exps = {"vth": neuron.vth, "spike_exp": neuron.spike_exp, "state_exp": neuron.state_exp}
    if neuron.kind == "delta":
        return Delta(shape=shape, **exps)
    bias = 0 if neuron.bias is None else np.ascontiguousarray(neuron.bias.transpose().astype(np.int32))
    return SigmaDelta(shape=shape, bias=bias, **exps)


def _stock_lif(neuron: LIFNeuron, shape: tuple[int, ...], name: str, *, fixed: bool) -> Any:
    from lava.proc.lif.process import LIF as Stock

    if any(len(np.unique(array)) > 1 for array in (neuron.du, neuron.dv, neuron.vth)):
        raise UserError(f"layer '{name}': lava.proc.lif takes one du, dv and vth for all neurons; use form 'lif'")
    exp = {"bias_exp": neuron.bias_exp} if fixed else {}
    du, dv, vth = (array.flat[0].item() for array in (neuron.du, neuron.dv, neuron.vth))
    return Stock(shape=shape, du=du, dv=dv, vth=vth, bias_mant=neuron.bias, name=name, **exp)
