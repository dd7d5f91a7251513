"""Real values of the LSBs of a sigma-delta network, layer by layer (M: of a message, w: of a weight).

    state LSB of layer l  = w_ls M_s / 2^e_ls           for each source s, so that sigma += (W s) << e needs no multiplication
    M_l                   = 2^shift_l * state LSB_l
    latent LSB            = 2^shift_out * state LSB of the output layer, so that z += value is exact: a rollout cannot drift
    M_code                = 2^shift_code * latent LSB: w_out is widened (by < 2x) until this holds

A layer of one source has e = 0. With several, the state LSB is that of the finest, within what 24 bits hold of the layer's
range, and coarser sources are shifted. Latent and action share M_code in units of the first weights; the action's own scale
stretches its columns, so that they fill the int8 range too. Shapes: weight (n_dst, n_src).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from spikeplan.conversion.calibration import LayerRange, shift_for
from spikeplan.conversion.tracing import CODE, OUT, AffineNet
from spikeplan.core.fixed_point import MESSAGE_BITS, STATE_BITS, WEIGHT_BITS, limit

WEIGHT_TOP = limit(WEIGHT_BITS)
MAX_SHIFT = STATE_BITS - MESSAGE_BITS - 2  # of the coder: a latent of four times the range still fits the state
HEADROOM = 8  # of a layer's state beyond its range


@dataclass(frozen=True, kw_only=True)
class Scales:
    """`state`, `message`, `shift` by layer; `unit` and `exp` by link (src, dst); `latent` and `action`: real values an LSB."""

    state: dict[str, float]
    message: dict[str, float]
    shift: dict[str, int]
    unit: dict[tuple[str, str], float]
    exp: dict[tuple[str, str], int]
    stretch: float
    latent: float
    action: float


def stretched(net: AffineNet, stretch: float) -> dict[tuple[str, str], Tensor]:
    """The weights of each link, the action's columns divided by `stretch`."""
    d = net.latent_dim
    return {
        (link.src, link.dst): torch.cat([link.weight[:, :d], link.weight[:, d:] / max(stretch, 1e-9)], 1)
        if link.src == CODE
        else link.weight
        for link in net.links
    }


def stretch_of(net: AffineNet, ranges: dict[str, LayerRange]) -> float:
    """How much larger the action's weights are than the latent's."""
    d = net.latent_dim
    parts = [link.weight for link in net.links if link.src == CODE]
    of_latent = max((float(w[:, :d].abs().max()) for w in parts), default=0.0)
    of_action = max((float(w[:, d:].abs().max()) for w in parts if w.shape[1] > d), default=0.0)
    if of_latent == 0.0:
        return ranges["latent"].top / ranges["action"].top if ranges["action"].top > 0 else 1.0
    return of_action / of_latent if net.action_dim else 1.0


def scales_of(net: AffineNet, ranges: dict[str, LayerRange], top: int) -> Scales:
    """`ranges`: of latent, action and each layer; `top`: the largest message."""
    stretch = stretch_of(net, ranges)
    weights = stretched(net, stretch)
    message = {CODE: max(1.2 * ranges["latent"].top, ranges["action"].top * stretch) / top}
    state: dict[str, float] = {}
    shift: dict[str, int] = {}
    unit: dict[tuple[str, str], float] = {}
    exp: dict[tuple[str, str], int] = {}

    def fit(dst: str, settle: Callable[[float], float]) -> None:
        """State LSB of a layer, and weight LSB and shift of all that feeds it. `settle`: the LSB that is taken for a wish."""
        sources = [link.src for link in net.into(dst)]
        own = {src: float(weights[src, dst].abs().max()) / WEIGHT_TOP for src in sources}
        lsbs = {src: own[src] * message[src] for src in sources}
        wished = min(lsbs.values())
        if len(sources) > 1:
            wished = max(wished, HEADROOM * ranges[dst].top / limit(STATE_BITS))
        lsb = settle(wished)
        for src in sources:
            exp[src, dst] = max(0, math.ceil(math.log2(lsbs[src] / lsb) - 1e-9))
            unit[src, dst] = own[src] if lsb == lsbs[src] else lsb * 2 ** exp[src, dst] / message[src]
        state[dst] = lsb

    for group in net.groups:
        fit(group.name, lambda wished: wished)
        shift[group.name] = shift_for(state[group.name], ranges[group.name], top)
        message[group.name] = state[group.name] * 2 ** shift[group.name]

    def settled(wished: float) -> float:
        """A power of two below the coder's message."""
        finer = max(0, math.floor(math.log2(message[CODE] / wished)))
        shift[CODE], shift[OUT] = min(finer, MAX_SHIFT), max(0, finer - MAX_SHIFT)
        lsb: float = message[CODE] / 2**finer
        return lsb

    fit(OUT, settled)
    # As products, so that the figures of a chain are those that its file has always had.
    src = net.into(OUT)[-1].src
    if len(net.into(OUT)) == 1 and exp[src, OUT] == 0 and shift[OUT] == 0:
        unit[src, OUT] = message[CODE] / (2 ** shift[CODE] * message[src])
        state[OUT] = unit[src, OUT] * message[src]
    latent = state[OUT] * 2 ** shift[OUT]
    state[CODE] = latent
    return Scales(
        state=state,
        message=message,
        shift=shift,
        unit=unit,
        exp=exp,
        stretch=stretch,
        latent=latent,
        action=latent / stretch if stretch > 0 else latent,
    )
