"""Sigma-delta layers in Loihi 2 fixed point: the integer reference.

    sigma[t] = sat24(sigma[t-1] + (W s_in[t] << weight_exp))
    d[t]     = act(sigma[t] + bias) - ref[t-1]
    s[t]     = sat8(trunc(d[t] / 2^shift)) if |d[t]| >= threshold_lsb else 0
    ref[t]   = ref[t-1] + (s[t] << shift)              # bits not sent stay owed

Differs from lava.proc.sdn: the truncated bits are fed back. The output layer sends its value instead:
    value[t] = trunc((sigma[t] + bias) / 2^shift)

Integers are held in floating tensors where that is provably exact: every partial sum of W s is an integer of magnitude
at most max_i sum_j |W_ij| * (largest message) << weight_exp; it plus sigma, act(sigma + bias) - ref and the threshold
stay below 2^24 (float32) or 2^53 (float64); the network picks the type. Division by 2^shift is exact in binary floating
point, and trunc rounds toward zero like the chip.
Shapes: R any leading (batch) references; states may have size 1 where they broadcast; N neurons of a layer.
Units: sigma, ref, bias, threshold in state LSB; s in message LSB.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import hardshrink

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit
from spikeplan.core.ir.artifact import Artifact, Layer


class DeltaState(NamedTuple):
    """One layer's state, (R, N) each; sigma is None for the input coder, ref for the output layer."""

    sigma: Tensor | None
    ref: Tensor | None

    @property
    def told(self) -> Tensor:
        """ref of a layer that sends messages: what its receivers know."""
        assert self.ref is not None, "the output layer sends no messages"
        return self.ref


class Pass(NamedTuple):
    """What one predictor evaluation of R rows did: messages sent per layer (values, for the output layer), values out,
    and how many numbers saturated per layer: messages and states together, and states alone."""

    messages: tuple[Tensor, ...]
    value_RD: Tensor
    saturated: tuple[int, ...]
    sigma_saturated: tuple[int, ...]


def delta_step(target: Tensor, ref: Tensor | None, layer: Layer) -> tuple[Tensor, Tensor, int]:
    """Message for the change of `target` since `ref`; returns (s, new ref, saturated count). ref None means zero."""
    step = float(1 << layer.shift)
    top = float(limit(layer.message_bits))
    d = target if ref is None else target - ref
    # d and the threshold are integers, so |d| > threshold - 1/2 is |d| >= threshold. The cast to int32 truncates.
    s = hardshrink(d, layer.threshold_lsb - 0.5).mul_(1.0 / step).to(torch.int32).to(d.dtype)
    s, saturated = _saturate(s, top)
    return s, s * step if ref is None else torch.add(ref, s, alpha=step), saturated


def _saturate(x: Tensor, top: float) -> tuple[Tensor, int]:
    if max(-float(x.amin()), float(x.amax())) <= top:
        return x, 0
    return x.clamp(-top, top), int((x.abs() > top).sum())


def count_nonzero(x: Tensor) -> int:
    """Of integers held as floats: twice as fast as torch.count_nonzero; the sum is exact below 2^24 numbers."""
    assert x.numel() < 2**24
    return int(x.abs().clamp_(max=1.0).sum())


def _given(numbers: NDArray[Any] | None) -> NDArray[Any]:
    return np.zeros((0, 0), np.int8) if numbers is None else numbers


class _Feed(NamedTuple):
    """What one layer sends to another: number of the sender, its columns of the receiver's weight, and their shift."""

    source: int
    columns: slice
    exp: int


def _feeds(artifact: Artifact) -> list[list[_Feed]]:
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
            feeds.append(_Feed(number[edge.src], slice(begin, begin + width), layer.weight_exp + edge.weight_exp))
            begin += width
        found.append(feeds)
    return found


def _bound(layers: tuple[Layer, ...], layer: Layer, feeds: list[_Feed]) -> int:
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


