"""The integer reference: what each node does in a step, as plainly as it can be written. Everything else is held against it.

A state is a dict of arrays; `Running` keeps one a node and the history that delayed edges read. The same code runs graphs of
real numbers in float64. Nothing here is fast: `lava_procs/graph/fused.py` is, and must agree to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import STATE_BITS, saturate, trunc_shift
from spikeplan.core.ir.graph.base import Input, Node, Shape, taken
from spikeplan.core.ir.graph.functions import Concat, GatedRecurrence, Product, RMSNorm, Select, Sum, Table
from spikeplan.core.ir.graph.graph import Graph
from spikeplan.core.ir.graph.neurons import (
    DECAY_UNIT,
    LIF,
    LIF_ALIGN,
    STOCK_BITS,
    Delta,
    Integrator,
    Readout,
    SigmaDelta,
)
from spikeplan.core.ir.graph.synapses import Conv, Linear, Pool

Array = NDArray[Any]
State = dict[str, Array]
Step = tuple[Array, State, int]  # output, new state, numbers that did not fit
STATES: dict[type[Node], tuple[str, ...]] = {
    Delta: ("ref",),
    SigmaDelta: ("sigma", "ref"),
    Readout: ("sigma",),
    LIF: ("u", "v"),
    Integrator: ("v",),
    GatedRecurrence: ("h",),
}


def shifted(x: Array, exp: int) -> Array:
    """x << exp; an arithmetic right shift for a negative exponent."""
    return x << exp if exp >= 0 else x >> -exp


def wrap(x: Array, bits: int) -> tuple[Array, int]:
    """Two's complement in `bits` bits, and how many values were changed by it."""
    half = 1 << (bits - 1)
    wrapped = ((x + half) & ((half << 1) - 1)) - half
    return wrapped, int(np.count_nonzero(wrapped != x))


def wrap_once(u: Array) -> tuple[Array, int]:
    """A current beyond +-2^23 comes round once, as in lava.proc.lif; 2^23 itself stays."""
    top = 1 << STATE_BITS - 1
    wrapped = np.where(u > top, u - 2 * top, np.where(u <= -top, u + 2 * top, u))
    return wrapped, int(np.count_nonzero(wrapped != u))


def _shift(node: Linear | Conv, a: Array) -> Step:
    over = 0
    if node.wrap_bits is not None:
        a, over = wrap(a, node.wrap_bits)
    return shifted(a, node.weight_exp) if node.fixed else a, {}, over


def _linear(node: Linear, x: list[Array], state: State, t: int) -> Step:
    return _shift(node, node.weight.astype(x[0].dtype) @ x[0].reshape(-1))


