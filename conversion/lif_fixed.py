"""A floating-point LIF network in the fixed point of a neurocore, with what that cost.

    du_int = round(4096 du) - 1 (Lava adds the one),  dv_int = round(4096 dv)
    W_int  = 2 round(S W / (2 vth)),  vth_int = S,  bias = round(64 S b / vth) = mant << exp

Every neuron's potential is measured in thresholds, so that one S serves a layer. S is the largest for which the weights fit
into 8 bits and a sign (Lava keeps even ones), the threshold into 16 bits and, for spikes as input, the current into 24.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.ir.network import Dense, Layer, LIFNeuron, Network

UNITY = 4096
WEIGHT_MAX = 254
VTH_MAX = (1 << 16) - 1  # one bit below Loihi's 17: the potential must be able to pass it
MANT_MAX, EXP_MAX = 4095, 7
ALIGN = 6


@dataclass(frozen=True, kw_only=True)
class LIFLayerReport:
    """vth_lsb: S. Errors are the largest of the layer: weights and bias as shares of the largest weight, du and dv as shares
    of themselves. lost_weights: weights that were not zero and are now."""

    vth_lsb: int
    weight_error: float
    lost_weights: int
    bias_error: float
    du_error: float
    dv_error: float


def quantise(network: Network) -> tuple[Network, dict[str, LIFLayerReport]]:
    """A fixed-point network and a report a layer. Its spikes differ from the floating form's; how much, only a run tells."""
    if network.sigma_delta or network.fixed:
        raise UserError("quantise: expected a floating-point LIF network")
    layers, reports = [], {}
    for number, layer in enumerate(network.layers):
        spikes = number > 0 or not network.graded_input
        fixed, reports[layer.name] = _layer(layer, spikes=spikes)
        layers.append(fixed)
    return replace(network, layers=tuple(layers)), reports


def _layer(layer: Layer, *, spikes: bool) -> tuple[Layer, LIFLayerReport]:
    neuron, synapse = layer.neuron, layer.synapse
    assert isinstance(neuron, LIFNeuron) and isinstance(synapse, Dense)
    relative = synapse.weight / neuron.vth[:, None]  # in thresholds
    bias = neuron.bias / neuron.vth
    top = float(np.abs(relative).max())
    du, du_error = _decay(neuron.du, 1)
    dv, dv_error = _decay(neuron.dv, 0)
    room = [float(VTH_MAX), WEIGHT_MAX / top if top else np.inf]
    if spikes and top:  # all inputs at once, again and again
        largest = np.abs(relative).sum(1) * UNITY / (du + 1)
        room.append(float(((1 << STATE_BITS - 1) - 1) / (largest.max() * (1 << ALIGN))))
    scale = int(min(room))
    if scale < 1:
        raise UserError(f"layer '{layer.name}': a weight is {top:g} times its threshold; 8 bits cannot hold both")
    weight = (2 * np.rint(relative * scale / 2)).astype(np.int64)
    if top and not weight.any():
        raise UserError(
            f"layer '{layer.name}': its largest weight is {top:.2g} of its threshold and every one rounds to 0; check --dt and "
            "the weights, or run it with --precision floating_pt"
        )
    mant, exp = _mantissa(bias * scale * (1 << ALIGN), layer.name)
    unit = max(top, float(np.abs(bias).max())) or 1.0
    report = LIFLayerReport(
        vth_lsb=scale,
        weight_error=float(np.abs(weight / scale - relative).max()) / unit,
        lost_weights=int(np.count_nonzero((weight == 0) & (relative != 0))),
        bias_error=float(np.abs((mant * 2.0**exp) / (scale << ALIGN) - bias).max()) / unit,
        du_error=du_error,
        dv_error=dv_error,
    )
    fixed = LIFNeuron(du=du, dv=dv, vth=np.full(layer.n, scale), bias=mant, bias_exp=exp)
    return replace(layer, neuron=fixed, synapse=Dense(weight=weight)), report


def _decay(share: NDArray[np.float64], offset: int) -> tuple[NDArray[np.int64], float]:
    """Integers out of 4096 less `offset`, kept in their 12 bits, and the largest relative error."""
    found = np.clip(np.rint(share * UNITY).astype(np.int64) - offset, 0, UNITY - 1)
    wrong = np.abs((found + offset) / UNITY - share)
    return found, float((wrong / np.where(share > 0, share, 1)).max())


def _mantissa(bias: NDArray[np.float64], name: str) -> tuple[NDArray[np.int64], int]:
    largest = float(np.abs(bias).max())
    exp = next((e for e in range(EXP_MAX + 1) if largest / 2**e <= MANT_MAX), None)
    if exp is None:
        raise UserError(
            f"layer '{name}': a bias of {largest:g} state LSB is beyond 13 bits and an exponent of 7; lower it"
        )
    return np.rint(bias / 2**exp).astype(np.int64), exp
