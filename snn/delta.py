"""Sigma-delta layers in Loihi 2 fixed point: the integer reference.

    sigma[t] = sat24(sigma[t-1] + (W s_in[t] << weight_exp))
    d[t]     = act(sigma[t] + bias) - ref[t-1]
    s[t]     = sat8(trunc(d[t] / 2^shift)) if |d[t]| >= threshold_lsb else 0
    ref[t]   = ref[t-1] + (s[t] << shift)              # bits not sent stay owed

Differs from lava.proc.sdn: the truncated bits are fed back. The output layer sends its value instead:
    value[t] = trunc((sigma[t] + bias) / 2^shift)

Integers are held in floating tensors where that is provably exact (core/delta_pass.py); the network picks the type. Division by
2^shift is exact in binary floating point, and trunc rounds toward zero like the chip.

Where numba is installed a layer is one sweep of machine code after its product, which is event-driven where few spikes are sent
(core/spike_loops.py); without it a dozen torch operations. Both give the same integers.
Shapes: R any leading (batch) references; states may have size 1 where they broadcast; N neurons of a layer.
Units: sigma, ref, bias, threshold in state LSB; s in message LSB.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import hardshrink

from spikeplan.core import delta_pass
from spikeplan.core.compiled import compiled
from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.delta_pass import PassLayer, sweep
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit
from spikeplan.core.ir.artifact import Artifact, Layer
from spikeplan.snn.delta_counts import shared_coder, stored_synops
from spikeplan.snn.delta_feeds import depth_of, fan_outs, feeds_of, number_of, stored_fan_out


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
    """What one predictor evaluation of R rows did: messages sent per layer (values, for the output layer), how many of them are
    not zero (all, for the output layer), values out, and how many numbers saturated per layer: messages and states together,
    and states alone."""

    messages: tuple[Tensor, ...]
    sent: tuple[int, ...]
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


def _tensor(rows: NDArray[Any], lead: torch.Size) -> Tensor:
    return torch.from_numpy(rows).view(*lead, rows.shape[-1])


def _passed(swept: delta_pass.Swept, lead: torch.Size) -> Pass:
    messages = tuple(_tensor(s, lead) for s in swept.messages)
    return Pass(messages, tuple(swept.sent), messages[-1], tuple(swept.saturated), tuple(swept.sigma_saturated))


def _added(one: Pass, other: Pass) -> Pass:
    """Two passes of one prediction: what was sent in both, and the value after the second, which is read once."""
    messages = (*(a + b for a, b in zip(one.messages[:-1], other.messages[:-1], strict=True)), other.messages[-1])
    sent, saturated, states = (
        tuple(map(sum, zip(a, b, strict=True))) for a, b in zip(one[1:2] + one[3:], other[1:2] + other[3:], strict=True)
    )
    return Pass(messages, (*sent[:-1], other.sent[-1]), other.value_RD, saturated, states)


class DeltaNetwork:
    """Layers `delta, sigma_delta..., sigma` read from an artifact. Stateless: state goes in and comes out.

    Each layer is fed by one or several earlier ones; all work in every pass, in order. A chain runs in machine code.

    Values are integers held in floating point, exact up to 2^24 or 2^53. Shapes: R rows, I inputs, N neurons, D outputs.
    Raises UserError for other kinds of layers, for edges that go back, and for sums that would not be exact.

    >>> done, state = DeltaNetwork(artifact).run(torch.zeros(64, 34), None)
    >>> done.value_RD.shape
    """

    def __init__(self, artifact: Artifact, *, sparse: bool = False) -> None:
        """`sparse`: the chip stores no weight of zero, and a message sets off no synop for one."""
        kinds = [layer.kind for layer in artifact.layers]
        if kinds[0] != "delta" or kinds[-1] != "sigma" or any(k != "sigma_delta" for k in kinds[1:-1]):
            raise UserError(
                f"artifact: layer kinds {kinds} are not delta, sigma_delta..., sigma; convert with sigma-delta"
            )
        if sparse and artifact.passes > 1:
            raise UserError("artifact: sums over several passes do not say who sent how often; count stored zeros, too")
        self.artifact = artifact
        self.layers = artifact.layers
        self.feeds = feeds_of(artifact)
        number = number_of(self.layers, self.feeds)
        self.dtype = torch.float32 if number is np.float32 else torch.float64
        self._constants = [PassLayer.of(layer, number) for layer in self.layers]
        for constants, feeds in zip(self._constants, self.feeds, strict=True):
            for feed in feeds:
                constants.weight_KN[feed.columns] *= number(1 << feed.own_exp)
        # Empty for the input coder, which has neither.
        self.weight_t = [torch.from_numpy(layer.weight_KN) for layer in self._constants]
        self.bias = [torch.from_numpy(layer.bias_N) for layer in self._constants]
        self.neurons = sum(layer.n_out for layer in self.layers)
        self.fan_out, self.depth = fan_outs(self.layers, self.feeds), depth_of(self.feeds)
        self._fan_out_N = stored_fan_out(self.layers, self.feeds, self.weight_t) if sparse else None

    def _loops(self) -> ModuleType | None:
        """Machine code, for a chain."""
        return compiled() if self.artifact.is_chain else None

    def run(
        self, x_RI: Tensor, state: list[DeltaState] | None, *, keep: bool = True, overwrite: bool = False
    ) -> tuple[Pass, list[DeltaState]]:
        """One pass of R rows from `state` (None: all zero). x in state LSB of the input coder.

        Returns what was sent and put out, and the state after the pass, one entry a layer: none of them without `keep`, which
        saves the time to store it. `overwrite`: the tensors of `state` may be written to, and may be returned.
        """
        if self.artifact.passes > 1:
            return self._run_passes(x_RI, state, keep=keep, overwrite=overwrite)
        return self._run_once(x_RI, state, self._loops(), keep=keep, overwrite=overwrite)

    def _run_passes(
        self, x_RI: Tensor, state: list[DeltaState] | None, *, keep: bool, overwrite: bool
    ) -> tuple[Pass, list[DeltaState]]:
        """All passes of a prediction: messages and their numbers summed, the value of the last. A clipped message is no loss
        here, for the next pass sends what is still owed; states that saturate are."""
        loops = self._loops()
        done, state = self._run_once(x_RI, state, loops, keep=True, overwrite=overwrite)
        for _ in range(self.artifact.passes - 1):
            one, state = self._run_once(x_RI, state, loops, keep=True, overwrite=True)
            done = _added(done, one)
        return done._replace(saturated=done.sigma_saturated), state if keep else []

    def _run_once(
        self, x_RI: Tensor, state: list[DeltaState] | None, loops: ModuleType | None, *, keep: bool, overwrite: bool
    ) -> tuple[Pass, list[DeltaState]]:
        given = None if loops is None or x_RI.requires_grad else self._arrays(x_RI, state)
        if loops is None or given is None:
            done, new = self._run_torch(x_RI, state)
            return done, new if keep else []
        x, rows = given
        swept = sweep(loops, self._constants, x, rows, self._multiply, keep=keep, overwrite=overwrite)
        lead = x_RI.shape[:-1]
        new = [DeltaState(*(None if t is None else _tensor(t, lead) for t in kept)) for kept in swept.state]
        return _passed(swept, lead), new

    def run_in_turn(self, x_BSI: Tensor) -> Pass:
        """B sequences of S passes: the first from the zero state, each other from the state that the one before it left."""
        loops = self._loops() if self.artifact.passes == 1 else None
        if loops is not None and not x_BSI.requires_grad:
            x = x_BSI.to(self.dtype).reshape(-1, x_BSI.shape[-1]).contiguous().numpy()
            swept = sweep(loops, self._constants, x, None, self._multiply, keep=False, turns=x_BSI.shape[1])
            return _passed(swept, x_BSI.shape[:-1])
        state, passes = None, []
        for x_BI in x_BSI.unbind(1):  # without machine code: by nature one after the other
            done, state = self.run(x_BI, state) if self.artifact.passes > 1 else self._run_torch(x_BI, state)
            passes.append(done)
        messages = tuple(torch.stack(of_layer, 1) for of_layer in zip(*(p.messages for p in passes), strict=True))
        sent, saturated, sigma_saturated = (
            tuple(sum(of_layer) for of_layer in zip(*numbers, strict=True))
            for numbers in (
                [p.sent for p in passes],
                [p.saturated for p in passes],
                [p.sigma_saturated for p in passes],
            )
        )
        return Pass(messages, sent, messages[-1], saturated, sigma_saturated)

    def _multiply(self, layer: int, s_RK: NDArray[Any], a_RN: NDArray[Any]) -> None:
        torch.mm(torch.from_numpy(s_RK), self.weight_t[layer], out=torch.from_numpy(a_RN))

    def _arrays(
        self, x_RI: Tensor, state: list[DeltaState] | None
    ) -> tuple[NDArray[Any], list[delta_pass.State] | None] | None:
        """Input and state as arrays of rows; None where the state has rows that x has not."""
        lead = x_RI.shape[:-1]
        x = x_RI.to(self.dtype).reshape(-1, x_RI.shape[-1]).contiguous().numpy()
        if state is None:
            return x, None
        rows = []
        for sigma, ref in state:
            pair = [None if t is None else self._state_rows(t, lead) for t in (sigma, ref)]
            if any(t is not None and array is None for t, array in zip((sigma, ref), pair, strict=True)):
                return None
            rows.append(delta_pass.State(*pair))
        return x, rows

    def _state_rows(self, kept: Tensor, lead: torch.Size) -> NDArray[Any] | None:
        """(S, N): a row for each row of x, or for as many consecutive ones as share it."""
        own = kept.shape[:-1]
        if own == lead and kept.dtype == self.dtype:  # what every step of a plan brings
            return kept.reshape(-1, kept.shape[-1]).contiguous().numpy()
        kept = kept.to(self.dtype)
        shared = own.numel() == 1 or (own[:-1] == lead[:-1] and own[-1] == 1)
        if own != lead and not shared:
            if torch.broadcast_shapes(own, lead) != lead:
                return None
            kept = kept.expand(*lead, kept.shape[-1])
        return kept.reshape(-1, kept.shape[-1]).contiguous().numpy()

    def _run_torch(self, x_RI: Tensor, state: list[DeltaState] | None) -> tuple[Pass, list[DeltaState]]:
        """`run` where there is no machine code."""
        code = self.layers[0]
        s, ref, over = delta_step(x_RI, None if state is None else state[0].ref, code)
        messages, new, saturated, sigma_saturated = [s], [DeltaState(None, ref)], [over], [0]
        sent = [count_nonzero(s)]
        for i, layer in enumerate(self.layers[1:], 1):
            into = [messages[feed.source] for feed in self.feeds[i]]
            a = (into[0] if len(into) == 1 else torch.cat(into, -1)) @ self.weight_t[i]
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
                sent.append(value.numel())
                return Pass(tuple(messages), tuple(sent), value, tuple(saturated), tuple(sigma_saturated)), new
            if layer.act == "relu":
                u = u.relu_()
            s, ref, over = delta_step(u, before.ref, layer)
            messages.append(s)
            sent.append(count_nonzero(s))
            new.append(DeltaState(sigma, ref))
            saturated.append(over + over_sigma)
        raise AssertionError("the output layer ends the chain")

    def counts(
        self, done: Pass, *, rows: int, restored_rows: int, dense_rows: int, once: Once | None = None
    ) -> list[LayerCounts]:
        """Of `rows` passes. `dense_rows` replace a dense evaluation (a mean's own does not). `once`: inputs that all share."""
        result = []
        every = [n * f for n, f in zip(done.sent, self.fan_out, strict=True)]
        synops = every if self._fan_out_N is None else stored_synops(done.messages, self._fan_out_N)
        for i, (layer, sent) in enumerate(zip(self.layers, done.sent, strict=True)):
            weights = 0 if layer.weight is None else layer.weight.size
            result.append(
                LayerCounts(
                    layer=layer.name,
                    synops=synops[i],
                    updates=rows * layer.n_out * self.artifact.passes,
                    updates_active=sent,
                    state_restores=restored_rows * layer.n_out,
                    messages=sent,
                    message_bits=sent * layer.message_bits,
                    saturated=done.saturated[i],
                    dense_macs=dense_rows * weights,
                    calls=rows,
                )
            )
        if once is None:
            return result
        fan_out_N = torch.tensor(self.fan_out[:1]) if self._fan_out_N is None else self._fan_out_N[0][once.columns]
        return [
            *shared_coder(result, done.messages[0][..., once.columns], fan_out_N, once, self.layers[:2]),
            *result[2:],
        ]
