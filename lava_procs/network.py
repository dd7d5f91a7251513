"""A whole sigma-delta network (core/ir/network.py) in one step: what a chain of Dense, Conv and neuron processes computes.

    a_l[t]  = synapses of layer l on what layer l - 1 sent at t - 1           one step of delay a layer, as in Lava
    sigma   = fit(sigma + a);   d = target - ref
    owed:   s = clip(trunc(d / 2^f)) if |d| >= theta else 0;  ref += s << f   bits not sent stay owed (our own rule)
    lost:   s = d >> f (floor)       if |d| >= theta else 0;  ref = target    lava.proc.sdn's rule, and so netx's

`owed` keeps states in 24 bits, saturating, and messages within message_bits. `lost` is for equality with Lava's stock
processes: states wrap at 32 bits and a Conv's sum at 24, as theirs do (a Conv's sum beyond 32 bits is undefined there);
messages have no limit. Either way `overflows` counts every value that did not fit.

Sums run in float64, exact while every partial sum stays below 2^53 (checked when a network is taken in). Dense weights are
kept transposed and contiguous: where less than a quarter of the messages is not zero, only their rows are read. A Conv
gathers its windows into one matrix and multiplies once a group. Where numba is installed, neurons are machine code
(lava_procs/network_loops.py) and a Dense always reads the rows of its messages alone; the values are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spikeplan.core.compiled import compiled
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit, saturate, trunc_shift
from spikeplan.core.ir.network import Conv, Dense, Layer, Network, SDNeuron, Shape

RESIDUES = ("owed", "lost")
EXACT = 2**53
WORD = 32  # bits of a state in Lava's stock processes
CONV_BITS = 24  # of a sum in lava.proc.conv
SPARSE = 0.25

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Apply = Callable[[Floats], Floats]


def loops() -> ModuleType | None:
    """Machine code for the neurons, where numba is installed."""
    if compiled() is None:
        return None
    from spikeplan.lava_procs import network_loops

    return network_loops


def wrap(x: Ints, bits: int) -> tuple[Ints, int]:
    """Two's complement in `bits` bits, and how many values were changed by it."""
    half = 1 << (bits - 1)
    if x.max(initial=0) < half and x.min(initial=0) >= -half:
        return x, 0
    wrapped = ((x + half) & ((half << 1) - 1)) - half
    return wrapped, int(np.count_nonzero(wrapped != x))


def check(network: Network, residue: str) -> None:
    """Refuse what would not be exact, or no sigma-delta network; Lava swallows what its processes raise."""
    if residue not in RESIDUES:
        raise UserError(f"residue {residue!r} is unknown; use one of {', '.join(RESIDUES)}")
    if not network.sigma_delta:
        raise UserError("LIF networks run as chains of LIF processes, not fused")
    for layer in network.layers:
        if layer.synapse is not None:
            weight = layer.synapse.weight.astype(np.int64)
            largest = int(np.abs(weight).reshape(len(weight), -1).sum(1).max())
            if largest << WORD >= EXACT:
                raise UserError(f"layer '{layer.name}': weights of a neuron sum up to {largest}; split the layer")
            e = layer.synapse.weight_exp if isinstance(layer.synapse, Dense) else 0
            if largest << WORD - 1 + max(e, 0) >= 1 << 62:
                raise UserError(f"layer '{layer.name}': sums up to {largest} << weight_exp {e} leave 64 bits; lower it")


def dense(synapse: Dense, loops: ModuleType | None) -> Apply:
    weight_IO = np.ascontiguousarray(synapse.weight.T.astype(np.float64))
    a, zero = np.empty(weight_IO.shape[1]), np.zeros(weight_IO.shape[1])

    def gather(s: Floats) -> Floats:
        assert loops is not None
        loops.dense(s.reshape(-1), weight_IO, zero, a)
        return a

    def apply(s: Floats) -> Floats:
        flat = s.reshape(-1)
        busy = np.flatnonzero(flat)
        summed: Floats = flat[busy] @ weight_IO[busy] if len(busy) < SPARSE * len(flat) else flat @ weight_IO
        return summed

    return apply if loops is None else gather


