"""Fields of a netx file as arrays, numbers and text; its weights as netx fits them."""

from __future__ import annotations

from math import floor, inf, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Conv, Shape
from spikeplan.core.ir.graph.base import MAX_VALUES

REMEDY = "export it again with lava-dl"
MAX_DELAY = 62  # netx clamps longer ones
BIAS_EXP = 6


def need_h5py() -> Any:
    try:
        import h5py
    except ModuleNotFoundError as error:
        raise UserError("netx files need h5py; install it with `pip install spikeplan[netx]`") from error
    return h5py


def loihi_weights(weight: NDArray[np.int64]) -> tuple[NDArray[np.int64], int]:
    """Weights and exponent that netx's `optimize_weight_bits` and then lava.proc.dense make of integer weights: scaled up by
    a power of two, clipped to 8 bits and a sign, low bits truncated."""
    low, high = int(weight.min()), int(weight.max())
    if low == high == 0:
        return weight, 0
    if low < -256 or high > (255 if low >= 0 else 254):
        raise UserError(f"weights from {low} to {high} do not fit into 8 bits and a sign, -256 to 254")
    scaled_as_mixed = low < 0 <= high
    if scaled_as_mixed:
        up = floor(log2(min(127 / high if high else inf, -128 / low))) + 1
    else:
        up = floor(log2(255 / high if low >= 0 else -256 / low))
    common = next((n for n in range(8, 0, -1) if not (weight % (1 << n)).any()), 0)
    scaled = weight << up
    runs_as_mixed = low < 0 < high
    dropped = up + common + int(runs_as_mixed) - int(scaled_as_mixed)
    if dropped < 0:
        raise UserError("weights of at most 0 and one below -127: netx truncates all of them to nothing; scale them")
    sign = -1 if high <= 0 else 1
    kept = np.clip(sign * scaled, -256 if runs_as_mixed else 0, 255)
    return sign * ((kept >> dropped) << dropped), -up


def conv_of(group: Any, name: str, shape: Shape, *, wrap_bits: int | None) -> Conv:
    weight = whole(array(group, "weight"), "weight")
    if weight.ndim == 5 and weight.shape[4] == 1:
        weight = weight[..., 0]
    if weight.ndim != 4 or len(shape) != 3:
        raise UserError(f"weight of shape {weight.shape}; expected (C_out, C_in, H, W)")
    if np.abs(weight).max() > 256:
        raise UserError(f"weights up to {np.abs(weight).max()}; expected 8 bits and a sign")
    return Conv(
        name=name,
        wrap_bits=wrap_bits,
        weight=weight,
        stride=pair(group, "stride"),
        padding=pair(group, "padding"),
        dilation=pair(group, "dilation"),
        groups=scalar(group, "groups"),
    )


def bias_of(bias: NDArray[np.int64], shape: Shape) -> NDArray[np.int64]:
    if len(shape) == 1 and bias.size in (1, shape[0]):
        return np.broadcast_to(bias.reshape(-1), shape).copy()
    if bias.shape == shape[::-1]:  # a value a neuron, which netx takes in Lava's order
        return bias.transpose().copy()
    if bias.shape == (shape[0],):
        return np.broadcast_to(bias[:, None, None], shape).copy()
    raise UserError(f"bias of shape {bias.shape}; expected ({shape[0]},)")


def array(group: Any, key: str) -> NDArray[Any]:
    if key not in group or not hasattr(group[key], "shape"):
        raise UserError(f"{key!r} is missing; {REMEDY}")
    data = group[key]
    if data.dtype.kind not in "iufb" or not data.size:
        raise UserError(f"{key!r} is {data.dtype} of shape {data.shape}, expected numbers; {REMEDY}")
    if data.size > MAX_VALUES:
        raise UserError(f"{key!r} declares shape {data.shape}; at most {MAX_VALUES:,} values are read")
    return np.asarray(data[()])


def whole(found: NDArray[Any], key: str) -> NDArray[np.int64]:
    if not np.isfinite(found).all() or np.abs(found).max() >= 2**31 or (found != np.trunc(found)).any():
        raise UserError(f"{key!r} holds values that are no 32-bit integers; quantise the network before the export")
    return found.astype(np.int64)


def scalar(group: Any, key: str) -> int:
    found = whole(array(group, key), key)
    if found.size != 1:
        raise UserError(f"{key!r} has {found.size} values, expected one")
    return int(found.reshape(-1)[0])


def pair(group: Any, key: str) -> tuple[int, int]:
    found = [int(n) for n in whole(np.atleast_1d(array(group, key)), key)]
    if len(found) not in (1, 2):
        raise UserError(f"{key!r} has {len(found)} values, expected one or (vertical, horizontal)")
    return found[0], found[-1]


def text(group: Any, key: str, here: str) -> str:
    if not hasattr(group, "keys") or key not in group:
        raise UserError(f"{here}: {key!r} is missing; {REMEDY}")
    data = group[key]
    if getattr(data, "size", None) != 1 or data.dtype.itemsize > 100:
        raise UserError(f"{here}: {key!r} is no text; {REMEDY}")
    found = np.asarray(data[()]).reshape(-1)
    try:
        return bytes(found[0]).decode("ascii")
    except (IndexError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{here}: {key!r} is no text; {REMEDY}") from error


def delays_of(group: Any, size: tuple[int, ...], name: str) -> tuple[NDArray[np.int64], list[str]]:
    """A delay a synapse: the file's is one number, one an output, one an input, or one a synapse. Second: what netx changes."""
    if "delay" not in group:
        return np.zeros(size, np.int64), []
    notes: list[str] = []
    found = whole(array(group, "delay"), "delay")
    if found.min() < 0:
        raise UserError(f"a delay of {found.min()} steps; expected 0 to {MAX_DELAY}")
    if found.max() > MAX_DELAY:
        notes.append(f"{name}: delays up to {found.max()} steps; netx clamps them to {MAX_DELAY}, and so do we")
        found = np.minimum(found, MAX_DELAY)
    if found.ndim == 1 and found.size == size[0]:
        found = found[:, None]
    if found.size not in (1, size[0], size[1], size[0] * size[1]):
        raise UserError(f"delay of shape {found.shape} for weights of shape {size}")
    return np.broadcast_to(found.reshape(size) if found.size == size[0] * size[1] else found, size).copy(), notes


def cuba(name: str, *, du: int, dv: int, vth: int, bias: NDArray[np.int64]) -> LIF:
    du_, dv_, vth_ = (np.array([value], np.int64) for value in (du, dv, vth))
    return LIF(name=name, du=du_, dv=dv_, vth=vth_, bias=bias, bias_exp=BIAS_EXP)
