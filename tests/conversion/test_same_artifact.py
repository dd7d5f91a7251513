"""Chains convert to the very integers that they always converted to: shipped files, and what was measured on them, still hold.

`as_before` is the arithmetic of version 0.2's first converter, which read nn.Linear modules, kept as it was.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.calibration import measure_ranges
from spikeplan.worldmodel.checkpoint import load_model, shipped
from spikeplan.worldmodel.predictor import ResidualPredictor


def as_before(
    linears: list[nn.Linear], data: Calibration, thresholds: float, bits: int
) -> tuple[list[Any], dict[str, float]]:
    """(shift, threshold, weight, bias) of each layer, coder first; and the scales."""
    latent, action, outputs = measure_ranges(linears, data)
    d, n_in, top = linears[-1].out_features, linears[0].in_features, (1 << (bits - 1)) - 1
    first = linears[0].weight.detach().double()
    stretch = float(first[:, d:].abs().max() / first[:, :d].abs().max()) if n_in > d else 1.0
    stretched = torch.cat([first[:, :d], first[:, d:] / max(stretch, 1e-9)], 1)
    weights = [stretched] + [m.weight.detach().double() for m in linears[1:]]
    unit = [float(w.abs().max()) / 127 for w in weights]
    message, shifts = [max(1.2 * latent.top, action.top * stretch) / top], [0]
    for size, reached in zip(unit[:-1], outputs[:-1], strict=True):
        lsb = size * message[-1]
        shifts.append(max(0, math.ceil(math.log2(reached.top / (top * lsb)))))
        message.append(lsb * 2 ** shifts[-1])
    shifts[0] = max(0, math.floor(math.log2(message[0] / (unit[-1] * message[-1]))))
    unit[-1] = message[0] / (2 ** shifts[0] * message[-1])
    latent_lsb = unit[-1] * message[-1]
    spread = [latent.std] + [r.std for r in outputs[:-1]]
    layers: list[Any] = [(shifts[0], max(1 << shifts[0], round(thresholds * spread[0] / latent_lsb)), None, None)]
    for i, (linear, w) in enumerate(zip(linears, weights, strict=True)):
        lsb, last = unit[i] * message[i], i == len(linears) - 1
        whole = (w / unit[i]).round().clamp(-127, 127).to(torch.int8).numpy()
        bias = (linear.bias.detach().double() / lsb).round().numpy().astype(np.int32)
        shift = 0 if last else shifts[i + 1]
        layers.append((shift, 1 if last else max(1 << shift, round(thresholds * spread[i + 1] / lsb)), whole, bias))
    return layers, {"latent": latent_lsb, "action": latent_lsb / stretch}


def shipped_predictor(task: str) -> Any:
    return load_model(shipped(task)).predictor


@pytest.mark.parametrize(
    ("make", "thresholds", "bits"),
    [
        (lambda: shipped_predictor("two-room"), 0.1, 8),
        (lambda: shipped_predictor("planar-reach"), 0.25, 8),
        (lambda: ResidualPredictor(6, 2, (48, 48)), 0.05, 7),
        (lambda: ResidualPredictor(5, 1, (3,)), 0.0, 8),
        (lambda: ResidualPredictor(5, 3, (16,) * 4), 0.02, 8),
    ],
    ids=["two-room", "planar-reach", "two layers", "narrow", "deep"],
)
def test_a_chain_gives_the_integers_that_it_always_gave(make, thresholds, bits):
    torch.manual_seed(2)
    predictor = make()
    d, a = predictor.latent_dim, predictor.action_dim
    data = Calibration(torch.randn(1000, d), 0.2 * torch.rand(1000, a) - 0.1)
    artifact, _ = convert(predictor, data, SigmaDelta(thresholds=thresholds, bits=bits))
    layers, scales = as_before(predictor.linears(), data, thresholds, bits)
    assert artifact.scales == scales and artifact.is_chain and artifact.residual
    for layer, (shift, threshold, weight, bias) in zip(artifact.layers, layers, strict=True):
        assert (layer.shift, layer.threshold_lsb, layer.weight_exp) == (shift, threshold, 0)
        if weight is not None:
            assert np.array_equal(layer.weight, weight) and np.array_equal(layer.bias, bias)
            assert layer.weight.dtype == np.int8 and layer.bias.dtype == np.int32
