"""What a chip charges for a pass of a chain, in synop-equivalents and differentiable: what training for cost descends.

    bill      = synops + u (updates + restores)                      u = UPDATE_WEIGHT of core/counts/row.py
    synops    = sum_j messages_j |{k: W_kj != 0}|                    of the weights that are left
    updates   = p neurons,      p = passes a candidate               whether they send or not
    restores  = r neurons + latents                                  r = stored contexts fetched a candidate's pass

On `zero` nothing is kept. On `previous_step` every candidate of an interleaved pipe has a context of its own, fetched at each
pass. On `previous_candidate` the state is handed on and cleared once for all S. On `mean_candidate` the mean's context is fetched
at each pass, and by the mean's own, which is an update too. A candidate's latent is fetched on all of them.
The interleaved schedule is charged; the sequential one has as many updates more as there are layers.

Where copies of a policy have work in common (core/counts/once.py), one of S of them pays

    policy      1 / S of its first pass; in later ones nothing for what it is told
    predictor   1 / S of the first step's latent
    cost-to-go  1 / S of the goal

Shapes: I inputs of a chain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from spikeplan.core.counts.operations import UPDATE_WEIGHT
from spikeplan.snn.delta_chain import SendingChain


class Kept(NamedTuple):
    """Of a reference: contexts fetched a candidate's pass, fetched once for all S candidates, and further passes for all S."""

    each: float
    shared: float
    passes: float

    def restores(self, candidates: int) -> float:
        """Of a neuron, in a candidate's pass."""
        return self.each + self.shared / candidates

    def updates(self, candidates: int) -> float:
        """Of a neuron, in a candidate's pass."""
        return 1.0 + self.passes / candidates


KEPT = {
    "zero": Kept(0, 0, 0),
    "previous_step": Kept(1, 0, 0),
    "previous_candidate": Kept(0, 1, 0),
    "mean_candidate": Kept(1, 1, 1),
}


@dataclass(frozen=True)
class Bill:
    """Operations of one candidate's plan; each a number without dimensions."""

    synops: Tensor
    updates: Tensor
    restores: Tensor

    @property
    def equivalents(self) -> Tensor:
        """In synop-equivalents."""
        return self.synops + UPDATE_WEIGHT * (self.updates + self.restores)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """`latent_dim`: inputs of each chain that are the latent, its first ones."""

    policy: SendingChain
    predictor: SendingChain
    value: SendingChain
    copies: int
    latent_dim: int

    def passes(self, step: int) -> float:
        """Of the policy's whole pass in this step."""
        return 1.0 if step else 1.0 / self.copies

    def told(self, step: int) -> Tensor | None:
        """Of the policy's inputs (I,); None: all of each."""
        return _shares(self.policy, self.latent_dim, 1.0, 0.0) if step else None

    def start(self, step: int) -> Tensor | None:
        """Of the predictor's."""
        return None if step else _shares(self.predictor, self.latent_dim, 1.0 / self.copies, 1.0)

    def goal(self) -> Tensor:
        """Of the cost-to-go's."""
        return _shares(self.value, self.latent_dim, 1.0, 1.0 / self.copies)

    def updates(self, horizon: int) -> Tensor:
        """Of neurons, that a copy is spared in a plan; those of first layers store what is shared, once for all copies."""
        spared = 1.0 - 1.0 / self.copies
        told = self.policy.widths[0] - self.latent_dim
        start_and_goal = 2 * spared * self.latent_dim
        stored = sum(chain.widths[1] for chain in (self.policy, self.predictor, self.value)) / self.copies
        return spared * self.policy.remaining() + (horizon - 1) * told + start_and_goal - stored


def _shares(chain: SendingChain, latent_dim: int, latent: float, other: float) -> Tensor:
    share = torch.full((chain.widths[0],), other)
    share[:latent_dim] = latent
    return share