def conv(synapse: Conv, before: Shape, after: Shape) -> Apply:
    c, h, w = before
    (ph, pw), (sh, sw), (dh, dw) = synapse.padding, synapse.stride, synapse.dilation
    kh, kw = synapse.weight.shape[2:]
    padded: NDArray[np.float64] = np.zeros((c, h + 2 * ph, w + 2 * pw))
    inside = padded[:, ph : ph + h, pw : pw + w]
    reach = (dh * (kh - 1) + 1, dw * (kw - 1) + 1)
    sliding: Any = sliding_window_view  # numpy's types know one axis only
    windows = sliding(padded, reach, axis=(1, 2))[:, ::sh, ::sw, ::dh, ::dw]  # (C, H', W', kh, kw), a view
    windows = windows.transpose(0, 3, 4, 1, 2)
    gathered = np.empty(windows.shape)
    groups = synapse.groups
    rows = gathered.reshape(groups, -1, after[1] * after[2])
    kernels = synapse.weight.reshape(groups, after[0] // groups, -1).astype(np.float64)

    def apply(s: Floats) -> Floats:
        if not s.any():
            return np.zeros(after)
        inside[:] = s
        gathered[:] = windows
        return np.ascontiguousarray(np.matmul(kernels, rows)).reshape(after)

    return apply


class SigmaDeltaNetwork:
    """State of a running network. `messages[l]`: how many of layer l's messages were not zero in the last step.
    `all_sigma`, `all_ref` hold the layers' states one after the other, `sigma[l]` and `ref[l]` are views of them in the
    layer's shape; a coder's sigma stays zero."""

    def __init__(self, network: Network, *, residue: str = "owed") -> None:
        check(network, residue)
        self.network, self.lost = network, residue == "lost"
        self.loops = loops()
        shapes = [network.input_shape, *(layer.shape for layer in network.layers)]
        self.apply = [self._synapse(layer, before) for layer, before in zip(network.layers, shapes, strict=False)]
        self.all_sigma, self.all_ref = (np.zeros(sum(layer.n for layer in network.layers), np.int64) for _ in range(2))
        self.sigma, self.ref = _views(self.all_sigma, network), _views(self.all_ref, network)
        self.bias = [_bias(layer) for layer in network.layers]
        self.sent = [np.zeros(shape) for shape in shapes]  # sent[l]: what reaches layer l, float64 for the products
        self.messages = np.zeros(len(network.layers), np.int64)
        self.overflows = 0

    def _synapse(self, layer: Layer, before: Shape) -> Apply | None:
        if layer.synapse is None:
            return None
        if isinstance(layer.synapse, Dense):
            return dense(layer.synapse, self.loops)
        return conv(layer.synapse, before, layer.shape)

    def output(self) -> Ints:
        """All layers with synapses take in what was sent a step ago; returns what the last one sends now."""
        for number in reversed(
            range(len(self.network.layers))
        ):  # backwards: each reads its input before it is replaced
            if self.apply[number] is not None:
                self.sent[number + 1] = self._update(number)
        return self.sent[-1].astype(np.int64)

    def input(self, x: NDArray[Any]) -> None:
        """Takes in the step's input; a delta coder sends in the same step. x: input_shape."""
        x = x.astype(np.int64)
        if self.apply[0] is None:
            neuron = self._neuron(0)
            target = self._fit(x << (neuron.spike_exp + neuron.state_exp))
            self.sent[1] = self._send(0, target, neuron)
        else:
            self.sent[0] = (x if self.network.graded_input else x != 0).astype(np.float64)

    def step(self, x: NDArray[Any]) -> Ints:
        out = self.output()
        self.input(x)
        return out

    def _neuron(self, number: int) -> SDNeuron:
        neuron = self.network.layers[number].neuron
        assert isinstance(neuron, SDNeuron)
        return neuron

    def _update(self, number: int) -> Floats:
        layer, neuron, apply = self.network.layers[number], self._neuron(number), self.apply[number]
        assert apply is not None
        s = self.sent[number]
        before = self._neuron(number - 1) if number else None
        if before is not None and before.message_bits == 0:
            s = (s != 0).astype(np.float64)
        e = layer.synapse.weight_exp if isinstance(layer.synapse, Dense) else 0
        self._integrate(number, apply(s), CONV_BITS if isinstance(layer.synapse, Conv) else WORD, e)
        if neuron.kind == "sigma":
            self.messages[number] = np.count_nonzero(self.sigma[number])
            return self.sigma[number].astype(np.float64)
        if self.loops is None:
            target = self._fit(np.maximum(self._fit(self.sigma[number] + self.bias[number]), 0))
        else:
            sigma = self.sigma[number]
            target = np.empty_like(sigma)
            flat = (array.reshape(-1) for array in (sigma, self.bias[number]))
            self.overflows += self.loops.activate(*flat, self.lost, target.reshape(-1))
        return self._send(number, target, neuron)

    def _integrate(self, number: int, summed: Floats, bits: int, e: int) -> None:
        """sigma += summed << e; `bits`: what Lava's synapse sums in."""
        if self.loops is not None:
            sigma = self.sigma[number].reshape(-1)
            self.overflows += self.loops.integrate(summed.reshape(-1), sigma, e, bits, self.lost)
            return
        a = summed.astype(np.int64)
        if self.lost:
            a, over = wrap(a, bits)
            self.overflows += over
        a = a << e if e >= 0 else a >> -e
        self.sigma[number][:] = self._fit(self.sigma[number] + a)

    def _send(self, number: int, target: Ints, neuron: SDNeuron) -> Floats:
        theta, f = neuron.vth << neuron.spike_exp + neuron.state_exp, neuron.state_exp
        most = limit(neuron.message_bits) if neuron.message_bits else 0
        if self.loops is not None:
            sent = np.empty(target.shape)
            flat = (array.reshape(-1) for array in (target, self.ref[number]))
            over, count = self.loops.send(*flat, theta, f, most, self.lost, sent.reshape(-1))
            self.overflows += over
            self.messages[number] = count
            return sent
        owed = target - self.ref[number]
        if self.lost:
            owed = self._fit(owed)
            # numpy's int32 has no magnitude for -2^31, and there it does not fire
            fires = (np.abs(owed) >= theta) & (owed > -(1 << WORD - 1))
            s = np.where(fires, owed >> f, 0)
            np.copyto(self.ref[number], target, where=fires)
        else:
            wanted = np.where(np.abs(owed) >= theta, trunc_shift(owed, f), 0)
            s = wanted
            if most:
                s = np.clip(wanted, -most, most)
                self.overflows += int(np.count_nonzero(s != wanted))
            self.ref[number] += s << f
        self.messages[number] = np.count_nonzero(s)
        return s.astype(np.float64)

    def _fit(self, x: Ints) -> Ints:
        kept, over = wrap(x, WORD) if self.lost else saturate(x, STATE_BITS)
        self.overflows += over
        return kept


def _bias(layer: Layer) -> Any:
    neuron = layer.neuron
    assert isinstance(neuron, SDNeuron)
    if neuron.bias is None:
        return np.zeros(layer.shape, np.int64)
    return np.ascontiguousarray(neuron.bias.astype(np.int64) << neuron.spike_exp + neuron.state_exp)


def _views(flat: Ints, network: Network) -> list[Ints]:
    ends = np.cumsum([layer.n for layer in network.layers])
    return [flat[end - layer.n : end].reshape(layer.shape) for end, layer in zip(ends, network.layers, strict=True)]
