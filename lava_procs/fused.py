"""A whole sigma-delta predictor in one step, batched over candidates: the fast form of the chain.

    code    s = msg(x - ref)                                     x = [z, a 2^action_shift]
    hidden  sigma = sat(sigma + (W s << e));  s = msg(act(sigma + b) - ref)
    out     value = trunc((sat(sigma + (W s << e)) + b) / 2^k)

msg is `send_fixed` of lava_procs/neurons.py, row by row. Products run in float64, which is exact while every partial sum
stays below 2^53 (checked), with weights transposed, contiguous and shifted once. State is kept over rollout steps
(reference previous_step) or zero before every pass (reference zero).

Where numba is installed the fixed form is one sweep of machine code a layer (core/delta_pass.py), on integers held in floats.
It is the integer reference's too, so that what proves both is the chain of lava_procs/neurons.py and the tests' plain pass.
Shapes: S candidates, n neurons of a layer.
"""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.compiled import compiled
from spikeplan.core.delta_pass import PassLayer, State, number_type, sweep
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit, saturate, trunc_shift
from spikeplan.core.ir.artifact import Artifact
from spikeplan.lava_procs.chain import validate_network
from spikeplan.lava_procs.neurons import NeuronParams, send_fixed, send_float

REFERENCES = ("zero", "previous_step")
EXACT = 2**53


def check_reference(reference: str) -> None:
    if reference not in REFERENCES:
        raise UserError(f"reference {reference!r} does not run in the Lava loop; use one of {', '.join(REFERENCES)}")


def clipped_messages(s: NDArray[Any], owed: NDArray[Any], layer: NeuronParams) -> int:
    """How many messages of the widest value left more than a rounding owed."""
    top = limit(layer.message_bits)
    if s.max() < top and s.min() > -top:
        return 0
    return int(np.count_nonzero((np.abs(s) == top) & (np.abs(owed) >= 1 << layer.shift)))


class FusedNetwork:
    """`fixed`: integers, bit-exact with the chain; otherwise the floating-point form. State, on previous_step: ref of every layer
    but the last, sigma of every layer but the first, (S, n) each. `sent` holds the last pass's messages of every layer but the
    last, `saturated` how many neurons of each layer hit their width since `count_anew`, `clipped` how many messages theirs."""

    def __init__(self, artifact: Artifact, *, samples: int, reference: str, fixed: bool) -> None:
        check_reference(reference)
        validate_network(artifact)
        self.layers = [NeuronParams.of(layer) for layer in artifact.layers]
        self.samples, self.keep, self.fixed = samples, reference == "previous_step", fixed
        self.weight: list[NDArray[np.float64]] = []
        for before, layer in pairwise(artifact.layers):
            assert layer.weight is not None
            shifted = layer.weight.astype(np.float64) * 2.0**layer.weight_exp
            reach = int(np.abs(shifted).sum(1).max()) * limit(before.message_bits)
            if reach >= EXACT:
                raise UserError(f"layer '{layer.name}': sums up to {reach} are not exact in float64; split the layer")
            self.weight.append(np.ascontiguousarray(shifted.T))
        self.dtype: Any = np.int64 if fixed else np.float64
        self.loops = compiled() if fixed else None
        if self.loops is not None:
            try:
                self.dtype = number_type(artifact.layers)
            except UserError:  # beyond what the sweep holds in floats
                self.loops = None
        if self.loops is not None:
            self.constants = [PassLayer.of(layer, self.dtype) for layer in artifact.layers]
        self.sent: list[NDArray[Any]] = []
        self.counted = np.zeros(len(self.layers), np.int64)
        self.count_anew()
        self.reset()

    def count_anew(self) -> None:
        self.saturated = np.zeros(len(self.layers), np.int64)
        self.clipped = 0

    def reset(self) -> None:
        self.ref = [np.zeros((self.samples, layer.n), self.dtype) for layer in self.layers[:-1]]
        self.sigma = [np.zeros((self.samples, layer.n), self.dtype) for layer in self.layers[1:]]

    def run(self, x_SI: NDArray[Any]) -> NDArray[Any]:
        """One pass of all candidates; returns value (S, D)."""
        if self.loops is not None:
            return self._sweep(self.loops, np.ascontiguousarray(x_SI, self.dtype))
        if not self.keep:
            self.reset()
        send = send_fixed if self.fixed else send_float
        self.sent = []
        target: NDArray[Any] = x_SI
        for i, (layer, weight) in enumerate(zip(self.layers[:-1], self.weight, strict=True)):
            s, self.ref[i] = send(target, self.ref[i], layer)
            self.sent.append(s)
            if self.fixed:
                self.clipped += clipped_messages(s, target - self.ref[i], layer)
            receiver = self.layers[i + 1]
            reached = self.sigma[i] + (s.astype(np.float64) @ weight).astype(self.dtype)
            if self.fixed:
                reached, over = saturate(reached, receiver.state_bits)
                self.saturated[i + 1] += over
            self.sigma[i] = reached
            target = receiver.activate(reached)
        out = self.layers[-1]
        self.counted[:] = [*(int(np.count_nonzero(s)) for s in self.sent), self.samples * out.n]
        return trunc_shift(target, out.shift) if self.fixed else target / 2.0**out.shift

    def _sweep(self, loops: ModuleType, x_SI: NDArray[Any]) -> NDArray[np.int64]:
        pairs = zip([None, *self.sigma], [*self.ref, None], strict=True)
        state = [State(sigma, ref) for sigma, ref in pairs] if self.keep else None
        done = sweep(loops, self.constants, x_SI, state, self._multiply, keep=self.keep)
        if self.keep:
            self.sigma = [after.sigma for after in done.state if after.sigma is not None]
            self.ref = [after.ref for after in done.state if after.ref is not None]
        self.sent = done.messages[:-1]
        self.counted[:] = done.sent
        self.saturated += done.sigma_saturated
        self.clipped += sum(done.saturated) - sum(done.sigma_saturated)
        return done.messages[-1].astype(np.int64)

    def _multiply(self, layer: int, s: NDArray[Any], a: NDArray[Any]) -> None:
        np.matmul(s, self.constants[layer].weight_KN, out=a)

    def messages(self) -> NDArray[np.int64]:
        """How many each layer sent in the last pass; the output layer sends its values."""
        return self.counted.copy()
