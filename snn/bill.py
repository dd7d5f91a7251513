"""What a chip charges for a pass of a chain, in synop-equivalents and differentiable: what training for cost descends.

    bill      = synops + u (updates + restores)                      u = UPDATE_WEIGHT of core/counts/row.py
    synops    = sum_j messages_j |{k: W_kj != 0}|                    of the weights that are left
    updates   = p neurons,      p = passes a candidate               whether they send or not
    restores  = r neurons + latents                                  r = stored contexts fetched a candidate's pass

On `zero` nothing is kept. On `previous_step` every candidate of an interleaved pipe has a context of its own, fetched at each
pass. On `previous_candidate` the state is handed on and cleared once for all S. On `mean_candidate` the mean's context is fetched
at each pass, and by the mean's own, which is an update too. A candidate's latent is fetched on all of them.
The interleaved schedule is charged; the sequential one has as many updates more as there are layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from spikeplan.core.counts.operations import UPDATE_WEIGHT


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
