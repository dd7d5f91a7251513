"""The LIF network as a planner's predictor: T binary time steps from [z, a] to a change of z.

No reference but `zero`: every prediction starts from rest.
Shapes: B episodes, S candidates, H rollout steps, D latent, A action; real units in and out.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.snn.lif_on_chip import LIFOnChip


class LIFPredictor(LIFOnChip):
    """Adds what the network says to the latent that it was asked about.

    >>> predictor = LIFPredictor(network)
    >>> latent_BSD, _, counts = predictor.step(latent_BSD, action_BSA, predictor.begin(latent_BD, candidates_BSHA))
    """

    references = ("zero",)

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str = "zero", previous: Any = None) -> None:
        """Nothing to prepare. Raises UserError for a reference that is not "zero"."""
        if reference not in self.references:
            raise UserError(f"reference {reference!r} is not offered by the LIF predictor; use zero")

    @torch.no_grad()
    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: None) -> tuple[Tensor, None, list[LayerCounts]]:
        """One prediction of B x S latents: the next latents, no state, and the operations of each layer."""
        run, counts = self.infer(torch.cat([latent_BSD, action_BSA], -1))
        own = LayerCounts(
            layer="z", state_restores=latent_BSD.numel()
        )  # each candidate's own z, as other methods' states
        return latent_BSD + run.change_RD, None, [*counts, own]
