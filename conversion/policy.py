"""Policy or cost-to-go -> sigma-delta network in a predictor's integers, so that on a chip each takes what the other sends.

    in     [z, told] in the predictor's latent LSB, coded with its message step
    out    an action in the predictor's action LSB:   a = trunc((sigma + bias) / 2^k)
           a cost in units of 2^c latent LSB, so that its limit needs 23 bits
    W s    state LSB of layer l = w_l * M_(l-1), as in conversion/recipes/sigma_delta.py; the last layer's w is widened (by < 2x)
           until 2^k state LSB, or 2^-e of one, are an action LSB

The clip to the action limit is the planner's, which adds a perturbation before it.
Shapes: N rows, D latent, A action, G told: the goal, and the mean of places where the policy knows them.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from spikeplan.conversion.calibration import Calibration, measure_ranges, message_steps, whole_weights
from spikeplan.core.counts.operations import POLICY_PREFIX
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import MESSAGE_BITS, STATE_BITS, WEIGHT_BITS, limit
from spikeplan.core.ir.artifact import Artifact, Layer
from spikeplan.core.ir.edge import Edge

WEIGHT_TOP, MESSAGE_TOP = limit(WEIGHT_BITS), limit(MESSAGE_BITS)


def value_scale(most: float, latent_scale: float) -> float:
    """The real value of one LSB of a cost-to-go, a power of two of the latent's: `most` fits 24 bits twice."""
    return latent_scale * 2.0 ** max(0, math.ceil(math.log2(2 * most / (latent_scale * limit(STATE_BITS)))))


class ActingChain(Protocol):
    """A policy as conversion reads it: a ReLU chain of [z, told] whose output times `action_limit` is an action."""

    @property
    def latent_dim(self) -> int: ...
    @property
    def action_dim(self) -> int: ...
    @property
    def action_limit(self) -> float: ...
    def linears(self) -> list[nn.Linear]: ...


def convert_policy(
    policy: ActingChain,
    predictor: Artifact,
    latent_ND: Tensor,
    told_NG: Tensor,
    *,
    thresholds: float | tuple[float, ...] = 0.05,
    prefix: str = POLICY_PREFIX,
) -> Artifact:
    """The spiking form of a policy that acts in this predictor, or of a cost-to-go that judges what it imagines.

    Args:
        predictor: the sigma-delta network whose latents and actions it shares.
        latent_ND, told_NG: what the policy sees and is told; they set ranges and thresholds.
        thresholds: of every sending layer, in units of the layer's standard deviation; or real values, one a sending layer,
            which fine-tuning learns.
        prefix: of the layers' names; it says which of both it is.

    Raises UserError for other widths, and for thresholds that are negative or not finite.

    >>> artifact = convert_policy(bundle.policy(), bundle.artifact, data.latent_ND, data.latent_ND.flip(0))
    """
    values = thresholds if isinstance(thresholds, tuple) else (thresholds,)
    if not all(math.isfinite(value) and value >= 0 for value in values):
        raise UserError(f"policy: thresholds {thresholds} must be finite and >= 0")
    code, acts = predictor.layers[0], prefix == POLICY_PREFIX
    actions = policy.action_dim if acts else code.n_in - policy.latent_dim
    if predictor.layers[-1].n_out != policy.latent_dim or code.n_in != policy.latent_dim + actions:
        raise UserError(
            f"policy: made for latents of {policy.latent_dim} and actions of {policy.action_dim}, the network has "
            f"{code.n_in} inputs and {predictor.layers[-1].n_out} outputs; convert both from one world model"
        )
    linears = policy.linears()
    latent, _, outputs = measure_ranges(linears, Calibration(latent_ND, told_NG))
    weights = [linear.weight.detach().double() for linear in linears]
    biases = [linear.bias.detach().double() for linear in linears]
    weights[-1], biases[-1] = weights[-1] * policy.action_limit, biases[-1] * policy.action_limit
    unit = [float(w.abs().max()) / WEIGHT_TOP for w in weights]
    if min(unit) <= 0:
        raise UserError(f"{prefix.rstrip('.')}: the weights of a layer are all zero; train it again")
    message = [predictor.scales["latent"] * 2**code.shift]
    shifts = [code.shift, *message_steps(unit[:-1], message[0], outputs[:-1], MESSAGE_TOP)]
    for size, shift in zip(unit[:-1], shifts[1:], strict=True):
        message.append(size * message[-1] * 2**shift)
    scales = dict(predictor.scales)
    if not acts:
        scales["value"] = value_scale(policy.action_limit, scales["latent"])
    wanted, least = scales["action" if acts else "value"], unit[-1] * message[-1]
    # State LSB an action LSB, as a power of two; below 0 the weights are shifted.
    finer = math.floor(math.log2(wanted / least))
    unit[-1] = wanted * 2.0**-finer / message[-1]
    lsbs = [predictor.scales["latent"], *(u * m for u, m in zip(unit, message, strict=True))]
    lsbs[-1] = wanted * 2.0 ** -max(0, finer)
    spread = [latent.std] + [reached.std for reached in outputs[:-1]]
    real = thresholds if isinstance(thresholds, tuple) else tuple(thresholds * std for std in spread)
    if len(real) != len(spread):
        raise UserError(f"policy: {len(real)} thresholds for {len(spread)} sending layers (coder first)")
    least_lsb = [round(theta / lsb) for theta, lsb in zip(real, lsbs, strict=False)]
    layers = [
        Layer(
            name=f"{prefix}code",
            kind="delta",
            n_in=linears[0].in_features,
            n_out=linears[0].in_features,
            shift=code.shift,
            threshold_lsb=max(1 << code.shift, least_lsb[0]),
        )
    ]
    for i, w in enumerate(weights):
        out = i == len(weights) - 1
        shared: dict[str, Any] = {"n_in": w.shape[1], "n_out": w.shape[0], "weight": whole_weights(w / unit[i])}
        bias = (biases[i] / lsbs[i + 1]).round().numpy().astype(np.int32)
        if out:
            shift, exp = max(0, finer), max(0, -finer)
            name, bits = f"{prefix}out", STATE_BITS
            layers.append(
                Layer(name=name, kind="sigma", **shared, bias=bias, weight_exp=exp, shift=shift, message_bits=bits)
            )
        else:
            shift = shifts[i + 1]
            theta = max(1 << shift, least_lsb[i + 1])
            name = f"{prefix}h{i + 1}"
            layers.append(
                Layer(name=name, kind="sigma_delta", **shared, bias=bias, act="relu", shift=shift, threshold_lsb=theta)
            )
    edges = tuple(Edge(src=a.name, dst=b.name) for a, b in pairwise(layers))
    return Artifact(
        layers=tuple(layers),
        edges=edges,
        scales=scales,
        provenance={
            prefix.rstrip("."): {
                "action_limit": policy.action_limit,
                "thresholds": thresholds,
                "places": getattr(policy, "places", False),
            }
        },
    )
