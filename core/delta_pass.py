"""One pass of a sigma-delta chain on numpy arrays: a product or a gather a layer, then one sweep of machine code.

What the layers compute is in snn/delta.py. The caller brings the matrix product (torch's or numpy's) and the compiled loops.

Event-driven or not: a gather reads W's rows of the spikes that are not zero, a product reads them all but faster. On one core of
a Zen 4 (MKL, fp32, 64 to 800 rows) they break even at a density of 0.35 where a layer has 256 neurons and of 0.1 where it has 32
(a gather looks at each of K spikes first, whatever N is), with 16 rows at 0.55 and 0.34; with up to 4 rows a gather is always
faster. `spikeplan bench convert` prints what it is on another machine. Values are the same either way.

Integers are held in floating point where that is provably exact: every partial sum of W s is an integer of magnitude at most
max_i sum_j |W_ij| * (largest message) << weight_exp; it plus sigma, act(sigma + bias) - ref and the threshold stay below
2^24 (float32) or 2^53 (float64).
Shapes: R rows, S state rows, I inputs, K inputs of a layer, N neurons.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit
from spikeplan.core.ir.artifact import Layer

Floats = NDArray[Any]
Multiply = Callable[[int, Floats, Floats], None]  # (layer, s_RK, a_RN): a <- s W

WIDE = 0.38  # break-even density of a layer of very many neurons and rows
SCAN = 9.0  # what looking for the spikes costs, in neurons
FEW = 3.2  # what a product of few rows costs more, in rows


def break_even(rows: int, neurons: int) -> float:
    """Density of spikes below which a gather is faster than a product, for so many rows and neurons of a layer."""
    return WIDE - SCAN / neurons + FEW / max(rows, 1)


def reach(before: Layer, layer: Layer) -> int:
    """Largest magnitude that sigma + W s, target - ref or the threshold of a layer can have."""
    assert layer.weight is not None and layer.bias is not None
    fan_in = int(np.abs(layer.weight.astype(np.int64)).sum(1).max())
    target = limit(layer.state_bits) + int(np.abs(layer.bias.astype(np.int64)).max())
    if 2 * target >= 2**31:
        raise UserError(f"layer '{layer.name}': a bias reaches {target - limit(layer.state_bits)}; convert it again")
    change = 2 * target if layer.kind == "sigma_delta" and layer.act == "identity" else target
    sums = (fan_in * limit(before.message_bits) << layer.weight_exp) + limit(layer.state_bits)
    return max(sums, change, 2 * layer.threshold_lsb)


def number_type(layers: Sequence[Layer]) -> type[np.floating[Any]]:
    """float32 or float64, whichever holds all integers of a chain. Raises UserError where neither does."""
    bound = max(reach(before, layer) for before, layer in pairwise(layers))
    if bound >= 2**53:
        raise UserError(f"artifact: sums up to {bound} are not exact in float64; split the widest layer")
    return np.float32 if bound < 2**24 else np.float64


class State(NamedTuple):
    """One layer's state, (S, N) each; None: zero, or not there (sigma of the input coder, ref of the output layer)."""

    sigma: Floats | None
    ref: Floats | None


class Swept(NamedTuple):
    """A layer each: messages (values of the output layer), how many are not zero (all, of the output layer), how many messages
    and states saturated, states alone, and the state after the pass."""

    messages: list[Floats]
    sent: list[int]
    saturated: list[int]
    sigma_saturated: list[int]
    state: list[State]


@dataclass(frozen=True, kw_only=True)
class PassLayer:
    """A layer's constants in the number type of the pass. `weight_KN` is shifted by weight_exp; empty for the input coder."""

    weight_KN: Floats
    bias_N: Floats
    zero_N: Floats
    floor: Any
    top: Any
    gate: Any
    inverse: Any
    step: Any
    most: Any

    @classmethod
    def of(cls, layer: Layer, number: type[np.floating[Any]]) -> PassLayer:
        weight = np.zeros((0, 0), np.int8) if layer.weight is None else layer.weight
        bias = np.zeros(layer.n_out) if layer.bias is None else layer.bias
        return cls(
            weight_KN=np.ascontiguousarray((weight.astype(number) * number(1 << layer.weight_exp)).T),
            bias_N=bias.astype(number),
            zero_N=np.zeros(layer.n_out, number),
            floor=number(0 if layer.act == "relu" else -np.inf),
            top=number(limit(layer.state_bits)),
            gate=number(layer.threshold_lsb - 0.5),  # of integers |d| > theta - 1/2 is |d| >= theta
            inverse=number(1 / (1 << layer.shift)),
            step=number(1 << layer.shift),
            most=number(limit(layer.message_bits)),
        )


