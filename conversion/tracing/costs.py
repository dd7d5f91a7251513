"""What operations cost where they are computed densely: MACs of products, additions and their like of everything else.

Charges an element of the output: 1 for a sum, a product or a comparison, and for a function made of several (softmax: maximum,
difference, exponential, sum, quotient) as many as it has. They are conventions, not measurements; MACs are exact.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

PER_ELEMENT = {
    **dict.fromkeys(("softmax", "_softmax", "log_softmax"), 5),
    **dict.fromkeys(("layer_norm", "native_layer_norm", "group_norm", "instance_norm", "rms_norm"), 8),
    **dict.fromkeys(("gelu", "tanh", "silu", "mish", "erf", "exp", "log", "softplus", "elu", "sin", "cos"), 4),
    **dict.fromkeys(("sigmoid", "hardswish", "hardsigmoid", "sqrt", "rsqrt", "reciprocal", "pow"), 4),
}
MIXED = ("scaled_dot_product_attention",)  # products and a softmax
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution")


def macs_of(name: str, args: tuple[Any, ...], out: Any) -> int:
    """Of one call; 0 for what multiplies no matrices."""
    if name == "linear":
        return int(out.numel() * args[1].shape[-1])
    if name in ("mm", "bmm", "matmul", "mv", "dot"):
        return int(out.numel() * args[0].shape[-1])
    if name in ("addmm", "baddbmm"):
        return int(out.numel() * args[1].shape[-1])
    if name in CONVOLUTIONS:
        return int(out.numel() * (args[1].numel() // args[1].shape[0]))
    if name.startswith("conv_transpose"):
        return int(args[0].numel() * (args[1].numel() // args[1].shape[0]))
    if name == "scaled_dot_product_attention":
        q, k, v = args[:3]
        return int(math.prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1]))
    return 0


def anew_of(name: str, args: tuple[Any, ...], out: Any) -> int:
    """Of an operation that is computed anew: its MACs, and what else it does, charged as MACs too: no synapse does either."""
    products = macs_of(name, args, out)
    return products + (acs_of(name, args, out) if not products or name in MIXED else 0)


def acs_of(name: str, args: tuple[Any, ...], out: Any) -> int:
    """Of one call that is no product of matrices."""
    sums = name in ("mean", "sum", "cumsum") or "pool" in name
    measured = args[0] if sums else out[0] if isinstance(out, tuple | list) else out
    if name == "scaled_dot_product_attention":
        return int(PER_ELEMENT["softmax"] * math.prod(args[0].shape[:-1]) * args[1].shape[-2])
    return PER_ELEMENT.get(name, 1) * measured.numel() if isinstance(measured, Tensor) else 0
