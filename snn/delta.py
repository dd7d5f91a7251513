"""Sigma-delta layers in Loihi 2 fixed point: the integer reference.

    sigma[t] = sat24(sigma[t-1] + (W s_in[t] << weight_exp))
    d[t]     = act(sigma[t] + bias) - ref[t-1]
    s[t]     = sat8(trunc(d[t] / 2^shift)) if |d[t]| >= threshold_lsb else 0
    ref[t]   = ref[t-1] + (s[t] << shift)              # bits not sent stay owed

Differs from lava.proc.sdn: the truncated bits are fed back. The output layer sends its value instead:
    value[t] = trunc((sigma[t] + bias) / 2^shift)

Integers are held in floating tensors where that is provably exact: every partial sum of W s is an integer below
n_in * 127 * 127 << weight_exp, and sigma plus it stays below 2^24 (float32) or 2^53 (float64); the network picks the
type. Division by 2^shift is exact in binary floating point, and trunc rounds toward zero like the chip.
Shapes: R rows (batch), N neurons of a layer.  Units: sigma, ref, bias, threshold in state LSB; s in message LSB.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from spec.artifact import Artifact, Layer
from spec.errors import UserError
from spec.fixed_point import limit
from spec.ledger import LayerCounts


class DeltaState(NamedTuple):
    """One layer's state, (R, N) each; sigma is None for the input coder, ref for the output layer."""

    sigma: Tensor | None
    ref: Tensor | None


class Pass(NamedTuple):
    """What one predictor evaluation of R rows did: messages sent per layer, values out, and saturated numbers."""

    messages: tuple[Tensor, ...]
    value_RD: Tensor
    saturated: tuple[int, ...]


def delta_step(target: Tensor, ref: Tensor | None, layer: Layer) -> tuple[Tensor, Tensor, int]:
    """Message for the change of `target` since `ref`; returns (s, new ref, saturated count). ref None means zero."""
    step = float(1 << layer.shift)
    top = float(limit(layer.message_bits))
    d = target if ref is None else target - ref
    s = (d * (1.0 / step)).trunc_().masked_fill_(d.abs() < layer.threshold_lsb, 0.0)
    saturated = 0
    low, high = (float(v) for v in s.aminmax()) if s.numel() else (0.0, 0.0)
    if max(-low, high) > top:
        saturated = int((s.abs() > top).sum())
        s.clamp_(-top, top)
    return s, s * step if ref is None else torch.add(ref, s, alpha=step), saturated


def _saturate(x: Tensor, bits: int) -> tuple[Tensor, int]:
    top = float(limit(bits))
    low, high = (float(v) for v in x.aminmax()) if x.numel() else (0.0, 0.0)
    if max(-low, high) <= top:
        return x, 0
    return x.clamp(-top, top), int((x.abs() > top).sum())


class DeltaNetwork:
    """A chain `delta -> sigma_delta... -> sigma` read from an artifact. Stateless: state goes in and comes out."""

    def __init__(self, artifact: Artifact) -> None:
        kinds = [layer.kind for layer in artifact.layers]
        if kinds[0] != "delta" or kinds[-1] != "sigma" or any(k != "sigma_delta" for k in kinds[1:-1]):
            raise UserError(f"artifact: layer kinds {kinds} are not delta, sigma_delta..., sigma; convert with sigma-delta")
        self.artifact = artifact
        self.layers = artifact.layers
        bound = max(
            layer.n_in * limit(8) * limit(layer.message_bits) << layer.weight_exp for layer in self.layers[1:]
        ) + limit(self.layers[1].state_bits)
        self.dtype = torch.float32 if bound < 2**24 else torch.float64
        if bound >= 2**53:
            raise UserError(f"artifact: sums up to {bound} are not exact in float64; split the widest layer")
        self.weight_t = [
            None if la.weight is None else torch.from_numpy(la.weight).to(self.dtype).mul(1 << la.weight_exp).T.contiguous()
            for la in self.layers
        ]
        self.bias = [None if la.bias is None else torch.from_numpy(la.bias).to(self.dtype) for la in self.layers]
        self.neurons = sum(layer.n_out for layer in self.layers)
        self.fan_out = [la.n_out for la in self.layers[1:]] + [0]

    def run(self, x_RI: Tensor, state: list[DeltaState] | None) -> tuple[Pass, list[DeltaState]]:
        """One pass from `state` (None: all zero). x in state LSB of the input coder."""
        code = self.layers[0]
        s, ref, over = delta_step(x_RI, None if state is None else state[0].ref, code)
        messages, new, saturated = [s], [DeltaState(None, ref)], [over]
        for i, layer in enumerate(self.layers[1:], 1):
            a = s @ self.weight_t[i]
            before = None if state is None else state[i]
            sigma, over_sigma = _saturate(a if before is None else a.add_(before.sigma), layer.state_bits)
            u = sigma + self.bias[i]
            if layer.kind == "sigma":
                value = u if layer.shift == 0 else (u / (1 << layer.shift)).trunc_()
                new.append(DeltaState(sigma, None))
                saturated.append(over_sigma)
                messages.append(value)
                return Pass(tuple(messages), value, tuple(saturated)), new
            if layer.act == "relu":
                u = u.relu_()
            s, ref, over = delta_step(u, None if before is None else before.ref, layer)
            messages.append(s)
            new.append(DeltaState(sigma, ref))
            saturated.append(over + over_sigma)
        raise AssertionError("the output layer ends the chain")

    def counts(self, done: Pass, *, rows: int, restored_rows: int, dense_rows: int) -> list[LayerCounts]:
        """Operations of `rows` passes. `dense_rows` of them replace a dense evaluation (a mean's own pass does not)."""
        result = []
        for i, (layer, s) in enumerate(zip(self.layers, done.messages, strict=True)):
            sent = int(torch.count_nonzero(s)) if layer.kind != "sigma" else s.numel()
            weights = 0 if layer.weight is None else layer.weight.size
            result.append(
                LayerCounts(
                    layer=layer.name, synops=sent * self.fan_out[i], updates=rows * layer.n_out, updates_active=sent,
                    state_restores=restored_rows * layer.n_out, messages=sent, message_bits=sent * layer.message_bits,
                    saturated=done.saturated[i], dense_macs=dense_rows * weights, calls=rows,
                )
            )  # fmt: skip
        return result


def take(state: list[DeltaState], rows: slice | Tensor) -> list[DeltaState]:
    """Rows of a state."""
    return [DeltaState(*(None if x is None else x[rows] for x in layer)) for layer in state]


def repeat(state: list[DeltaState], times: int) -> list[DeltaState]:
    """Each row `times` times in a row: the state that S candidates of an episode all start from."""
    return [DeltaState(*(None if x is None else x.repeat_interleave(times, 0) for x in layer)) for layer in state]