def _rows(kept: Floats | None, layer: PassLayer, rows: int, write: bool, overwrite: bool) -> Floats:
    """State rows that the sweep may use: its own copy of `rows` of them where it writes."""
    if not write:
        return layer.zero_N[None] if kept is None else kept
    if kept is None:
        return np.zeros((rows, len(layer.zero_N)), layer.zero_N.dtype)
    if len(kept) != rows:
        return np.repeat(kept, rows // len(kept), 0)
    return kept if overwrite else kept.copy()


def _share(rows: int, state: Floats) -> int:
    """Consecutive rows that start from one state row."""
    return max(rows // max(len(state), 1), 1)


def _same(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Both with as many rows as the larger."""
    most = max(len(one), len(other))
    first, second = (t if len(t) == most else np.repeat(t, most // len(t), 0) for t in (one, other))
    return first, second


def sweep(
    loops: ModuleType,
    layers: Sequence[PassLayer],
    x_RI: Floats,
    state: Sequence[State] | None,
    multiply: Multiply,
    *,
    keep: bool = True,
    overwrite: bool = False,
    turns: int = 1,
) -> Swept:
    """One pass of R rows from `state` (None: all zero), whose rows are shared by R / S consecutive rows of x.

    Args:
        loops: spikeplan.core.spike_loops, as `compiled()` finds it.
        keep: returns the state after the pass; without it the state is [] and nothing is stored.
        overwrite: the arrays of `state` may be written to.
        turns: so many consecutive rows are passes in turn, each from the state that the one before left. Layer by layer: no layer
            reads a later one, so that its messages of all turns are known before the next layer begins.
    """
    rows = len(x_RI)
    write = keep or turns > 1
    kept_rows = rows // turns
    before = [State(None, None)] * len(layers) if state is None else state
    code = layers[0]
    s = np.empty_like(x_RI)
    ref = _rows(before[0].ref, code, kept_rows, write, overwrite)
    over, busy = loops.encode(x_RI, ref, _share(rows, ref), write, code.gate, code.inverse, code.step, code.most, s)
    messages, sent, saturated, full_of, after = [s], [busy], [over], [0], [State(None, ref)]
    for i, layer in enumerate(layers[1:], 1):
        a = np.empty((rows, len(layer.bias_N)), x_RI.dtype)
        gathers = busy < break_even(*a.shape) * s.size
        if not gathers:
            multiply(i, s, a)
        sigma = _rows(before[i].sigma, layer, kept_rows, write, overwrite)
        if i == len(layers) - 1:
            full = loops.readout(
                s,
                layer.weight_KN,
                gathers,
                a,
                sigma,
                layer.bias_N,
                layer.zero_N,
                _share(rows, sigma),
                write,
                layer.top,
                layer.inverse,
            )
            over, busy = 0, a.size
            after.append(State(sigma, None))
        else:
            sigma, ref = _same(sigma, _rows(before[i].ref, layer, kept_rows, write, overwrite))
            full, over, busy = loops.hidden(
                s,
                layer.weight_KN,
                gathers,
                a,
                sigma,
                ref,
                layer.bias_N,
                layer.zero_N,
                _share(rows, sigma),
                write,
                layer.floor,
                layer.top,
                layer.gate,
                layer.inverse,
                layer.step,
                layer.most,
            )
            after.append(State(sigma, ref))
        messages.append(a)
        sent.append(busy)
        saturated.append(full + over)
        full_of.append(full)
        s = a
    return Swept(messages, sent, saturated, full_of, after if keep else [])
