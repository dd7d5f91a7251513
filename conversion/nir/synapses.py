"""NIR's linear nodes as ours: their gains go into weights, their offsets along (lowering.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeplan.conversion.nir.parameters import Value, numbers
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import Concat, Conv, Linear, Pool, Shape
from spikeplan.core.ir.graph.graph import MAX_DELAY
from spikeplan.core.ir.graph.reference import STEPS

if TYPE_CHECKING:
    from spikeplan.conversion.nir.lowering import Lowering


def affine(low: Lowering, name: str, node: Any) -> Value:
    weight = numbers(node.weight, "weight")
    if weight.ndim != 2:
        raise UserError(f"weight of shape {weight.shape}; expected (n_out, n_in)")
    bias = numbers(node.bias, "bias").reshape(-1) if hasattr(node, "bias") else None
    if bias is not None and bias.size not in (1, len(weight)):
        raise UserError(f"bias of shape {bias.shape}; expected ({len(weight)},)")
    return low.linear(name, low.taken(name), Linear(name=name, weight=weight), bias)


def scale(low: Lowering, name: str, node: Any) -> Value:
    value = low.taken(name)
    return low.linear(name, value, low.diagonal(name, value.shape, numbers(node.scale, "scale")), None)


def conv(low: Lowering, name: str, node: Any) -> Value:
    weight, value = numbers(node.weight, "weight"), low.taken(name)
    flat = weight.ndim == 3  # one dimension: images of one row
    if flat:
        weight = weight[:, :, None, :]
    if weight.ndim != 4:
        raise UserError(f"weight of shape {weight.shape}; expected (C_out, C_in / groups, H, W)")

    def pair(key: str, one: int) -> tuple[int, int]:
        found = getattr(node, key)
        if isinstance(found, str):
            raise UserError(f"{key} {found!r} does not run here; export it as numbers")
        whole = [int(n) for n in np.asarray(found).reshape(-1)]
        return (one, whole[0]) if flat else (whole[0], whole[-1])

    synapse = Conv(
        name=name,
        weight=weight,
        stride=pair("stride", 1),
        padding=pair("padding", 0),
        dilation=pair("dilation", 1),
        groups=int(np.asarray(node.groups).reshape(())),
    )
    bias = None if node.bias is None else numbers(node.bias, "bias").reshape(-1, 1, 1)
    return low.linear(name, value, synapse, bias)


def pool(low: Lowering, name: str, node: Any) -> Value:
    value = low.taken(name)
    kernel, stride, padding = (
        tuple(int(n) for n in np.broadcast_to(np.asarray(getattr(node, key)).reshape(-1), 2))
        for key in ("kernel_size", "stride", "padding")
    )
    pool = Pool(name=name, kernel=kernel, stride=stride, padding=padding)  # type: ignore[arg-type]
    low.add(pool, value.name)
    shape = pool.shape_after((value.shape,))
    share = 1 / (kernel[0] * kernel[1]) if isinstance(node, low.nir.AvgPool2d) else 1.0
    offset = None
    if value.offset is not None:
        offset = share * STEPS[Pool](pool, [np.broadcast_to(value.offset, value.shape)], {}, 0)[0]
    return Value(name, shape, value.gain * share, offset)


def flatten(low: Lowering, name: str, node: Any) -> Value:
    value = low.taken(name)
    low.add(Concat(name=name), value.name)
    offset = None if value.offset is None else np.broadcast_to(value.offset, value.shape).reshape(-1)
    return Value(name, (int(np.prod(value.shape)),), value.gain, offset)


def delay(low: Lowering, name: str, node: Any) -> Value:
    value, steps = low.taken(name), numbers(node.delay, "delay").reshape(-1) / low.dt_s
    whole = np.rint(steps)
    if (np.abs(steps - whole) > 1e-6 * np.maximum(whole, 1)).any() or len(set(whole.tolist())) != 1:
        raise UserError(f"delays of {steps.min():g} to {steps.max():g} steps; one whole number of steps runs here")
    if not 0 <= whole[0] <= MAX_DELAY:
        raise UserError(f"a delay of {whole[0]:g} steps; at most {MAX_DELAY} run here")
    image = len(value.shape) == 3
    held = Pool(name=name, kernel=(1, 1), stride=(1, 1)) if image else Concat(name=name)
    low.add(held, value.name, delay_steps=int(whole[0]))
    return replace(value, name=name)


def makers(nir: Any) -> dict[type, Callable[..., Value]]:
    return {
        nir.Affine: affine,
        nir.Linear: affine,
        nir.Scale: scale,
        nir.Conv1d: conv,
        nir.Conv2d: conv,
        nir.SumPool2d: pool,
        nir.AvgPool2d: pool,
        nir.Flatten: flatten,
        nir.Delay: delay,
    }


def conv_out(nir: Any, conv: Conv, before: Shape, bias: Any, words: dict[str, str] | None = None) -> Any:
    """Our convolution of an image as NIR's; `words`: its metadata."""
    return nir.Conv2d(
        input_shape=tuple(before[1:]),
        weight=conv.weight,
        stride=conv.stride,
        padding=conv.padding,
        dilation=conv.dilation,
        groups=conv.groups,
        bias=bias,
        metadata=words or {},
    )
