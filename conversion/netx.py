"""Reads networks in lava-dl's exchange format (netx, HDF5); no lava-dl needed. conversion/netx_write.py writes them.

    layer/0 {type: input, shape, neuron}        layer/k {type: conv | dense, shape, neuron, weight, bias, ...}
    layer/k {type: flatten}                     neuron {type: SDNN, vThMant, sigma_output}

Read as lava-dl 0.6.0's hdf5.Network reads it, sigma-delta (SDNN) networks of input, conv, flatten and dense layers, so that
what runs from the description equals what netx runs (residue "lost"). Refused with one line: what netx itself does not run
(average, pool, ...), LIF and resonate-and-fire neurons, delays, recurrent and complex layers. Shapes in the file are
(C, H, W); weights are integers stored as floats, (C_out, C_in, H, W) or (n_out, n_in).

netx fits a dense layer's weights into 8 bits and a sign before it runs them, with a shift: `loihi_weights` does the same.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import floor, inf, log2
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir.network import MOST_VALUES, Conv, Dense, Layer, Network, SDNeuron, Shape

NOT_RUN = ("average", "concat", "pool", "unpool", "convT", "dense_rec", "dense_comp")
MESSAGE_BITS = 16  # netx's own default; the format's key `messageBits` makes netx 0.6.0 fail
MOST_LAYERS = 1000
REMEDY = "export it again with lava-dl"


@dataclass(frozen=True, kw_only=True)
class NetxReport:
    """layers: one line each, input to output; notes: what the file says and nobody runs, or runs otherwise."""

    layers: tuple[str, ...]
    notes: tuple[str, ...]


def need_h5py() -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise UserError("netx files need h5py; install it with `pip install spikeplan[netx]`") from error
    return h5py


def read_netx(
    path: str | os.PathLike[str], *, input_shape: Shape | None = None, input_message_bits: int = 0
) -> tuple[Network, NetxReport]:
    """`input_shape` (C, H, W) or (n,) and `input_message_bits` (0: spikes) as netx takes them: for files without an input
    layer of their own."""
    h5py = need_h5py()
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file; give a netx network (.net, .h5)")
    try:
        with h5py.File(path, "r") as file:
            return _Reader(file, input_shape, input_message_bits).read()
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
        said = " ".join(str(error).split())[:120]
        raise UserError(f"{path}: truncated, or no netx HDF5 file ({said}); {REMEDY}") from error


class _Reader:
    def __init__(self, file: Any, input_shape: Shape | None, input_message_bits: int) -> None:
        self.file, self.shape, self.bits = file, input_shape, input_message_bits
        self.graded = input_message_bits > 0
        self.notes: list[str] = []
        self.layers: list[Layer] = []

    def read(self) -> tuple[Network, NetxReport]:
        if "layer" not in self.file or not hasattr(self.file["layer"], "keys"):
            raise UserError(f"no group 'layer'; it is HDF5 but no netx network; {REMEDY}")
        groups, number = self.file["layer"], 0
        if len(groups) > MOST_LAYERS:
            raise UserError(f"{len(groups)} layers, more than {MOST_LAYERS}; split the network")
        flattened = False
        first: Shape | None = self.shape
        for number in range(len(groups)):
            if str(number) not in groups:
                raise UserError(f"layers must be numbered from 0 on, but 'layer/{number}' is missing; {REMEDY}")
            group = groups[str(number)]
            here = f"layer/{number}"
            kind = _text(group, "type", here)
            if kind == "flatten":
                flattened = True
                continue
            try:
                self._layer(group, kind, f"{number}-{kind}", flattened)
            except UserError as error:
                raise UserError(f"{here} ({kind}): {error}") from error
            first = first or self.shape
            flattened = False
        if first is None or not self.layers:
            raise UserError(f"no layers that run; {REMEDY}")
        network = Network(input_shape=first, layers=tuple(self.layers), graded_input=self.graded)
        lines = tuple(f"{layer.name} {'x'.join(map(str, layer.shape))}" for layer in self.layers)
        return network, NetxReport(layers=lines, notes=tuple(self.notes))

    def _layer(self, group: Any, kind: str, name: str, flattened: bool) -> None:
        if kind in NOT_RUN:
            raise UserError("layers of this type do not run here, nor (but dense_rec) in netx 0.6.0; replace it")
        if kind not in ("input", "conv", "dense"):
            raise UserError(f"layer type {kind!r} is unknown; use input, conv, flatten or dense")
        shape = tuple(int(n) for n in np.atleast_1d(_array(group, "shape")))
        if min(shape, default=0) < 1 or len(shape) not in (1, 3):
            raise UserError(f"shape {shape}; expected (n,) or (C, H, W)")
        if kind == "input":
            if self.layers:
                raise UserError("an input layer in the middle of the network")
            self.shape = shape
            if "neuron" in group:
                if "bias" in group or "weight" in group:
                    self.notes.append(f"{name}: netx ignores an input layer's weight and bias, and so do we")
                neuron = self._neuron(group, name, kind="delta")
                self.layers.append(Layer(name=name, shape=shape, neuron=neuron))
                self.graded = True
            return
        if "delay" in group and np.any(_array(group, "delay")):
            raise UserError("synaptic delays are not supported; export the network without them")
        if self.shape is None:
            raise UserError("no input layer before it; export the network with one, or pass input_shape to read_netx")
        if kind == "dense":
            shape = (int(np.prod(shape)),)
            if len(self.shape) == 3 and not flattened:
                raise UserError("a dense layer on a (C, H, W) layer needs a flatten layer before it")
        synapse = self._dense(group, name, shape) if kind == "dense" else _conv(group, shape)
        neuron = self._neuron(group, name, kind="sigma_delta", shape=shape)
        self.layers.append(Layer(name=name, shape=shape, neuron=neuron, synapse=synapse))
        self.shape = shape

    def _neuron(self, group: Any, name: str, *, kind: str, shape: Shape = ()) -> SDNeuron:
        if "neuron" not in group:
            raise UserError("no neuron given; netx then takes a CUBA LIF, which does not run here (SDNN does)")
        found = group["neuron"]
        type_ = _text(found, "type", "neuron")
        if type_ != "SDNN":
            raise UserError(f"neuron type {type_!r} does not run here; only SDNN does")
        if "activation" in found and (act := _text(found, "activation", "neuron")) != "relu":
            self.notes.append(f"{name}: activation {act!r}; netx runs relu whatever the file says, and so do we")
        bias = None
        if kind == "sigma_delta" and "bias" in group:
            bias = _bias(_whole(_array(group, "bias"), "bias"), shape)
        if kind == "sigma_delta" and "sigma_output" in found:
            if bias is not None:
                raise UserError("bias beside sigma_output; netx cannot run it either; remove the bias")
            return SDNeuron(kind="sigma", message_bits=MESSAGE_BITS)
        return SDNeuron(kind=kind, vth=_scalar(found, "vThMant"), bias=bias, message_bits=MESSAGE_BITS)

    def _dense(self, group: Any, name: str, shape: Shape) -> Dense:
        weight = _whole(_array(group, "weight"), "weight")
        if weight.ndim == 1 and not weight.size % shape[0]:
            weight = weight.reshape(shape[0], -1)
        if weight.ndim != 2 or weight.shape[0] != shape[0]:
            raise UserError(f"weight of shape {weight.shape}; expected ({shape[0]}, n_in)")
        fitted, exp = loihi_weights(weight)
        lost = int(np.count_nonzero(fitted != weight * 2.0**-exp))
        if lost:
            self.notes.append(f"{name}: {lost} weights do not fit into 8 bits and are changed as netx changes them")
        return Dense(weight=fitted, weight_exp=exp)


def loihi_weights(weight: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Weights and exponent that netx's `optimize_weight_bits` and then lava.proc.dense make of integer weights: scaled up by
    a power of two, clipped to 8 bits and a sign, low bits truncated."""
    low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        return weight, 0
    if low < -256 or high > (255 if low >= 0 else 254):
        raise UserError(f"weights from {low} to {high} do not fit into 8 bits and a sign, -256 to 254")
    scaled_as_mixed = low < 0 <= high
    if scaled_as_mixed:
        up = floor(log2(min(127 / high if high else inf, -128 / low))) + 1
    else:
        up = floor(log2(255 / high if low >= 0 else -256 / low))
    common = next((n for n in range(8, 0, -1) if not (weight % (1 << n)).any()), 0)
    scaled = weight << up
    runs_as_mixed = low < 0 < high
    dropped = up + common + int(runs_as_mixed) - int(scaled_as_mixed)
    if dropped < 0:
        raise UserError("weights of at most 0 and one below -127: netx truncates all of them to nothing; scale them")
    sign = -1 if high <= 0 else 1
    kept = np.clip(sign * scaled, -256 if runs_as_mixed else 0, 255)
    return sign * ((kept >> dropped) << dropped), -up


