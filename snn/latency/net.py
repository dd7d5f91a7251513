"""A network in a latency code (time to first spike) of any wiring, in snnTorch: at most one spike a neuron and prediction.

A prediction has windows of T steps, one a layer, one after the other (Stanojevic et al. 2023, the B1 model). A spike in step k of
its sender's window stands for n = T - k, a share n / T of the sender's range; no spike stands for 0.

    window of the senders   on a spike: I_g += W_gs;   in every step: V_g += I_g      so V_g = T b_g + sum_s W_gs n_s at its end
    then                    I_g <- 0;  in step k = 0 .. T-1:  fires once, when V_g + k > T - 1/2
    so                      n_g = clip(round(V_g), 0, T)                              a ReLU in T steps that rounds
    out                     V_out = b_out + 1/T sum_s W_s n_s                         read at its end, real units
    inputs                  n_x = sign(x) clip(round(T |x| / top), 0, T): spikes of +1 or -1, a pair of neurons each where a
                            chip has binary spikes alone; graded_inputs: 8 bits of x / top, in one step before all windows

A synapse adds its weight to a register at most once a prediction, and nothing but a graded input is multiplied. A current is
dropped at the end of each sender's window, so a link may skip layers. The error is that of rounding to T steps: its square falls
as 1/T^2.
`forward` counts the steps that a neuron has left when it fires, since sum_k 1[V + k > T - 1/2] = n; snnTorch's surrogate of
each of these comparisons carries the gradient. Weights do not depend on T, so that one rate of training serves every T.
Shapes: N rows, I inputs, T time steps. Units: V in steps; biases of hidden neurons in windows; W in windows a window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear

from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import MESSAGE_BITS, limit
from spikeplan.snn.rate_net import CODE, OUT, Wire, WiredNet

MAX_STEPS = 1024


@dataclass(frozen=True, kw_only=True)
class LatencySettings:
    """time_steps: of a window, 1 to 1024. graded_inputs: as one graded spike each, which multiplies, in place of a timed one."""

    time_steps: int = 16
    graded_inputs: bool = False

    def __post_init__(self) -> None:
        steps = self.time_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MAX_STEPS:
            raise UserError(f"latency code: time_steps {steps!r:.40} must be an integer from 1 to {MAX_STEPS}")
        if not isinstance(self.graded_inputs, bool):
            raise UserError(f"latency code: graded_inputs {self.graded_inputs!r:.40} must be True or False")

    @property
    def input_steps(self) -> int:
        """Into which an input's range is rounded."""
        return limit(MESSAGE_BITS) if self.graded_inputs else self.time_steps


class Moments(NamedTuple):
    """Output (N, D), and of each group the steps left when a neuron fired, 0 where it did not: (N, size).

    `inputs`: the same of the inputs, with the sign of their spike.
    """

    out: Tensor
    counts: dict[str, Tensor]
    inputs: Tensor


class LatencyNet(WiredNet):
    """`groups` in order of computation; `weights` by wire, `biases` by group and for the output; `tops_I`: of the inputs, real.

    >>> net(torch.zeros(64, 34)).out.shape
    """

    tops_I: Tensor

    def __init__(
        self,
        groups: Sequence[str],
        weights: Mapping[Wire, Tensor],
        biases: Mapping[str, Tensor],
        tops_I: Tensor,
        settings: LatencySettings,
    ) -> None:
        super().__init__(groups, weights, biases)
        self.settings = settings
        self.register_buffer("tops_I", tops_I.float())

    @property
    def depths(self) -> dict[str, int]:
        """The window, counted from 0, in which each group fires; for the output, the one after its last sender's.

        Graded inputs come before the first.
        """
        found = {CODE: -1 if self.settings.graded_inputs else 0}
        for name in (*self.groups, OUT):
            found[name] = 1 + max(found[wire.src] for wire in self.into(name))
        return found

    @property
    def windows(self) -> int:
        """From the first window of a neuron's senders to the end of its own, of the neuron that takes longest."""
        depths = self.depths
        first = {name: max(0, min(depths[wire.src] for wire in self.into(name))) for name in (*self.groups, OUT)}
        return max(1, *(depths[name] - first[name] + (name != OUT) for name in first))

    def coded(self, x_NI: Tensor) -> Tensor:
        """In steps, with a sign."""
        levels = self.settings.input_steps
        rounded = (x_NI * (levels / self.tops_I)).abs().add(0.5).floor().clamp(max=levels) * x_NI.sign()
        return rounded * (self.settings.time_steps / levels)

    def forward(self, x_NI: Tensor) -> Moments:
        counts: dict[str, Tensor] = {CODE: self.coded(x_NI)}
        for name in self.groups:
            counts[name] = self._left(self._received(name, counts))
        out = self._received(OUT, counts)
        return Moments(out, {name: counts[name] for name in self.groups}, counts[CODE])

    def _received(self, name: str, counts: Mapping[str, Tensor]) -> Tensor:
        """V at the end of the senders' windows, over T."""
        steps = self.settings.time_steps
        first, *others = self.into(name)
        membrane = linear(counts[first.src] / steps, self.weights[first.key], self.biases[name])
        for wire in others:
            membrane = membrane + linear(counts[wire.src] / steps, self.weights[wire.key])
        return membrane

    def _left(self, membrane: Tensor) -> Tensor:
        steps = self.settings.time_steps
        late = membrane * steps + (0.5 - steps)
        left = torch.zeros_like(late)
        for k in range(steps):
            left = left + self.spike(late + k)
        return left
