"""A residual predictor's weights as the kernel reads them: (in, out), filled up with zeros to powers of two."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.predictor import ResidualPredictor

LEAST = 16  # the narrowest sum of a tl.dot
MOST_HIDDEN, MOST_LATENT = 256, 64  # beyond, activations would leave a GPU's registers
PRECISIONS = {"fp32": torch.float32, "tf32": torch.float32, "fp16": torch.float16}


class KernelWeights(NamedTuple):
    """`w1z` (D, N1), `w1a` (A, N1), `w2` (N1, N2), `w3` (N2, D) in the precision of the products; biases in fp32."""

    w1z: Tensor
    w1a: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor
    w3: Tensor
    b3: Tensor


def padded(size: int) -> int:
    """The next power of two, of at least 16.

    >>> padded(96)
    128
    """
    return max(LEAST, 1 << (size - 1).bit_length())


def kernel_weights(module: Any, precision: str = "fp32", device: str = "cpu") -> KernelWeights:
    """Of a ResidualPredictor with two hidden layers. A zero weight adds nothing, so padding changes no result.

    Raises UserError for another module, for more or fewer layers, for widths beyond what a GPU's registers hold, and for an
    unknown precision.

    >>> kernel_weights(ResidualPredictor(32, 2, (256, 256))).w2.shape
    torch.Size([256, 256])
    """
    if precision not in PRECISIONS:
        raise UserError(f"fused plan: precision {precision!r} is unknown; use one of {', '.join(PRECISIONS)}")
    if not isinstance(module, ResidualPredictor) or len(module.hidden) != 2:
        what = f"{len(module.hidden)} hidden layers" if isinstance(module, ResidualPredictor) else type(module).__name__
        raise UserError(
            f"fused plan: {what}; the kernel runs a ResidualPredictor with two hidden layers, use cem for others"
        )
    if max(module.hidden) > MOST_HIDDEN or module.latent_dim > MOST_LATENT:
        raise UserError(
            f"fused plan: hidden {module.hidden}, latent {module.latent_dim}; at most {MOST_HIDDEN} and {MOST_LATENT} stay in "
            "registers, use cem for wider networks"
        )
    first, second, last = module.linears()
    d, n1, n2 = padded(module.latent_dim), *map(padded, module.hidden)
    dtype = PRECISIONS[precision]

    def put(weight_ON: Tensor, inputs: int, outputs: int) -> Tensor:
        found = torch.zeros(inputs, outputs, dtype=dtype, device=device)
        found[: weight_ON.shape[1], : weight_ON.shape[0]] = weight_ON.detach().T
        return found

    def bias(linear: torch.nn.Linear, size: int) -> Tensor:
        found = torch.zeros(size, device=device)
        if linear.bias is not None:
            found[: linear.out_features] = linear.bias.detach()
        return found

    return KernelWeights(
        w1z=put(first.weight[:, : module.latent_dim], d, n1),
        w1a=put(first.weight[:, module.latent_dim :], padded(module.action_dim), n1),
        b1=bias(first, n1),
        w2=put(second.weight, n1, n2),
        b2=bias(second, n2),
        w3=put(last.weight, n2, d),
        b3=bias(last, d),
    )
