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
        for name in ("latent_ND", "action_NA"):
            object.__setattr__(self, name, _rows(getattr(self, name), name.partition("_")[0] + "s"))
        if len(self.latent_ND) != len(self.action_NA) or len(self.latent_ND) < 2:
            raise UserError(
                f"calibration: {len(self.latent_ND)} latents and {len(self.action_NA)} actions; give >= 2 pairs"
            )
        if not (torch.isfinite(self.latent_ND).all() and torch.isfinite(self.action_NA).all()):
            raise UserError("calibration: a latent or action is not finite; record it again from a trained model")

    @classmethod
    def of(cls, pair: Any) -> Calibration:
        """Of a pair (latents, actions), tensors or arrays. Raises UserError for anything else."""
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            found = f"{len(pair)} items" if isinstance(pair, tuple | list) else type(pair).__name__
            raise UserError(f"calibration: {found}, expected a pair (latents (N, D), actions (N, A)); give both")
        return cls(pair[0], pair[1])


def _rows(given: Any, what: str) -> Tensor:
    """Numbers as a float32 tensor (N, n): arrays and whole numbers are taken, too."""
    try:
        rows = torch.as_tensor(given).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(
            f"calibration: {what} are {type(given).__name__}, no numbers; give a tensor or an array"
        ) from error
    if rows.dim() != 2 or rows.is_complex():
        remedy = "flatten rollouts to rows" if rows.dim() > 2 else "give one row a pair"
        raise UserError(
            f"calibration: {what} of shape {tuple(rows.shape)}, expected (N, {'D' if what == 'latents' else 'A'}): {remedy}"
        )
    return rows.to("cpu", torch.float32)


@dataclass(frozen=True)
class LayerRange:
    """Largest magnitude (at RANGE_QUANTILE) and standard deviation of a layer's output, real units."""

    top: float
    std: float


def split_relu_mlp(net: nn.Sequential) -> list[nn.Linear]:
    """The linears of a `Linear (ReLU Linear)*` chain; anything else is refused by name."""
    modules = dict(net._modules)  # one ReLU may stand at several places: named_children drops repeats
    linears: list[nn.Linear] = []
    for position, (name, module) in enumerate(modules.items()):
        expected = nn.Linear if position % 2 == 0 else nn.ReLU
        if not isinstance(module, expected):
            found = type(module).__name__
            raise UserError(
                f"layer 'net.{name}': {found} cannot be fine-tuned as spikes here (expected {expected.__name__}); "
                "convert this predictor without fine-tuning, or train it as a chain of Linear and ReLU"
            )
        if isinstance(module, nn.Linear):
            linears.append(module)
    if len(linears) < 2 or len(modules) % 2 == 0:
        raise UserError(
            f"predictor: {len(modules)} layers; a chain Linear (ReLU Linear)+ that ends in a Linear is needed"
        )
    return linears


def chain_of(predictor: Any) -> list[nn.Linear]:
    """The linears of a residual predictor z + net([z, a]), for fine-tuning, which trains them. Conversion reads `forward`.

    Raises UserError for a `net` that is no ReLU chain, and for a `forward` that computes something else.
    """
    net, name = getattr(predictor, "net", None), type(predictor).__name__
    if not isinstance(net, nn.Sequential):
        raise UserError(
            f"predictor: {name} has no Sequential `net`, which fine-tuning trains; convert it without fine-tuning, or wrap it as "
            "a residual predictor z + net(z, a)"
        )
    linears = split_relu_mlp(net)
    d, n_in = linears[-1].out_features, linears[0].in_features
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(4, n_in, generator=generator)
    with torch.no_grad():
        try:
            same = n_in >= d and torch.allclose(predictor(x[:, :d], x[:, d:]), x[:, :d] + net(x), rtol=1e-4, atol=1e-5)
        except RuntimeError:
            same = False
    if not same:
        raise UserError(
            f"predictor: {name}.forward is not z + net([z, a]), which fine-tuning trains; convert it without fine-tuning"
        )
    return linears


def message_steps(unit: Sequence[float], first: float, outputs: Sequence[LayerRange], top: int) -> list[int]:
    """Shifts of the hidden layers: the least that keep each layer's output within `top` messages.

    `unit`: real value of a weight LSB, `first`: of a message LSB of the input coder; a hidden layer's message LSB is
    2^shift of its state LSB, which is unit x the message LSB before it.
    """
    message, shifts = first, []
    for size, reached in zip(unit, outputs, strict=True):
        lsb = size * message
        shifts.append(shift_for(lsb, reached, top))
        message = lsb * 2 ** shifts[-1]
    return shifts


def shift_for(lsb: float, reached: LayerRange, top: int) -> int:
    """The least shift that keeps a layer's output within `top` messages; `lsb`: real value of its state LSB."""
    return max(0, math.ceil(math.log2(reached.top / (top * lsb))))


def whole_weights(w: Tensor) -> NDArray[np.int8]:
    """Weights in weight LSB, rounded and kept within 8 bits."""
    top = limit(WEIGHT_BITS)
    return np.ascontiguousarray(w.round().clamp(-top, top).to(torch.int8).numpy())


def range_of(x: Tensor) -> LayerRange:
    """Of what a layer puts out."""
    return LayerRange(_top(x), float(x.std().clamp_min(1e-6)))


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
        outputs.append(range_of(x))
    latent = LayerRange(_top(data.latent_ND), float(data.latent_ND.std()))
    action = LayerRange(float(data.action_NA.abs().max()), float(data.action_NA.std()))
    return latent, action, outputs
