"""Which earlier layers feed each layer of a sigma-delta network, and how large its sums get.

A chain is fed by the layer before alone (core/delta_pass.py has it in machine code); a network with skips by several.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit
from spikeplan.core.ir.artifact import Artifact, Layer


class Feed(NamedTuple):
    """What one layer sends to another: number of the sender, its columns of the receiver's weight, the edge's own shift of them,
    and the whole shift."""

    source: int
    columns: slice
    own_exp: int
    exp: int


def feeds_of(artifact: Artifact) -> list[list[Feed]]:
    """Of each layer. Raises UserError for an edge that goes back, or whose delay is not how many layers later it arrives."""
    number = {layer.name: i for i, layer in enumerate(artifact.layers)}
    depth: dict[str, int] = {}
    found = []
    for layer in artifact.layers:
        into, begin, feeds = artifact.feeds(layer.name), 0, []
        if any(number[edge.src] >= number[layer.name] for edge in into) or (not into and depth):
            raise UserError(f"artifact: no earlier layer feeds '{layer.name}', or a later one does; convert it again")
        depth[layer.name] = max((depth[edge.src] + 1 for edge in into), default=0)
        for edge in into:
            if edge.delay_steps != depth[layer.name] - depth[edge.src]:
                raise UserError(
                    f"edge {edge.src}->{edge.dst}: delay_steps {edge.delay_steps}, but the layer works "
                    f"{depth[layer.name] - depth[edge.src]} steps later; convert the network again"
                )
            width = artifact.layers[number[edge.src]].n_out
            feeds.append(
                Feed(number[edge.src], slice(begin, begin + width), edge.weight_exp, layer.weight_exp + edge.weight_exp)
            )
            begin += width
        found.append(feeds)
    return found


def reach(layers: tuple[Layer, ...], layer: Layer, feeds: list[Feed]) -> int:
    """Largest magnitude that sigma + W s, target - ref or the threshold of a layer can reach."""
    assert layer.weight is not None and layer.bias is not None
    target = limit(layer.state_bits) + int(np.abs(layer.bias.astype(np.int64)).max())
    if 2 * target >= 2**31:
        raise UserError(f"layer '{layer.name}': a bias reaches {target - limit(layer.state_bits)}; convert it again")
    change = 2 * target if layer.kind == "sigma_delta" and layer.act == "identity" else target
    reach = sum(
        np.abs(layer.weight[:, feed.columns].astype(np.int64)).sum(1).astype(object)
        * (limit(layers[feed.source].message_bits) << feed.exp)
        for feed in feeds
    )
    sums = int(np.max(reach)) + limit(layer.state_bits)
    return max(sums, change, 2 * layer.threshold_lsb)


def number_of(layers: tuple[Layer, ...], feeds: list[list[Feed]]) -> type[np.floating[Any]]:
    """float32 or float64, whichever holds all sums. Raises UserError where neither does."""
    bound = max(reach(layers, layer, into) for layer, into in zip(layers, feeds, strict=True) if into)
    if bound >= 2**53:
        raise UserError(f"artifact: sums up to {bound} are not exact in float64; split the widest layer")
    return np.float32 if bound < 2**24 else np.float64


def fan_outs(layers: tuple[Layer, ...], feeds: list[list[Feed]]) -> list[int]:
    """Synops of a message of each layer."""
    receivers = [(layer, feed.source) for layer, into in zip(layers, feeds, strict=True) for feed in into]
    return [sum(layer.n_out for layer, source in receivers if source == i) for i in range(len(layers))]


def depth_of(feeds: list[list[Feed]]) -> int:
    """Layers that a pass crosses one after the other."""
    deep: list[int] = []
    for into in feeds:
        deep.append(1 + max((deep[feed.source] for feed in into), default=0))
    return deep[-1]


def stored_fan_out(layers: tuple[Layer, ...], feeds: list[list[Feed]], weight_KN: list[Tensor]) -> list[Tensor]:
    """Weights that are not zero and leave each neuron, layer by layer (n_out,)."""
    found = [torch.zeros(layer.n_out, dtype=torch.int64) for layer in layers]
    for into, weight in zip(feeds, weight_KN, strict=True):
        for feed in into:
            found[feed.source] += weight[feed.columns].ne(0).sum(1)
    return found
