"""Reads networks in lava-dl's exchange format (netx, HDF5); no lava-dl needed. write.py writes them.

    layer/0 {type: input, shape, neuron}     layer/k {type: conv | dense | dense_rec, shape, neuron, weight, bias, delay, ...}
    layer/k {type: flatten}                  neuron {type: SDNN, vThMant, sigma_output} or
                                                    {type: CUBA | LOIHI, iDecay, vDecay, vThMant}

Read as lava-dl 0.6.0's hdf5.Network reads it, so that what runs from the graph equals what netx runs: sigma-delta networks with
residue "lost", LIF networks always. Every synapse delays by a step, a `delay` of the file comes on top, at most 62 steps. A dense
layer without a neuron is netx's integrator: LIF that never decays in its current and never fires. Refused with one line: what
netx itself does not run (pool, concat, ...), resonate-and-fire neurons and complex layers. Shapes in the file are (C, H, W);
weights are integers stored as floats, (C_out, C_in, H, W) or (n_out, n_in).

netx fits a dense layer's weights into 8 bits and a sign before it runs them, with a shift: `loihi_weights` does the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.conversion.netx.fields import (
    REMEDY,
    array,
    bias_of,
    conv_of,
    cuba,
    delays_of,
    loihi_weights,
    need_h5py,
    scalar,
    text,
    whole,
)
from spikeplan.core.errors import UserError
from spikeplan.core.files import NUMPY_ERRORS
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.ir.graph import Conv, Delta, Edge, Graph, Input, Linear, Node, Readout, Shape, SigmaDelta, Sum
from spikeplan.core.ir.graph.base import MAX_PORTS
from spikeplan.core.ir.graph.neurons import RESIDUES

NOT_RUN = ("concat", "pool", "unpool", "convT", "dense_comp")
KINDS = ("input", "conv", "flatten", "dense", "dense_rec", "average")
MESSAGE_BITS = 16  # netx's own default; the format's key `messageBits` makes netx 0.6.0 fail
MOST_LAYERS = 1000
EXP = 12  # spike_exp and state_exp of netx, 6 each: thresholds and biases are shifted by both
CUBA = ("CUBA", "LOIHI")
WORD, CONV_BITS = 32, 24  # to which lava.proc's Dense and Conv wrap their sums
INPUT = "input"


@dataclass(frozen=True, kw_only=True)
class NetxReport:
    """layers: one line each, input to output; notes: what the file says and nobody runs, or runs otherwise."""

    layers: tuple[str, ...]
    notes: tuple[str, ...]


def read_netx(
    path: str | os.PathLike[str],
    *,
    input_shape: Shape | None = None,
    input_message_bits: int = 0,
    residue: str = "owed",
) -> tuple[Graph, NetxReport]:
    """The network of a netx file, and what reading it changed.

    Args:
        input_shape: (C, H, W) or (n,), for a file without an input layer whose first layer does not say it.
        input_message_bits: 0 for spikes as input of such a file, as netx has it.
        residue: what becomes of the bits that a graded spike leaves out: "owed", or "lost" as in netx.

    Raises UserError, in one line with the file's name, for a damaged file and for what does not run.

    >>> graph, report = read_netx("network.net", residue="lost")
    """
    h5py = need_h5py()
    if residue not in RESIDUES:
        raise UserError(f"residue {residue!r:.40} is unknown; use {' or '.join(RESIDUES)}")
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; give a netx network (.net, .h5)")
    try:
        with h5py.File(path, "r") as file:
            return _Reader(file, input_shape, input_message_bits, residue).read(Path(path).name)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (*NUMPY_ERRORS, LookupError, ArithmeticError) as error:
        said = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: truncated, or no netx HDF5 file ({said}); {REMEDY}") from error


class _Reader:
    """`before`: the node that the next layer reads, `shape`: what it sends."""

    def __init__(self, file: Any, input_shape: Shape | None, input_message_bits: int, residue: str) -> None:
        self.file, self.shape = file, input_shape
        self.spikes, self.lost = input_message_bits == 0, residue == "lost"
        self.notes: list[str] = []
        self.lines: list[str] = []
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []
        self.scales, self.before = dict[str, float](), INPUT

    def read(self, name: str) -> tuple[Graph, NetxReport]:
        if "layer" not in self.file or not hasattr(self.file["layer"], "keys"):
            raise UserError(f"no group 'layer'; it is HDF5 but no netx network; {REMEDY}")
        groups = self.file["layer"]
        if len(groups) > MOST_LAYERS:
            raise UserError(f"{len(groups)} layers, more than {MOST_LAYERS}; split the network")
        flattened = False
        first: Shape | None = self.shape
        for number in range(len(groups)):
            if str(number) not in groups:
                raise UserError(f"layers must be numbered from 0 on, but 'layer/{number}' is missing; {REMEDY}")
            group, here = groups[str(number)], f"layer/{number}"
            kind = text(group, "type", here)
            if kind == "flatten":
                flattened = True
                continue
            try:
                first = self._layer(group, kind, f"{number}-{kind}", flattened, first)
            except UserError as error:
                raise UserError(f"{here} ({kind}): {error}") from error
            flattened = False
        if first is None or not any(isinstance(node, Linear | Conv) for node in self.nodes):
            raise UserError(f"no layers that run; {REMEDY}")
        source = Input(name=INPUT, shape=first, spikes=self.spikes, bits=32)
        graph = Graph(
            nodes=(source, *self.nodes),
            edges=tuple(self.edges),
            outputs=(self.before,),
            scales=self.scales,
            provenance={"source": name, "residue": "lost" if self.lost else "owed"},
        )
        return graph, NetxReport(layers=tuple(self.lines), notes=tuple(self.notes))

    def _layer(self, group: Any, kind: str, name: str, flattened: bool, first: Shape | None) -> Shape:
        if kind in NOT_RUN:
            raise UserError("layers of this type do not run here, nor in netx 0.6.0; replace it")
        if kind not in KINDS:
            raise UserError(f"layer type {kind!r} is unknown; use one of {', '.join(KINDS)}")
        shape = tuple(int(n) for n in np.atleast_1d(array(group, "shape")))
        if min(shape, default=0) < 1 or len(shape) not in (1, 3):
            raise UserError(f"shape {shape}; expected (n,) or (C, H, W)")
        if kind == "input":
            if self.nodes:
                raise UserError("an input layer in the middle of the network")
            if "neuron" in group:
                if "bias" in group or "weight" in group:
                    self.notes.append(f"{name}: netx ignores an input layer's weight and bias, and so do we")
                self.spikes = False
                self._grow(self._neuron(group, name, shape, coder=True), shape)
            self.shape = shape
            return first or shape
        if kind != "conv":
            shape = (int(np.prod(shape)),)
        if kind == "average":
            self._average(name, shape[0])
            return first or shape
        if self.shape is None:
            self.shape = self._size_before(group, kind)
        if kind != "conv" and len(self.shape) == 3 and not flattened:
            raise UserError("a dense layer on a (C, H, W) layer needs a flatten layer before it")
        first = first or self.shape
        neuron = self._neuron(group, name, shape)
        if kind == "conv":
            self._conv(group, name, shape)
        else:
            self._dense(group, name, shape, recurrent=kind == "dense_rec")
        self._grow(neuron, shape)
        return first

    def _average(self, name: str, groups: int) -> None:
        """Of lava-dl's training, done where the spikes are read; netx leaves it out. In integers the sum of a group."""
        n = 0 if self.shape is None else int(np.prod(self.shape))
        if not self.nodes or n % groups:
            raise UserError(f"{n} neurons do not divide into {groups} groups")
        weight = np.repeat(np.eye(groups, dtype=np.int64), n // groups, axis=1)
        self._grow(Linear(name=name, weight=weight, weight_bits=2), (groups,))
        self.scales[name] = groups / n
        self.notes.append(
            f"{name}: sums of {n // groups} neurons, which lava-dl averages; netx itself leaves this layer out"
        )

    def _size_before(self, group: Any, kind: str) -> Shape:
        """Of a file without an input layer: a dense layer's weights say it."""
        if kind == "conv":
            raise UserError("no input layer before it; export the network with one, or pass input_shape to read_netx")
        weight = array(group, "weight")
        return (int(weight.shape[-1]),) if weight.ndim == 2 else (int(weight.size),)

    def _grow(self, node: Node, shape: Shape) -> None:
        """The node reads `before`, and the next layer reads it."""
        self.nodes.append(node)
        self.edges.append(Edge(src=self.before, dst=node.name))
        self.lines.append(f"{node.name} {'x'.join(map(str, shape))}")
        self.before, self.shape = node.name, shape

    def _neuron(self, group: Any, name: str, shape: Shape, *, coder: bool = False) -> Node:
        if "neuron" not in group:
            if coder or "bias" in group:
                raise UserError(f"no neuron given; {REMEDY}")
            self.notes.append(
                f"{name}: no neuron given; as in netx an integrator that keeps its current and never fires"
            )
            return cuba(name, du=-1, dv=4096, vth=1 << 17, bias=np.zeros(1, np.int64))
        found = group["neuron"]
        type_ = text(found, "type", "neuron")
        bias = None
        if not coder and "bias" in group:
            bias = bias_of(whole(array(group, "bias"), "bias"), shape)
        if type_ in CUBA:
            if "gradedSpike" in found and bool(np.asarray(found["gradedSpike"][()]).reshape(-1)[0]):
                raise UserError("graded spikes of CUBA neurons do not run here, nor in netx 0.6.0; use SDNN")
            du, dv, vth = (scalar(found, key) for key in ("iDecay", "vDecay", "vThMant"))
            return cuba(name, du=du - 1, dv=dv, vth=vth, bias=np.zeros(1, np.int64) if bias is None else bias)
        if type_ != "SDNN":
            raise UserError(f"neuron type {type_!r} does not run here; use SDNN, CUBA or LOIHI")
        return self._sigma_delta(found, name, bias, coder=coder)

    def _sigma_delta(self, found: Any, name: str, bias: NDArray[np.int64] | None, *, coder: bool) -> Node:
        if "activation" in found and (act := text(found, "activation", "neuron")) != "relu":
            self.notes.append(f"{name}: activation {act!r}; netx runs relu whatever the file says, and so do we")
        if not coder and "sigma_output" in found:
            if bias is not None:
                raise UserError("bias beside sigma_output; netx cannot run it either; remove the bias")
            return Readout(name=name, bias=np.zeros(1, np.int64), wrap=self.lost)
        sending: dict[str, Any] = {
            "threshold_lsb": scalar(found, "vThMant") << EXP,
            "shift": EXP // 2,
            "message_bits": 0 if self.lost else MESSAGE_BITS,
            "residue": "lost" if self.lost else "owed",
        }
        if sending["threshold_lsb"] >= 1 << 31:
            raise UserError(f"vThMant {sending['threshold_lsb'] >> EXP} << {EXP} is beyond 32 bits; lower it")
        if coder:
            return Delta(name=name, input_exp=EXP, **sending)
        own = np.zeros(1, np.int64) if bias is None else bias << EXP
        return SigmaDelta(name=name, bias=own, target_bits=STATE_BITS, **sending)

    def _conv(self, group: Any, name: str, shape: Shape) -> None:
        if "delay" in group and np.any(array(group, "delay")):
            raise UserError("delays of a convolution do not run here, nor in netx 0.6.0; export it without them")
        synapse = conv_of(group, f"{name}.w", shape, wrap_bits=CONV_BITS if self.lost else None)
        self._synapse(synapse, 1)
        self.before = synapse.name

    def _synapse(self, node: Linear | Conv, delay_steps: int, src: str | None = None) -> None:
        self.nodes.append(node)
        self.edges.append(Edge(src=src or self.before, dst=node.name, delay_steps=delay_steps))

    def _dense(self, group: Any, name: str, shape: Shape, *, recurrent: bool) -> None:
        """One Linear a delay; netx fits the weights of a recurrent layer together."""
        weight = self._weight(group, "weight", shape)
        back = self._weight(group, "weight_rec", shape) if recurrent else weight[:, :0]
        whole = np.hstack([weight, back])
        fitted, exp = loihi_weights(whole)
        lost = int(np.count_nonzero(fitted != whole * 2.0**-exp))
        if lost:
            self.notes.append(f"{name}: {lost} weights do not fit into 8 bits and are changed as netx changes them")
        delays, notes = delays_of(group, weight.shape, name)
        self.notes += notes
        if recurrent and delays.any():
            raise UserError("delays of a recurrent layer do not run here; export it without them")
        parts = []
        for steps in np.unique(delays):
            own = f"{name}.w" if not delays.any() else f"{name}.w{steps}"
            kept = np.where(delays == steps, fitted[:, : weight.shape[1]], 0)
            self._synapse(self._linear(own, kept, exp), 1 + int(steps))
            parts.append(own)
        if recurrent:
            self._synapse(self._linear(f"{name}.rec", fitted[:, weight.shape[1] :], exp), 1, src=name)
            parts.append(f"{name}.rec")
        self.before = self._summed(parts, name)

    def _linear(self, name: str, weight: NDArray[np.int64], exp: int) -> Linear:
        return Linear(name=name, weight=weight, weight_exp=exp, wrap_bits=WORD if self.lost else None)

    def _summed(self, parts: list[str], name: str) -> str:
        """The sum of synapses, in steps of MAX_PORTS."""
        number = 0
        while len(parts) > 1:
            total = Sum(name=f"{name}.sum{number}", bits=None)
            self.nodes.append(total)
            self.edges += [Edge(src=src, dst=total.name, port=port) for port, src in enumerate(parts[:MAX_PORTS])]
            parts, number = [*parts[MAX_PORTS:], total.name], number + 1
        return parts[0]

    def _weight(self, group: Any, key: str, shape: Shape) -> NDArray[np.int64]:
        weight = whole(array(group, key), key)
        if weight.ndim == 1 and not weight.size % shape[0]:
            weight = weight.reshape(shape[0], -1)
        if weight.ndim != 2 or weight.shape[0] != shape[0]:
            raise UserError(f"{key} of shape {weight.shape}; expected ({shape[0]}, n_in)")
        return weight
