"""Arithmetic of the three neuron kinds, in fixed point (int64) and in floating point.

    sigma' = saturate(sigma + (a << input_exp))     a = W s_in, from the synapses
    s      = clip(trunc(d / 2^shift)) if |d| >= threshold else 0;     ref' = ref + (s << shift)

d is x - ref in the input coder and act(sigma' + bias) - ref in a hidden neuron. What does not fit into a message, be
it the truncated bits or the part beyond the clip, stays owed: ref holds what the receiver has been told.
The floating-point forms send d / 2^shift unrounded and know no width.

Written from the definition in core/ir/artifact.py and not from the integer reference in snn/: the two are compared.
Units: sigma, ref, bias, threshold in state LSB; s in message LSB. Shapes: all (n,).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.fixed_point import limit, saturate, trunc_shift
from spikeplan.core.ir.artifact import Layer

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NeuronParams:
    """One layer's constants. `input_exp` is the part of weight_exp that the synapses' int32 sum has no room for."""

    n: int
    bias: Ints
    relu: bool
    threshold_lsb: int
    shift: int
    message_bits: int
    state_bits: int
    input_exp: int = 0

    @classmethod
    def of(cls, layer: Layer, *, input_exp: int = 0) -> NeuronParams:
        bias = np.zeros(layer.n_out, np.int64) if layer.bias is None else layer.bias.astype(np.int64)
        return cls(
            n=layer.n_out,
            bias=bias,
            relu=layer.act == "relu",
            threshold_lsb=layer.threshold_lsb,
            shift=layer.shift,
            message_bits=layer.message_bits,
            state_bits=layer.state_bits,
            input_exp=input_exp,
        )

    def activate(self, sigma: NDArray[Any]) -> NDArray[Any]:
        biased = sigma + self.bias
        return np.maximum(biased, 0) if self.relu else biased


def integrate_fixed(a: Ints, sigma: Ints, p: NeuronParams) -> tuple[Ints, int]:
    """New sigma and how many neurons saturated."""
    return saturate(sigma + (a << p.input_exp), p.state_bits)


def send_fixed(target: Ints, ref: Ints, p: NeuronParams) -> tuple[Ints, Ints]:
    """Message and new ref of a neuron that wants its receivers to know `target`."""
    owed = target - ref
    wanted = np.where(np.abs(owed) >= p.threshold_lsb, trunc_shift(owed, p.shift), 0)
    message = np.clip(wanted, -limit(p.message_bits), limit(p.message_bits))
    return message, ref + (message << p.shift)


def send_float(target: Floats, ref: Floats, p: NeuronParams) -> tuple[Floats, Floats]:
    owed = target - ref
    fires = np.abs(owed) >= p.threshold_lsb
    return np.where(fires, owed / 2.0**p.shift, 0.0), np.where(fires, target, ref)
