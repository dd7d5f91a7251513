"""A feed-forward spiking network as others exchange it: Dense and Conv synapses, sigma-delta or LIF neurons.

The artifact (core/ir/artifact.py) describes our own predictor; this describes what netx and NIR files hold, before either
becomes Lava processes. Arrays are in PyTorch's order: (C, H, W) or (n,), kernels (C_out, C_in / groups, H, W), correlated
and not convolved; lava.proc and netx turn both around to (W, H, C).

    sigma_delta  sigma += a;  d = relu(sigma + (bias << e + f)) - ref;   s = d >> f if |d| >= vth << e + f else 0
    delta        the same with d = (x << e + f) - ref, x the network's input;  sigma: sigma += a; s = sigma
    lif          lava_procs/lif.py; integers for fixed point, real numbers for floating point

e = spike_exp, f = state_exp. What becomes of the f bits that the shift cuts off is the runner's `residue`, no property of
the network. Units: vth, bias in activation LSB for sigma-delta, in the units of lava_procs/lif.py for LIF.
Every synapse delays by one step, as lava.proc's Dense and Conv do.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError

VERSION = 1
KINDS = ("delta", "sigma_delta", "sigma")
MOST_VALUES = 1 << 27  # of one array: 1 GB in int64; a file that asks for more is taken for damaged
Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Dense:
    """weight (n_out, n_in); a = (W s) << weight_exp, an arithmetic right shift when it is negative. The input is flattened
    in C order."""

    weight: NDArray[Any]
    weight_exp: int = 0

    def __post_init__(self) -> None:
        if self.weight.ndim != 2 or 0 in self.weight.shape:
            raise UserError(f"dense: weight of shape {self.weight.shape}; expected (n_out, n_in)")
        if not -32 < self.weight_exp < 32:
            raise UserError(f"dense: weight_exp {self.weight_exp} must be from -31 to 31")

    def shape_after(self, before: Shape) -> Shape:
        if int(np.prod(before)) != self.weight.shape[1]:
            raise UserError(f"dense: {self.weight.shape[1]} inputs, but the layer before has shape {before}")
        return (self.weight.shape[0],)


@dataclass(frozen=True, kw_only=True)
class Conv:
    """weight (C_out, C_in / groups, H, W); stride, padding and dilation are (vertical, horizontal)."""

    weight: NDArray[Any]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    def __post_init__(self) -> None:
        if self.weight.ndim != 4 or 0 in self.weight.shape:
            raise UserError(f"conv: weight of shape {self.weight.shape}; expected (C_out, C_in / groups, H, W)")
        if min(*self.stride, *self.dilation) < 1 or min(self.padding) < 0 or self.groups < 1:
            raise UserError(
                f"conv: stride {self.stride}, dilation {self.dilation} and groups {self.groups} must be >= 1, "
                f"padding {self.padding} >= 0"
            )
        if max(*self.stride, *self.dilation, *self.padding) > 127:
            raise UserError("conv: stride, dilation and padding above 127 do not fit Lava's int8")
        if self.weight.shape[0] % self.groups:
            raise UserError(f"conv: {self.weight.shape[0]} output channels do not divide into {self.groups} groups")

    def shape_after(self, before: Shape) -> Shape:
        if len(before) != 3 or before[0] != self.weight.shape[1] * self.groups:
            channels = self.weight.shape[1] * self.groups
            raise UserError(f"conv: expects ({channels}, H, W), but the layer before has shape {before}")
        size = [
            (n + 2 * p - d * (k - 1) - 1) // s + 1
            for n, k, s, p, d in zip(
                before[1:], self.weight.shape[2:], self.stride, self.padding, self.dilation, strict=True
            )
        ]
        if min(size) < 1:
            raise UserError(f"conv: kernel {self.weight.shape[2:]} is larger than its padded input {before}")
        return (self.weight.shape[0], *size)


@dataclass(frozen=True, kw_only=True)
class SDNeuron:
    """bias: None, or of the layer's shape. `vth` 0 sends every change, zeros included."""

    kind: str
    vth: int = 0
    bias: NDArray[np.int64] | None = None
    spike_exp: int = 6
    state_exp: int = 6
    message_bits: int = 16

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"neuron kind {self.kind!r} is unknown; use one of {', '.join(KINDS)}")
        if self.kind != "sigma_delta" and self.bias is not None:
            raise UserError(f"neuron kind {self.kind!r} has no bias; leave it out")
        for name, low, high in (
            ("spike_exp", 0, 7),
            ("state_exp", 0, 7),
            ("message_bits", 0, 32),
            ("vth", 0, 2**23),
        ):
            if not low <= getattr(self, name) <= high:
                raise UserError(f"neuron: {name} {getattr(self, name)} must be from {low} to {high}")
        if self.vth << self.spike_exp + self.state_exp >= 2**31:
            raise UserError(f"neuron: vth {self.vth} << {self.spike_exp + self.state_exp} is beyond 32 bits; lower it")


@dataclass(frozen=True, kw_only=True)
class LIFNeuron:
    """Arrays (n,): integers (du, dv of 4096, vth, bias in state LSB / 2^bias_exp) or real numbers."""

    du: NDArray[Any]
    dv: NDArray[Any]
    vth: NDArray[Any]
    bias: NDArray[Any]
    bias_exp: int = 0

    def __post_init__(self) -> None:
        if len({array.shape for array in (self.du, self.dv, self.vth, self.bias)}) != 1 or self.du.ndim != 1:
            raise UserError("LIF: du, dv, vth and bias must be vectors of one length")

    @property
    def fixed(self) -> bool:
        return all(array.dtype.kind in "iu" for array in (self.du, self.dv, self.vth, self.bias))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """shape: (n,) or (C, H, W) of its neurons. Only a first layer of delta neurons has no synapses."""

    name: str
    shape: Shape
    neuron: SDNeuron | LIFNeuron
    synapse: Dense | Conv | None = None

    @property
    def n(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True, kw_only=True)