def _windows(x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, fill: Any = 0) -> Array:
    """(C, H', W', kh, kw)."""
    (ph, pw), reach = padding, [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    sliding: Any = np.lib.stride_tricks.sliding_window_view  # numpy's types know one axis only
    found: Array = sliding(padded, tuple(reach), axis=(1, 2))
    return found[:, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _conv(node: Conv, x: list[Array], state: State, t: int) -> Step:
    windows = _windows(x[0], node.weight.shape[2:], node.stride, node.padding, node.dilation)
    outs, ins = len(node.weight) // node.groups, node.weight.shape[1]
    parts = [
        np.einsum(
            "oikl,ihwkl->ohw",
            node.weight[g * outs : (g + 1) * outs].astype(x[0].dtype),
            windows[g * ins : (g + 1) * ins],
        )
        for g in range(node.groups)
    ]
    return _shift(node, np.concatenate(parts))


def _pool(node: Pool, x: list[Array], state: State, t: int) -> Step:
    lowest = -np.inf if x[0].dtype.kind == "f" else np.iinfo(np.int64).min
    fill = 0 if node.kind == "sum" else lowest
    windows = _windows(x[0], node.kernel, node.stride, node.padding, (1, 1), fill)
    if node.kind == "max":
        return windows.max((3, 4)), {}, 0
    a = windows.sum((3, 4))
    return (a * 2.0**node.weight_exp if a.dtype.kind == "f" else shifted(a, node.weight_exp)), {}, 0


def _sent(node: Delta | SigmaDelta, target: Array, ref: Array) -> tuple[Array, Array, int]:
    """Message, new ref, numbers that did not fit."""
    d = target - ref
    if node.residue == "lost":
        d, over = wrap(d, STOCK_BITS)
        # numpy's int32 has no magnitude for -2^31, and there it does not fire
        fires = (np.abs(d) >= node.threshold_lsb) & (d > -(1 << STOCK_BITS - 1))
        return np.where(fires, d >> node.shift, 0), np.where(fires, target, ref), over
    wanted = np.where(np.abs(d) >= node.threshold_lsb, trunc_shift(d, node.shift), 0)
    s, over = (wanted, 0) if not node.message_bits else saturate(wanted, node.message_bits)
    return s, ref + (s << node.shift), over


def _fit(node: Delta | SigmaDelta | Readout, x: Array, bits: int | None) -> tuple[Array, int]:
    """A state in its width, as the node's arithmetic has it."""
    if bits is None:
        return x, 0
    wraps = node.wrap if isinstance(node, Readout) else node.residue == "lost"
    return wrap(x, STOCK_BITS) if wraps else saturate(x, bits)


def _delta(node: Delta, x: list[Array], state: State, t: int) -> Step:
    target, over = _fit(node, x[0] << node.input_exp, node.state_bits)
    s, ref, clipped = _sent(node, target, state["ref"])
    return s, {"ref": ref}, over + clipped


def _sigma_delta(node: SigmaDelta, x: list[Array], state: State, t: int) -> Step:
    sigma, over = _fit(node, state["sigma"] + x[0], node.state_bits)
    target = sigma + (node.bias.astype(np.int64) if t >= node.bias_start else 0)
    target, more = _fit(node, target, node.target_bits)
    if node.act == "relu":
        target = np.maximum(target, 0)
    s, ref, clipped = _sent(node, target, state["ref"])
    return s, {"sigma": sigma, "ref": ref}, over + more + clipped


def _readout(node: Readout, x: list[Array], state: State, t: int) -> Step:
    sigma, over = _fit(node, state["sigma"] + x[0], node.state_bits)
    return trunc_shift(sigma + node.bias.astype(np.int64), node.shift), {"sigma": sigma}, over


def _decay(x: Array, d: Array) -> Array:
    return trunc_shift(x * (DECAY_UNIT - d.astype(np.int64)), 12)


def _bias(node: LIF | Integrator, mant: Array, t: int) -> Array:
    if t < node.bias_start:
        return np.zeros_like(mant)
    return shifted(mant.astype(np.int64), node.bias_exp) if node.fixed else mant


def _lif(node: LIF, x: list[Array], state: State, t: int) -> Step:
    if not node.fixed:
        u = state["u"] * (1 - node.du) + x[0] + _bias(node, node.current_bias, t)
        v = state["v"] * (1 - node.dv) + u + _bias(node, node.bias, t)
        fired, top, back = v > node.vth, node.vth, node.v_reset
        over = 0
    else:
        current = _decay(state["u"], node.du.astype(np.int64) + 1) + (x[0] << LIF_ALIGN)
        u, over = wrap_once(current + _bias(node, node.current_bias, t))
        v, more = saturate(_decay(state["v"], node.dv) + u + _bias(node, node.bias, t), STATE_BITS)
        top, back = node.vth.astype(np.int64) << LIF_ALIGN, node.v_reset.astype(np.int64) << LIF_ALIGN
        fired, over = v > top, over + more
    v = np.where(fired, v - top if node.reset == "subtract" else back, v)
    return fired.astype(x[0].dtype), {"u": u, "v": v}, over


def _integrator(node: Integrator, x: list[Array], state: State, t: int) -> Step:
    if not node.fixed:
        v = state["v"] * (1 - node.dv) + x[0] + _bias(node, node.bias, t)
        return v, {"v": v}, 0
    v, over = saturate(_decay(state["v"], node.dv) + (x[0] << LIF_ALIGN) + _bias(node, node.bias, t), STATE_BITS)
    return trunc_shift(v, node.shift), {"v": v}, over


def _concat(node: Concat, x: list[Array], state: State, t: int) -> Step:
    return np.concatenate([part.reshape(-1) for part in x]), {}, 0


def _select(node: Select, x: list[Array], state: State, t: int) -> Step:
    return x[0].reshape(-1)[node.start : node.stop], {}, 0


def _sum(node: Sum, x: list[Array], state: State, t: int) -> Step:
    exps = node.exps or (0,) * len(x)
    if x[0].dtype.kind == "f":
        return np.sum([part * 2.0**e for part, e in zip(x, exps, strict=True)], axis=0), {}, 0
    whole = sum(part << e if e >= 0 else trunc_shift(part, -e) for part, e in zip(x, exps, strict=True))
    total, over = (whole, 0) if node.bits is None else saturate(np.asarray(whole), node.bits)
    return np.asarray(total), {}, over


def _product(node: Product, x: list[Array], state: State, t: int) -> Step:
    y, over = saturate(trunc_shift(x[0] * x[1], node.shift), node.bits)
    return y, {}, over


def _table(node: Table, x: list[Array], state: State, t: int) -> Step:
    index = np.clip((x[0] >> node.shift) + node.offset, 0, len(node.values) - 1)
    return node.values.astype(np.int64)[index], {}, 0


def _gated(node: GatedRecurrence, x: list[Array], state: State, t: int) -> Step:
    one = 1 << node.frac_bits
    keep = np.clip(x[0], 0, one)
    h, over = saturate(trunc_shift(keep * state["h"] + (one - keep) * x[1], node.frac_bits), node.bits)
    return h, {"h": h}, over


def _rms_norm(node: RMSNorm, x: list[Array], state: State, t: int) -> Step:
    square = sum(int(value) ** 2 for value in x[0].reshape(-1)) // x[0].size
    size = max(math.isqrt(square + node.eps), 1)
    scaled = (x[0] * node.gain.astype(np.int64)) << node.frac_bits
    y, over = saturate(np.sign(scaled) * (np.abs(scaled) // size), node.bits)
    return y, {}, over


STEPS: dict[type[Node], Callable[..., Step]] = {
    Linear: _linear,
    Conv: _conv,
    Pool: _pool,
    Delta: _delta,
    SigmaDelta: _sigma_delta,
    Readout: _readout,
    LIF: _lif,
    Integrator: _integrator,
    Concat: _concat,
    Select: _select,
    Sum: _sum,
    Product: _product,
    Table: _table,
    GatedRecurrence: _gated,
    RMSNorm: _rms_norm,
}


def at_rest(node: Node, shape: Shape, dtype: Any) -> State:
    """The state of a node before the first step: zeros."""
    return {name: np.zeros(shape, dtype) for name in STATES.get(type(node), ())}


class Running:
    """A graph while it runs. `sent`: what every node sent in the last step; `overflows`: numbers that did not fit, by node.

    >>> run = Running(graph)
    >>> run.step({"x": np.array([1, 2, 3])})["w"]
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.dtype: Any = np.int64 if graph.fixed else np.float64
        self.state = {node.name: at_rest(node, graph.shapes[node.name], self.dtype) for node in graph.nodes}
        self.overflows = {node.name: 0 for node in graph.nodes}
        self.sent: dict[str, Array] = {}
        self.history: list[dict[str, Array]] = []
        self.deepest = max((edge.delay_steps for edge in graph.edges), default=0)
        self.t = 0

    def step(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """One step of every node; returns the outputs. given: one array an input."""
        self.sent = {}
        for node in self.graph.nodes:
            if isinstance(node, Input):
                self.sent[node.name] = taken(node, given, self.dtype)
                continue
            x = [self._read(edge.src, edge.delay_steps) for edge in self.graph.into(node.name)]
            out, self.state[node.name], over = STEPS[type(node)](node, x, self.state[node.name], self.t)
            self.sent[node.name] = np.broadcast_to(out, self.graph.shapes[node.name])
            self.overflows[node.name] += over
        self.history = [self.sent, *self.history[: self.deepest]]
        self.t += 1
        return {name: self.sent[name] for name in self.graph.outputs}

    def _read(self, src: str, delay: int) -> Array:
        if not delay:
            return self.sent[src]
        if delay > len(self.history):
            return np.zeros(self.graph.shapes[src], self.dtype)
        return self.history[delay - 1][src]
