"""Sigma-delta: a dense ReLU chain as graded signed spikes.

Scales of the sigma-delta form (M: real value of one message LSB, w: real value of one weight LSB):

    state LSB of layer l  = w_l * M_(l-1)          so that sigma += W s needs no multiplication
    M_l                   = 2^shift_l * state LSB_l
    latent LSB            = state LSB of the output layer, so that z += value is exact: the rollout cannot drift
    M_0                   = 2^shift_0 * latent LSB: w_out is widened (by < 2x) until this holds

Latent and action share M_0 in units of the first weight matrix; the action's own scale stretches its columns so that
they fill the int8 range too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from spikeplan.conversion.calibration import Calibration, measure_ranges, message_steps, whole_weights
from spikeplan.conversion.recipes.base import RecipeKind
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import WEIGHT_BITS, limit
from spikeplan.core.ir.artifact import Artifact, Edge, Layer

WEIGHT_TOP = limit(WEIGHT_BITS)


@dataclass(frozen=True, kw_only=True)
class SigmaDelta:
    """Graded, signed spikes that carry the change of a neuron's output.

    Args:
        bits: of a graded spike, 2 to 8, its sign included.
        thresholds: one number for all layers or one per sending layer (coder first), in units of the layer's standard deviation.
        absolute: thresholds are real values instead; fine-tuning learns these.

    Raises UserError for other bits and for thresholds that are negative or not finite.

    >>> artifact, report = convert(predictor, data, SigmaDelta(bits=8, thresholds=0.25))
    """

    bits: int = 8
    thresholds: float | tuple[float, ...] = 0.25
    absolute: bool = False

    def __post_init__(self) -> None:
        values = self.thresholds if isinstance(self.thresholds, tuple) else (self.thresholds,)
        if not 2 <= self.bits <= 8:
            raise UserError(f"recipe: {self.bits} bits of a graded spike; use 2 to 8")
        if not all(math.isfinite(t) and t >= 0 for t in values):
            raise UserError(f"recipe: thresholds {values} must be finite and >= 0")

    def build(self, linears: list[nn.Linear], data: Calibration) -> Artifact:
        """The network of a chain of linear layers, with scales from the calibration data.

        Raises UserError for a number of thresholds that does not fit and for a layer that is always zero.
        """
        latent, action, outputs = measure_ranges(linears, data)
        d = linears[-1].out_features
        n_in = linears[0].in_features
        top = limit(self.bits)
        senders = len(linears)  # coder + hidden layers
        thresholds = self.thresholds if isinstance(self.thresholds, tuple) else (self.thresholds,) * senders
        if len(thresholds) != senders:
            raise UserError(f"recipe: {len(thresholds)} thresholds for {senders} sending layers (coder first)")

        for number, (linear, reached) in enumerate(zip(linears, outputs, strict=True)):
            if float(linear.weight.detach().abs().max()) == 0.0 or (number < senders - 1 and reached.top <= 0.0):
                raise UserError(
                    f"linear layer {number}: its weights or its activations are all zero; train the network first"
                )
        first = linears[0].weight.detach().double()
        # Stretch the action so that its weight columns are as large as the latent's.
        stretch = float(first[:, d:].abs().max() / first[:, :d].abs().max()) if n_in > d else 1.0
        stretched = torch.cat([first[:, :d], first[:, d:] / max(stretch, 1e-9)], 1)
        weights = [stretched] + [m.weight.detach().double() for m in linears[1:]]
        unit = [float(w.abs().max()) / WEIGHT_TOP for w in weights]
        message = [max(1.2 * latent.top, action.top * stretch) / top]
        shifts = [0, *message_steps(unit[:-1], message[0], outputs[:-1], top)]
        for size, shift in zip(unit[:-1], shifts[1:], strict=True):
            message.append(size * message[-1] * 2**shift)
        latent_lsb = unit[-1] * message[-1]
        shifts[0] = max(0, math.floor(math.log2(message[0] / latent_lsb)))
        unit[-1] = message[0] / (2 ** shifts[0] * message[-1])
        latent_lsb = unit[-1] * message[-1]

        spread = [latent.std] + [r.std for r in outputs[:-1]]
        real = thresholds if self.absolute else tuple(t * s for t, s in zip(thresholds, spread, strict=True))
        layers = [
            Layer(
                name="code",
                kind="delta",
                n_in=n_in,
                n_out=n_in,
                shift=shifts[0],
                message_bits=self.bits,
                threshold_lsb=max(1 << shifts[0], round(real[0] / latent_lsb)),
            )
        ]
        for i, (linear, w) in enumerate(zip(linears, weights, strict=True)):
            lsb = unit[i] * message[i]
            out = i == len(linears) - 1
            bias = (linear.bias.detach().double() / lsb).round().numpy().astype(np.int32)
            layers.append(
                Layer(
                    name="out" if out else f"h{i + 1}",
                    kind="sigma" if out else "sigma_delta",
                    n_in=w.shape[1],
                    n_out=w.shape[0],
                    weight=whole_weights(w / unit[i]),
                    bias=bias,
                    act="identity" if out else "relu",
                    shift=0 if out else shifts[i + 1],
                    threshold_lsb=1 if out else max(1 << shifts[i + 1], round(real[i + 1] / lsb)),
                    message_bits=24 if out else self.bits,
                )
            )
        names = [layer.name for layer in layers]
        edges = tuple(Edge(src=a, dst=b) for a, b in pairwise(names))
        scales = {"latent": latent_lsb, "action": latent_lsb / stretch if stretch > 0 else latent_lsb}
        # The output is added to the coder's latent inputs as a value, once per prediction.
        edges += (Edge(src="out", dst="code", role="residual"),)
        return Artifact(layers=tuple(layers), edges=edges, scales=scales, provenance={"recipe": f"{self}"})


RECIPE = RecipeKind(name="sigma_delta", make=SigmaDelta, untuned={"thresholds": 0.1})