class DeltaNetwork:
    """Layers `delta, sigma_delta..., sigma` read from an artifact. Stateless: state goes in and comes out.

    Each layer is fed by one or several earlier ones; all work in every pass, in order.

    Values are integers held in floating point, exact up to 2^24 or 2^53. Shapes: R rows, I inputs, N neurons, D outputs.
    Raises UserError for other kinds of layers, for edges that go back, and for sums that would not be exact.

    >>> done, state = DeltaNetwork(artifact).run(torch.zeros(64, 34), None)
    >>> done.value_RD.shape
    """

    def __init__(self, artifact: Artifact) -> None:
        kinds = [layer.kind for layer in artifact.layers]
        if kinds[0] != "delta" or kinds[-1] != "sigma" or any(k != "sigma_delta" for k in kinds[1:-1]):
            raise UserError(
                f"artifact: layer kinds {kinds} are not delta, sigma_delta..., sigma; convert with sigma-delta"
            )
        self.artifact = artifact
        self.layers = artifact.layers
        self.feeds = _feeds(artifact)
        bound = max(_bound(self.layers, la, feeds) for la, feeds in zip(self.layers, self.feeds, strict=True) if feeds)
        self.dtype = torch.float32 if bound < 2**24 else torch.float64
        if bound >= 2**53:
            raise UserError(f"artifact: sums up to {bound} are not exact in float64; split the widest layer")
        # Empty for the input coder, which has neither.
        self.weight_t = [self._weight_t(la, feeds) for la, feeds in zip(self.layers, self.feeds, strict=True)]
        self.bias = [torch.from_numpy(_given(la.bias)).to(self.dtype) for la in self.layers]
        self.neurons = sum(layer.n_out for layer in self.layers)
        self.fan_out = [
            sum(
                la.n_out
                for la, feeds in zip(self.layers, self.feeds, strict=True)
                for feed in feeds
                if feed.source == i
            )
            for i in range(len(self.layers))
        ]

    def _weight_t(self, layer: Layer, feeds: list[_Feed]) -> Tensor:
        weight = torch.from_numpy(_given(layer.weight)).to(self.dtype)
        for feed in feeds:
            weight[:, feed.columns] *= float(1 << feed.exp)
        return weight.T.contiguous()

    @property
    def depth(self) -> int:
        """Layers that a pass crosses one after the other."""
        deep: list[int] = []
        for feeds in self.feeds:
            deep.append(1 + max((deep[feed.source] for feed in feeds), default=0))
        return deep[-1]

    def run(self, x_RI: Tensor, state: list[DeltaState] | None) -> tuple[Pass, list[DeltaState]]:
        """One pass of R rows from `state` (None: all zero). x in state LSB of the input coder.

        Returns what was sent and put out, and the state after the pass, one entry a layer.
        """
        code = self.layers[0]
        s, ref, over = delta_step(x_RI, None if state is None else state[0].ref, code)
        messages, new, saturated, sigma_saturated = [s], [DeltaState(None, ref)], [over], [0]
        for i, layer in enumerate(self.layers[1:], 1):
            sent = [messages[feed.source] for feed in self.feeds[i]]
            a = (sent[0] if len(sent) == 1 else torch.cat(sent, -1)) @ self.weight_t[i]
            before = DeltaState(None, None) if state is None else state[i]
            reached = a if before.sigma is None else a.add_(before.sigma)
            sigma, over_sigma = _saturate(reached, float(limit(layer.state_bits)))
            sigma_saturated.append(over_sigma)
            u = sigma + self.bias[i]
            if layer.kind == "sigma":
                value = u if layer.shift == 0 else (u / (1 << layer.shift)).trunc_()
                new.append(DeltaState(sigma, None))
                saturated.append(over_sigma)
                messages.append(value)
                return Pass(tuple(messages), value, tuple(saturated), tuple(sigma_saturated)), new
            if layer.act == "relu":
                u = u.relu_()
            s, ref, over = delta_step(u, before.ref, layer)
            messages.append(s)
            new.append(DeltaState(sigma, ref))
            saturated.append(over + over_sigma)
        raise AssertionError("the output layer ends the chain")

    def counts(self, done: Pass, *, rows: int, restored_rows: int, dense_rows: int) -> list[LayerCounts]:
        """Operations of `rows` passes. `dense_rows` of them replace a dense evaluation (a mean's own pass does not)."""
        result = []
        for i, (layer, s) in enumerate(zip(self.layers, done.messages, strict=True)):
            sent = count_nonzero(s) if layer.kind != "sigma" else s.numel()
            weights = 0 if layer.weight is None else layer.weight.size
            result.append(
                LayerCounts(
                    layer=layer.name,
                    synops=sent * self.fan_out[i],
                    updates=rows * layer.n_out,
                    updates_active=sent,
                    state_restores=restored_rows * layer.n_out,
                    messages=sent,
                    message_bits=sent * layer.message_bits,
                    saturated=done.saturated[i],
                    dense_macs=dense_rows * weights,
                    calls=rows,
                )
            )
        return result
