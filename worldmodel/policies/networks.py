"""Policies as planners and guided planners run them: dense fp32 and int8, with their operations counted.

Contract (structural; spiking policies obey it too):
    act(latent_BSD, told_BG) -> action_BSA, [LayerCounts];     told_BG: `told_to(policy, goal)`
and what a Predictor says of itself: spiking, precision, pipeline_steps, memory, weights_left, neuron_groups.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import POLICY_PREFIX, LayerCounts
from spikeplan.core.fixed_point import WEIGHT_BITS, limit
from spikeplan.core.groups import NeuronGroups
from spikeplan.worldmodel.planning.costs import Goal
from spikeplan.worldmodel.policies.base import GoalPolicy
from spikeplan.worldmodel.predictor import OffChip

TOP = float(limit(WEIGHT_BITS))


class Policy(Protocol):
    """What a planner asks of a policy."""

    @property
    def spiking(self) -> bool: ...
    @property
    def precision(self) -> str: ...
    @property
    def pipeline_steps(self) -> tuple[int, int]: ...
    def memory(self) -> dict[str, tuple[int, int]]: ...
    def weights_left(self) -> dict[str, int]: ...
    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None: ...
    def act(self, latent_BSD: Tensor, told_BG: Tensor) -> tuple[Tensor, list[LayerCounts]]: ...


def told_to(policy: Policy, goal: Goal) -> Tensor:
    """What this policy is told (B, G): its goal, and where it has `places` the mean of the places to keep out of."""
    return goal.told_BG(getattr(policy, "places", False))


def each_copy(told_BG: Tensor, latent_BSD: Tensor) -> Tensor:
    """What every copy is told (B, S, G)."""
    return told_BG[:, None].expand(-1, latent_BSD.shape[1], -1)


class _Chain(OffChip):
    """Names, sizes and counts of a policy's layers; `prefix` tells them from the predictor's. A cost-to-go is such a chain, too,
    with one output."""

    spiking = False
    bytes_each = 1

    def __init__(self, policy: GoalPolicy, prefix: str = POLICY_PREFIX, *, shared: bool = False) -> None:
        """`shared`: what all copies are told takes part in the first layer once."""
        self.policy, self.places, self.shared = policy.eval(), policy.places, shared
        self.shapes = [linear.weight.shape for linear in policy.linears()]
        self.names = [f"{prefix}h{i}" for i in range(1, len(self.shapes) + 1)]

    def memory(self) -> dict[str, tuple[int, int]]:
        return {n: (self.bytes_each * o * i, 3 * o) for n, (o, i) in zip(self.names, self.shapes, strict=True)}

    def _counts(self, rows: int, saturated: list[int], told_rows: int | None = None) -> list[LayerCounts]:
        saved = [0] * len(self.shapes)
        if told_rows is not None:
            n_out, n_in = self.shapes[0]
            saved[0] = n_out * Once(slice(self.policy.latent_dim, n_in), told_rows).saved(rows)
        return [
            LayerCounts(
                layer=name,
                macs=rows * n_out * n_in - less,
                dense_macs=rows * n_out * n_in - less,
                calls=rows,
                state_reads=rows * n_in,
                state_writes=rows * n_out,
                saturated=over,
            )
            for name, (n_out, n_in), over, less in zip(self.names, self.shapes, saturated, saved, strict=True)
        ]


class DensePolicy(_Chain):
    """The fp32 network.

    >>> action_BSA, counts = DensePolicy(policy).act(latent_BSD, told_BG)
    """

    precision = "fp32"
    bytes_each = 4

    def weights_left(self) -> dict[str, int]:
        weights = (linear.weight for linear in self.policy.linears())
        return {name: int(w.count_nonzero()) for name, w in zip(self.names, weights, strict=True)}

    @torch.no_grad()
    def act(
        self, latent_BSD: Tensor, told_BG: Tensor, *, told_rows: int | None = None
    ) -> tuple[Tensor, list[LayerCounts]]:
        """`told_rows`: how often what it is told takes part; None: with every row."""
        rows = latent_BSD.shape[0] * latent_BSD.shape[1]
        return self.policy(latent_BSD, each_copy(told_BG, latent_BSD)), self._counts(
            rows, [0] * len(self.names), told_rows
        )


class Int8Policy(_Chain):
    """The same weights and activations in 8 bits, a scale a tensor: the matched-bits opponent.

    `latent_ND`, `told_NG`: what the policy saw and was told; they set the scales of activations.
    """

    precision = "int8"

    def __init__(self, policy: GoalPolicy, latent_ND: Tensor, told_NG: Tensor, prefix: str = POLICY_PREFIX) -> None:
        super().__init__(policy, prefix)
        self.weights, self.tops, self.units = [], [], []
        self.biases = [linear.bias.detach() for linear in policy.linears()]
        x = torch.cat([latent_ND, told_NG], -1)
        for i, linear in enumerate(policy.linears()):
            weight = linear.weight.detach()
            unit, top = float(weight.abs().max()) / TOP, max(float(x.abs().max()), 1e-12) / TOP
            self.weights.append((weight / unit).round().T.contiguous())
            self.tops.append(top)
            self.units.append(unit * top)
            with torch.no_grad():
                x = (x @ weight.T + self.biases[i]).relu()

    def weights_left(self) -> dict[str, int]:
        return {name: int(w.count_nonzero()) for name, w in zip(self.names, self.weights, strict=True)}

    @torch.no_grad()
    def act(self, latent_BSD: Tensor, told_BG: Tensor) -> tuple[Tensor, list[LayerCounts]]:
        x = torch.cat([latent_BSD, each_copy(told_BG, latent_BSD)], -1).flatten(0, 1)
        saturated = []
        for i, weight in enumerate(self.weights):
            q = (x / self.tops[i]).round()
            saturated.append(int((q.abs() > TOP).sum()))
            x = torch.addmm(self.biases[i], q.clamp(-TOP, TOP), weight, alpha=self.units[i])
            if i + 1 < len(self.weights):
                x = x.relu()
        action = self.policy.action_limit * x.clamp(-1.0, 1.0)
        rows = latent_BSD.shape[0] * latent_BSD.shape[1]
        return action.unflatten(0, latent_BSD.shape[:2]), self._counts(rows, saturated)
