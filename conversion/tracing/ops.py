"""Which operations are affine in what they are given, and which are a ReLU. Everything else is neither.

An operation is affine in its `data` arguments while all the others are constants; with `one`, only while at most one of them
depends on the inputs (a product). Its `additive` arguments, where they are constants, add to the result: the linear part is what
is left when they are zero. That is all that a matrix needs: it is found by running the operations, not by rules of their own.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

aten = torch.ops.aten


@dataclass(frozen=True)
class Affine:
    """Positions of arguments. A list argument (cat) counts as one position."""

    data: tuple[int, ...] = (0,)
    additive: tuple[int, ...] = ()
    one: bool = False


MOVES = Affine()  # one value, moved about, scaled or summed over fixed places
SUM = Affine(data=(0, 1), additive=(0, 1))
PRODUCT = Affine(data=(0, 1), one=True)
CONV = Affine(data=(0, 2), additive=(2,))

# By the name of the operation, whatever its overload.
AFFINE: dict[str, Affine] = {
    "linear": Affine(data=(0, 2), additive=(2,)),
    "addmm": Affine(data=(0, 1), additive=(0,)),
    "baddbmm": Affine(data=(0, 1), additive=(0,)),
    **dict.fromkeys(("mm", "bmm", "matmul", "mv", "dot", "mul", "mul_", "multiply"), PRODUCT),
    "einsum": Affine(data=(1,), one=True),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), CONV),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), CONV),
    "batch_norm": Affine(additive=(2, 3)),
    "_native_batch_norm_legit_no_training": Affine(additive=(2, 3)),
    **dict.fromkeys(("add", "add_", "sub", "sub_", "rsub", "subtract"), SUM),
    **dict.fromkeys(("div", "div_", "divide", "true_divide", "neg", "neg_", "negative"), MOVES),
    **dict.fromkeys(("cat", "concat", "stack", "hstack", "vstack"), Affine(additive=(0,))),
    "where": Affine(data=(1, 2), additive=(1, 2)),
    "masked_fill": Affine(additive=(2,)),
    "fill": Affine(additive=(1,)),  # what was there is overwritten: nothing of it is left
    **dict.fromkeys(("copy", "slice_scatter", "select_scatter"), SUM),
    "constant_pad_nd": Affine(additive=(2,)),
    "pad": Affine(additive=(3,)),
    **dict.fromkeys(("slice", "select", "narrow", "split", "split_with_sizes", "chunk", "unbind", "getitem"), MOVES),
    **dict.fromkeys(("reshape", "view", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze"), MOVES),
    **dict.fromkeys(("permute", "transpose", "t", "movedim", "swapaxes", "flip", "roll", "diagonal"), MOVES),
    **dict.fromkeys(("expand", "expand_as", "repeat", "repeat_interleave", "index_select", "index", "gather"), MOVES),
    **dict.fromkeys(("mean", "sum", "cumsum", "tril", "triu", "unfold", "im2col"), MOVES),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d", "pixel_shuffle", "pixel_unshuffle"), MOVES),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d", "_adaptive_avg_pool2d"), MOVES),
    **dict.fromkeys(("dropout", "feature_dropout", "alpha_dropout", "alias", "detach", "lift_fresh_copy"), MOVES),
    **dict.fromkeys(("clone", "contiguous", "to", "_to_copy", "type_as", "positive"), MOVES),
}
# These look at the shape of what they are given alone.
SHAPE_ONLY = ("zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full", "new_empty")
# Arguments that must have one value for the operation to be affine: training modes, and rounding.
FIXED: dict[str, tuple[int, Any]] = {"batch_norm": (5, False), "dropout": (2, False), "feature_dropout": (2, False)}


def packet(node: fx.Node) -> str:
    """The name of the operation that a node calls, without its overload."""
    if node.target is operator.getitem:
        return "getitem"
    return str(getattr(getattr(node.target, "overloadpacket", None), "__name__", node.target))


def rule_of(node: fx.Node, depends: Any) -> Affine | None:
    """How a node is affine; None where it is not. `depends(node)`: whether it depends on the inputs."""
    name = packet(node)
    rule = AFFINE.get(name)
    if rule is None or node.kwargs.get("rounding_mode"):
        return None
    if name in FIXED:
        position, value = FIXED[name]
        if len(node.args) <= position or node.args[position] != value:
            return None
    varying = [position for position, given in enumerate(node.args) if any(map(depends, nodes_in(given)))]
    several = sum(sum(map(depends, nodes_in(given))) for given in node.args)
    varying += [-1 for given in node.kwargs.values() if any(map(depends, nodes_in(given)))]
    if any(position not in rule.data for position in varying) or (rule.one and several > 1):
        return None
    return rule


def is_relu(node: fx.Node) -> bool:
    """max(0, x), whatever it is called."""
    name, args = packet(node), node.args
    low = node.kwargs.get("min", args[1] if len(args) > 1 else None)
    if name in ("relu", "relu_"):
        return True
    if name in ("clamp_min", "clamp_min_", "clamp", "clamp_", "clip"):
        high = node.kwargs.get("max", args[2] if len(args) > 2 else None)
        return isinstance(low, int | float) and low == 0 and high is None
    return name in ("threshold", "threshold_") and tuple(args[1:3]) == (0, 0)


def nodes_in(argument: Any) -> list[fx.Node]:
    """Nodes among an argument, a list of them taken apart."""
    found: list[fx.Node] = []
    fx.node.map_aggregate(argument, lambda one: found.append(one) if isinstance(one, fx.Node) else None)
    return found


def nulled(argument: Any) -> Any:
    """A constant that adds nothing: zeros of the same shape, 0 of a number."""
    if isinstance(argument, Tensor):
        return torch.zeros_like(argument)
    return 0 if isinstance(argument, int | float) and not isinstance(argument, bool) else argument
