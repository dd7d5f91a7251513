"""A rate-coded network of any wiring: T time steps a prediction, spikes 0 or 1, in snnTorch.

    current_g[t] = b_g + sum over links s -> g of W_gs x_s[t]      x_code = [latent, action] in every step; else spikes
    u_g[t]       = beta u_g[t-1] + current_g[t];   s_g[t] = 1[u_g[t] > 1];   u_g -= s_g (subtract) or u_g (1 - s_g) (zero)
    out          = b_out + 1/T sum_t sum over links s -> out of W_s x_s[t]

Weights come balanced: a neuron at the top of its range fires every step. With beta = 1 and a reset by subtraction its count over
T steps is floor(T x) of its ReLU's value x in [0, 1], so the error falls as 1/T before any training. Half a threshold spread
over the T steps makes that a rounding (Bu et al. 2022, section 4).
Shapes: N rows, D latent, A action, T time steps. Units: thresholds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from snntorch import surrogate
from torch import Tensor, nn
from torch.nn.functional import linear

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Edge, Graph, Input, Integrator, Linear, Node, Sum

CODE, OUT, INPUT = "code", "out", "x"
RESETS = ("zero", "subtract")
SLOPE = 2.0  # of the surrogate gradient, in 1 / threshold


@dataclass(frozen=True, kw_only=True)
class RateSettings:
    """time_steps: 1 to 1024; beta: what a membrane keeps of a step, above 0 to 1."""

    time_steps: int = 16
    beta: float = 1.0
    reset: str = "subtract"

    def __post_init__(self) -> None:
        if (
            isinstance(self.time_steps, bool)
            or not 1 <= self.time_steps <= 1024
            or self.time_steps != int(self.time_steps)
        ):
            raise UserError(f"rate code: time_steps {self.time_steps} must be an integer from 1 to 1024")
        if not 0 < self.beta <= 1:
            raise UserError(f"rate code: beta {self.beta} must be above 0 and at most 1")
        if self.reset not in RESETS:
            raise UserError(f"rate code: reset {self.reset!r:.40} is unknown; use {' or '.join(RESETS)}")


class Wire(NamedTuple):
    """From one group to another; its weight is `weights["src__dst"]`."""

    src: str
    dst: str

    @property
    def key(self) -> str:
        return f"{self.src}__{self.dst}"


class Rates(NamedTuple):
    """Output (N, D), and spikes of each group, summed over T: (N, size)."""

    out: Tensor
    counts: dict[str, Tensor]


class WiredNet(nn.Module):
    """What networks of any wiring keep, whatever their code: `groups` in order of computation, `weights` by wire, `biases` by
    group and for the output."""

    def __init__(self, groups: Sequence[str], weights: Mapping[Wire, Tensor], biases: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.groups, self.wires = tuple(groups), tuple(weights)
        self.weights = nn.ParameterDict({wire.key: nn.Parameter(weight.float()) for wire, weight in weights.items()})
        self.biases = nn.ParameterDict({name: nn.Parameter(bias.float()) for name, bias in biases.items()})
        self.spike = surrogate.atan(alpha=SLOPE)

    def into(self, name: str) -> list[Wire]:
        return [wire for wire in self.wires if wire.dst == name]

    @property
    def sizes(self) -> dict[str, int]:
        """Neurons of the coder, of each group and of the output, in order of computation."""
        coded = next(wire for wire in self.wires if wire.src == CODE)
        inputs = int(self.weights[coded.key].shape[1])
        return {CODE: inputs, **{name: len(self.biases[name]) for name in (*self.groups, OUT)}}

    def fan_in(self, name: str) -> list[Tensor]:
        """Weights (n, n_source) of all that reaches a group."""
        return [self.weights[wire.key] for wire in self.into(name)]


class RateNet(WiredNet):
    """`groups` in order of computation; `weights` by wire, `biases` by group and for the output, all in thresholds.

    >>> net(torch.zeros(64, 34)).out.shape
    """

    def __init__(
        self,
        groups: Sequence[str],
        weights: Mapping[Wire, Tensor],
        biases: Mapping[str, Tensor],
        settings: RateSettings,
    ) -> None:
        super().__init__(groups, weights, biases)
        self.settings = settings

    def forward(self, x_NI: Tensor) -> Rates:
        steps = self.settings.time_steps
        fixed = {
            name: linear(x_NI, self.weights[Wire(CODE, name).key]) if Wire(CODE, name) in self.wires else 0.0
            for name in (*self.groups, OUT)
        }
        membranes = {name: x_NI.new_zeros((*x_NI.shape[:-1], len(self.biases[name]))) for name in self.groups}
        counts = {name: torch.zeros_like(u) for name, u in membranes.items()}
        for _ in range(steps):
            spikes: dict[str, Tensor] = {}
            for name in self.groups:
                current = self.biases[name] + fixed[name]
                for wire in self.into(name):
                    if wire.src != CODE:
                        current = current + linear(spikes[wire.src], self.weights[wire.key])
                spikes[name], membranes[name] = self._fire(current.expand_as(membranes[name]), membranes[name])
                counts[name] = counts[name] + spikes[name]
        out = self.biases[OUT] + fixed[OUT]
        for wire in self.into(OUT):
            if wire.src != CODE:
                out = out + linear(counts[wire.src] / steps, self.weights[wire.key])
        return Rates(out, counts)

    def _fire(self, current: Tensor, membrane: Tensor) -> tuple[Tensor, Tensor]:
        """snnTorch's surrogate, our step: its Leaky loses a spike where subtraction leaves more than a threshold."""
        membrane = membrane * self.settings.beta + current
        fired = self.spike(membrane - 1.0)
        kept = fired.detach()  # a reset passes no gradient
        return fired, membrane - kept if self.settings.reset == "subtract" else membrane * (1.0 - kept)

    @torch.no_grad()
    def graph(self) -> Graph:
        """The same as a network graph: run it for T steps on one input, and its output is this network's.

        >>> running = Running(net.graph())
        >>> for _ in range(net.settings.time_steps):
        ...     out = running.step({"x": x})["out"]
        """
        steps = self.settings.time_steps
        inputs = next(self.weights[wire.key].shape[1] for wire in self.wires if wire.src == CODE)
        nodes: list[Node] = [Input(name=INPUT, shape=(int(inputs),))]
        edges: list[Edge] = []
        for name in (*self.groups, OUT):
            share = 1 / steps if name == OUT else 1.0
            parts = []
            for wire in self.into(name):
                weight = self.weights[wire.key].double().numpy() * share
                nodes.append(Linear(name=wire.key, weight=weight))
                edges.append(Edge(src=INPUT if wire.src == CODE else wire.src, dst=wire.key))
                parts.append(wire.key)
            nodes.append(Sum(name=f"{name}.sum"))
            edges += [Edge(src=part, dst=f"{name}.sum", port=port) for port, part in enumerate(parts)]
            edges.append(Edge(src=f"{name}.sum", dst=name))
            bias = self.biases[name].double().numpy() * share
            if name == OUT:
                nodes.append(Integrator(name=OUT, dv=np.zeros(1), bias=bias))
                continue
            leak = np.full(1, 1.0 - self.settings.beta)
            one = np.ones(1)
            nodes.append(LIF(name=name, du=one, dv=leak, vth=one, bias=bias, reset=self.settings.reset))
        return Graph(nodes=tuple(nodes), edges=tuple(edges), outputs=(OUT,), provenance={"time_steps": steps})