def _conv(group: Any, shape: Shape) -> Conv:
    weight = _whole(_array(group, "weight"), "weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or len(shape) != 3:
        raise UserError(f"weight of shape {weight.shape}; expected (C_out, C_in, H, W)")
    if np.abs(weight).max() > 256:
        raise UserError(f"weights up to {np.abs(weight).max()}; expected 8 bits and a sign")
    return Conv(
        weight=weight,
        stride=_pair(group, "stride"),
        padding=_pair(group, "padding"),
        dilation=_pair(group, "dilation"),
        groups=_scalar(group, "groups"),
    )


def _bias(bias: NDArray[np.int64], shape: Shape) -> NDArray[np.int64]:
    if len(shape) == 1 and bias.size in (1, shape[0]):
        return np.broadcast_to(bias.reshape(-1), shape).copy()
    if bias.shape == shape[::-1]:  # a value a neuron, which netx takes in Lava's order
        return bias.transpose().copy()
    if bias.shape == (shape[0],):
        return np.broadcast_to(bias[:, None, None], shape).copy()
    raise UserError(f"bias of shape {bias.shape}; expected ({shape[0]},)")


def _array(group: Any, key: str) -> NDArray[Any]:
    if key not in group or not hasattr(group[key], "shape"):
        raise UserError(f"{key!r} is missing; {REMEDY}")
    data = group[key]
    if data.dtype.kind not in "iufb" or not data.size:
        raise UserError(f"{key!r} is {data.dtype} of shape {data.shape}, expected numbers; {REMEDY}")
    if data.size > MOST_VALUES:
        raise UserError(f"{key!r} declares shape {data.shape}; at most {MOST_VALUES:,} values are read")
    return np.asarray(data[()])


def _whole(found: NDArray[Any], key: str) -> NDArray[np.int64]:
    if not np.isfinite(found).all() or np.abs(found).max() >= 2**31 or (found != np.trunc(found)).any():
        raise UserError(f"{key!r} holds values that are no 32-bit integers; quantise the network before the export")
    return found.astype(np.int64)


def _scalar(group: Any, key: str) -> int:
    found = _whole(_array(group, key), key)
    if found.size != 1:
        raise UserError(f"{key!r} has {found.size} values, expected one")
    return int(found.reshape(-1)[0])


def _pair(group: Any, key: str) -> tuple[int, int]:
    found = [int(n) for n in _whole(np.atleast_1d(_array(group, key)), key)]
    if len(found) not in (1, 2):
        raise UserError(f"{key!r} has {len(found)} values, expected one or (vertical, horizontal)")
    return found[0], found[-1]


def _text(group: Any, key: str, here: str) -> str:
    if not hasattr(group, "keys") or key not in group:
        raise UserError(f"{here}: {key!r} is missing; {REMEDY}")
    data = group[key]
    if getattr(data, "size", None) != 1 or data.dtype.itemsize > 100:
        raise UserError(f"{here}: {key!r} is no text; {REMEDY}")
    found = np.asarray(data[()]).reshape(-1)
    try:
        return bytes(found[0]).decode("ascii")
    except (IndexError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{here}: {key!r} is no text; {REMEDY}") from error
