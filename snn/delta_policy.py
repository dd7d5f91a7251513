"""A sigma-delta network as a planner's policy: [z, told] in, an action out; bit-exact with its artifact.

It takes latents in the integers of the predictor that it acts in (conversion/policy.py). Reference zero: values are sent, not
changes; the integer guided planner also runs it on previous_step.
Shapes: B episodes, S copies, D latent, A action.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta import DeltaState
from spikeplan.snn.delta_on_chip import DeltaOnChip


class DeltaPolicy(DeltaOnChip):
    """`action_limit`: actions are clipped to plus and minus this, in the task's units.

    `output`: the scale that the output is in; `value` for a cost-to-go, whose limit is a cost.

    Raises UserError for an artifact without the scales of latent and action, or that is no sigma-delta chain.

    >>> action_BSA, counts = DeltaPolicy(artifact, action_limit=0.08).act(latent_BSD, told_BG)
    """

    def __init__(self, artifact: Artifact, *, action_limit: float, output: str = "action") -> None:
        super().__init__(artifact, "policy")
        self.artifact, self.action_limit = artifact, action_limit
        self.output_scale = artifact.scales[output]
        self.places = bool(artifact.provenance.get("policy", {}).get("places", False))

    @torch.no_grad()
    def act(self, latent_BSD: Tensor, told_BG: Tensor) -> tuple[Tensor, list[LayerCounts]]:
        """Real latents in, real actions out, clipped; the operations of each layer."""
        z = self.encode(latent_BSD)
        value, _, counts = self.advance(z, self.encode(told_BG)[:, None].expand(-1, z.shape[1], -1), None)
        action = (value * self.output_scale).float().clamp(-self.action_limit, self.action_limit)
        return action, counts

    def advance(
        self, z_BSD: Tensor, told_BSG: Tensor, state: list[DeltaState] | None
    ) -> tuple[Tensor, list[DeltaState], list[LayerCounts]]:
        """One pass on integers: action LSB (B, S, A) before the clip, the state after it, and the operations."""
        done, new = self.network.run(torch.cat([z_BSD, told_BSG], -1).to(self.network.dtype), state)
        rows = z_BSD[..., 0].numel()
        return done.value_RD, new, self.network.counts(done, rows=rows, restored_rows=0, dense_rows=rows)
