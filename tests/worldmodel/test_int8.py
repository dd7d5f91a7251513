"""The int8 dense opponent: exact integers, honest zero-skipping, close to fp32."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.int8 import Int8Predictor

TOPS = (2.0**-5, 2.0**-4, 2.0**-4)  # dyadic input scales: then every float operation below is exact
SCALES = (2.0**-12, 2.0**-13, 2.0**-12)


@pytest.fixture
def dense(make_predictor):
    predictor, latent, action = make_predictor(hidden=(40, 32))
    with torch.no_grad():
        for linear in predictor.linears():
            linear.bias.mul_(1024).round_().div_(1024)
    return predictor, latent, action


def plain_step(int8: Int8Predictor, x: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """q W in int64, one row after the other; returns the output and how many inputs of each layer are not zero."""
    out, nonzero = [], [0] * len(int8.weight)
    for row in x.astype(np.float64):
        for i, weight in enumerate(int8.weight):
            q = np.clip(np.round(row / TOPS[i]), -127, 127).astype(np.int64)
            nonzero[i] += int((q != 0).sum())
            integer = weight.numpy().astype(np.int64)
            total = np.array([sum(int(a) * int(b) for a, b in zip(q, column, strict=True)) for column in integer.T])
            row = total * SCALES[i] + int8.bias[i].double().numpy()
            if i + 1 < len(int8.weight):
                row = np.maximum(row, 0)
        out.append(row)
    return np.array(out), nonzero


@pytest.mark.parametrize("zero_skip", [False, True])
def test_exact_against_a_plain_integer_loop(dense, zero_skip):
    predictor, latent, action = dense
    int8 = Int8Predictor(predictor, latent, action, zero_skip=zero_skip)
    int8.top_in, int8.scale_in, int8.stretch = list(TOPS), list(SCALES), 1.0
    z, a = latent[:20].view(4, 5, 6), action[:20].view(4, 5, 2)
    z = (z * 256).round() / 256
    after, state, counts = int8.step(z, a, int8.begin(latent[:4], a[:, :, None]))
    change, nonzero = plain_step(int8, torch.cat([z, a], -1).reshape(20, -1).numpy())
    assert state is None
    assert (after.double().numpy().reshape(20, 6) == z.numpy().reshape(20, 6) + change.astype(np.float32)).all()
    assert np.abs(change).max() > 0.1
    sizes = [(8, 40), (40, 32), (32, 6)]
    assert all(0 < n < 20 * size for n, (size, _) in zip(nonzero, sizes, strict=True)), "some zeros, not all"
    for count, n, (n_in, n_out) in zip(counts, nonzero, sizes, strict=True):
        assert count.macs == (n * n_out if zero_skip else 20 * n_in * n_out)
        assert (count.dense_macs, count.calls) == (20 * n_in * n_out, 20)
    assert [count.layer for count in counts] == ["h1", "h2", "h3"]


def test_weights_fill_the_int8_range(dense):
    predictor, latent, action = dense
    int8 = Int8Predictor(predictor, latent, action)
    for i, (weight, linear) in enumerate(zip(int8.weight, predictor.linears(), strict=True)):
        assert (weight == weight.round()).all()
        assert weight.abs().max() == 127
        real = linear.weight.detach().T.clone()
        if i == 0:
            assert weight[6:].abs().max() == 127, "the action's columns use the range too"
            real[6:] /= int8.stretch
        unit = int8.scale_in[i] / int8.top_in[i]
        assert (weight * unit - real).abs().max() <= 0.5001 * unit


def test_close_to_the_dense_network(dense):
    """Error below 1 % of the change's variance: a network that outputs zero, or the latent, would have 100 %."""
    predictor, latent, action = dense
    int8 = Int8Predictor(predictor, latent, action)
    z, a = latent[:500, None], action[:500, None]
    after, _, _ = int8.step(z, a, None)
    expected = predictor(z, a).detach()
    assert ((after - expected).square().mean() / (expected - z).var()) < 0.01


def test_refusals(dense):
    predictor, latent, action = dense
    with pytest.raises(UserError, match="calibration latent is not finite"):
        Int8Predictor(predictor, latent / 0, action)
    with pytest.raises(UserError, match="reference 'previous_step' is not offered"):
        Int8Predictor(predictor, latent, action).begin(latent, action, "previous_step")


def test_clipped_activations_are_counted(dense):
    predictor, latent, action = dense
    int8 = Int8Predictor(predictor, latent, action)
    a = action[:4].view(1, 4, 2)
    calm = int8.step(latent[:4].view(1, 4, 6), a, None)[2]
    far = latent[:4].view(1, 4, 6).clone()
    far[0, 0] = 50 * latent.abs().max()
    wild = int8.step(far, a, None)[2]
    assert calm[0].saturated == 0 and wild[0].saturated == 6 and wild[1].saturated > 0