class Network:
    """input_shape: (n,) or (C, H, W). `graded_input` False: the first synapses take their input for spikes, 0 or not."""

    input_shape: Shape
    layers: tuple[Layer, ...]
    graded_input: bool = True

    def __post_init__(self) -> None:
        if not self.layers or len({layer.name for layer in self.layers}) != len(self.layers):
            raise UserError("network: needs layers, each with a name of its own")
        if len({type(layer.neuron) for layer in self.layers}) != 1:
            raise UserError("network: sigma-delta and LIF neurons do not mix; run them as two networks")
        shape = self.input_shape
        for number, layer in enumerate(self.layers):
            try:
                self._check(number, layer, shape)
            except UserError as error:
                raise UserError(f"layer '{layer.name}': {error}") from error
            shape = layer.shape
        if self.layers[-1].synapse is None:
            raise UserError("network: no layer with synapses; there is nothing to run")

    @staticmethod
    def _check(number: int, layer: Layer, before: Shape) -> None:
        if int(np.prod(layer.shape)) > MOST_VALUES or min(layer.shape) < 1:
            raise UserError(f"shape {layer.shape} is no size of a layer")
        coder = isinstance(layer.neuron, SDNeuron) and layer.neuron.kind == "delta"
        if coder != (layer.synapse is None) or (coder and number):
            raise UserError("a delta coder is the first layer and has no synapses; every other layer has some")
        after = before if layer.synapse is None else layer.synapse.shape_after(before)
        if after != layer.shape:
            raise UserError(f"shape {layer.shape}, but its synapses make {after}")
        if layer.synapse is not None and layer.synapse.weight.size > MOST_VALUES:
            raise UserError(f"{layer.synapse.weight.size} weights; split the layer")
        neuron = layer.neuron
        if isinstance(neuron, SDNeuron):
            if layer.synapse is not None and layer.synapse.weight.dtype.kind not in "iu":
                raise UserError(f"weight is {layer.synapse.weight.dtype}; sigma-delta layers need integers")
            if neuron.bias is not None and neuron.bias.shape != layer.shape:
                raise UserError(f"bias of shape {neuron.bias.shape}; expected {layer.shape}")
        elif neuron.du.shape != layer.shape:
            raise UserError(f"LIF parameters of shape {neuron.du.shape}; expected {layer.shape}")

    @property
    def sigma_delta(self) -> bool:
        return isinstance(self.layers[0].neuron, SDNeuron)

    @property
    def fixed(self) -> bool:
        """Runs in fixed point: sigma-delta networks always, LIF networks after quantisation."""
        return all(
            isinstance(layer.neuron, SDNeuron)
            or (layer.neuron.fixed and layer.synapse is not None and layer.synapse.weight.dtype.kind in "iu")
            for layer in self.layers
        )

    @property
    def output_shape(self) -> Shape:
        return self.layers[-1].shape

    @property
    def delay(self) -> int:
        """Steps from an input to its effect on the output: one a layer of synapses."""
        return sum(layer.synapse is not None for layer in self.layers)


TYPES: dict[str, Any] = {"Dense": Dense, "Conv": Conv, "SDNeuron": SDNeuron, "LIFNeuron": LIFNeuron}


def save(network: Network, path: str | os.PathLike[str]) -> None:
    """One .npz: a JSON header and the arrays; how a network reaches a worker."""
    arrays: dict[str, NDArray[Any]] = {}

    def pack(value: Dense | Conv | SDNeuron | LIFNeuron | None, prefix: str) -> dict[str, Any] | None:
        if value is None:
            return None
        plain = {"type": type(value).__name__}
        for name, item in vars(value).items():
            if isinstance(item, np.ndarray):
                arrays[f"{prefix}.{name}"] = item
            else:
                plain[name] = item
        return plain

    layers = [
        {
            "name": layer.name,
            "shape": layer.shape,
            "synapse": pack(layer.synapse, f"{i}.synapse"),
            "neuron": pack(layer.neuron, f"{i}.neuron"),
        }
        for i, layer in enumerate(network.layers)
    ]
    header = {
        "version": VERSION,
        "input_shape": network.input_shape,
        "graded_input": network.graded_input,
        "layers": layers,
    }
    with Path(path).open("wb") as handle:
        np.savez(handle, header=np.array(json.dumps(header)), **dict[str, Any](arrays))


def load(path: str | os.PathLike[str]) -> Network:
    try:
        with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        header = json.loads(str(arrays["header"]))
        if header["version"] != VERSION:
            raise UserError(f"{path}: network version {header['version']}, this build reads {VERSION}; read it again")
        return Network(
            input_shape=tuple(header["input_shape"]),
            graded_input=header["graded_input"],
            layers=tuple(_layer(i, entry, arrays) for i, entry in enumerate(header["layers"])),
        )
    except UserError:
        raise
    except (OSError, EOFError, BadZipFile, KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path}: missing or no network file ({error}); read the network again") from error


def _layer(number: int, entry: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Layer:
    def unpack(part: str) -> Any:
        plain = entry[part]
        if plain is None:
            return None
        values = {name: tuple(v) if isinstance(v, list) else v for name, v in plain.items() if name != "type"}
        prefix = f"{number}.{part}."
        values |= {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
        return TYPES[plain["type"]](**values)

    return Layer(name=entry["name"], shape=tuple(entry["shape"]), synapse=unpack("synapse"), neuron=unpack("neuron"))
