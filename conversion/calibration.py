"""What the converter must know about the numbers that flow through a predictor: ranges and spreads per layer.

Calibration data are real planning inputs (latents and candidate actions), not noise: ranges of imagined latents are
wider than those of observed ones. Shapes: latent (N, D), action (N, A).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import WEIGHT_BITS, limit

RANGE_QUANTILE = 0.9999


@dataclass(frozen=True)
class Calibration:
    """Planner inputs that the network will see.

    Args:
        latent_ND: N latents, observed and imagined, of size D.
        action_NA: the action taken in each, in the task's units.

    Raises UserError for fewer than two pairs, unequal lengths, or a number that is not finite.

    >>> data = Calibration(torch.randn(4000, 32), torch.rand(4000, 2) - 0.5)
    >>> artifact, report = convert(predictor, data, SigmaDelta())
    """

    latent_ND: Tensor
    action_NA: Tensor

    def __post_init__(self) -> None:
        if len(self.latent_ND) != len(self.action_NA) or len(self.latent_ND) < 2:
            raise UserError(
                f"calibration: {len(self.latent_ND)} latents and {len(self.action_NA)} actions; give >= 2 pairs"
            )
        if not (torch.isfinite(self.latent_ND).all() and torch.isfinite(self.action_NA).all()):
            raise UserError("calibration: a latent or action is not finite; record it again from a trained model")


@dataclass(frozen=True)
class LayerRange:
    """Largest magnitude (at RANGE_QUANTILE) and standard deviation of a layer's output, real units."""

    top: float
    std: float


def split_relu_mlp(net: nn.Module) -> list[nn.Linear]:
    """The linears of a `Linear (ReLU Linear)*` chain; anything else is refused by name."""
    modules = dict(net.named_children())
    linears: list[nn.Linear] = []
    for position, (name, module) in enumerate(modules.items()):
        expected = nn.Linear if position % 2 == 0 else nn.ReLU
        if not isinstance(module, expected):
            found = type(module).__name__
            raise UserError(
                f"layer 'net.{name}': {found} has no exact delta form here (expected {expected.__name__}); "
                "fold it into the linears or keep this predictor dense"
            )
        if isinstance(module, nn.Linear):
            linears.append(module)
    if len(linears) < 2 or len(modules) % 2 == 0:
        raise UserError(
            f"predictor: {len(modules)} layers; a chain Linear (ReLU Linear)+ that ends in a Linear is needed"
        )
    return linears


def chain_of(predictor: Any) -> list[nn.Linear]:
    """The convertible chain of a residual predictor (`predictor.net`)."""
    net = getattr(predictor, "net", None)
    if not isinstance(net, nn.Sequential):
        raise UserError(
            f"predictor: {type(predictor).__name__} has no Sequential `net`; "
            "wrap it as a residual predictor z + net(z, a)"
        )
    known = {"net"}
    strange = [name for name, _ in predictor.named_children() if name not in known]
    if strange:
        raise UserError(f"layer '{strange[0]}': not part of `net`, would be skipped silently; move it into `net`")
    return split_relu_mlp(net)


def message_steps(unit: Sequence[float], first: float, outputs: Sequence[LayerRange], top: int) -> list[int]:
    """Shifts of the hidden layers: the least that keep each layer's output within `top` messages.

    `unit`: real value of a weight LSB, `first`: of a message LSB of the input coder; a hidden layer's message LSB is
    2^shift of its state LSB, which is unit x the message LSB before it.
    """
    message, shifts = first, []
    for size, reached in zip(unit, outputs, strict=True):
        lsb = size * message
        shifts.append(max(0, math.ceil(math.log2(reached.top / (top * lsb)))))
        message = lsb * 2 ** shifts[-1]
    return shifts


def whole_weights(w: Tensor) -> NDArray[np.int8]:
    """Weights in weight LSB, rounded and kept within 8 bits."""
    top = limit(WEIGHT_BITS)
    return np.ascontiguousarray(w.round().clamp(-top, top).to(torch.int8).numpy())


def _top(x: Tensor) -> float:
    flat = x.abs().flatten()
    k = max(1, int(len(flat) * RANGE_QUANTILE))
    return float(flat.kthvalue(k).values.clamp_min(1e-6))


@torch.no_grad()
def measure_ranges(linears: list[nn.Linear], data: Calibration) -> tuple[LayerRange, LayerRange, list[LayerRange]]:
    """Ranges of latent, action and every layer's output (after ReLU but for the last)."""
    x = torch.cat([data.latent_ND, data.action_NA], -1)
    outputs = []
    for i, linear in enumerate(linears):
        x = linear(x)
        if i + 1 < len(linears):
            x = x.relu()
        outputs.append(LayerRange(_top(x), float(x.std().clamp_min(1e-6))))
    latent = LayerRange(_top(data.latent_ND), float(data.latent_ND.std()))
    action = LayerRange(float(data.action_NA.abs().max()), float(data.action_NA.std()))
    return latent, action, outputs
