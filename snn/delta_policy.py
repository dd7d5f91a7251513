"""A sigma-delta network as a planner's policy: [z, told] in, an action out; bit-exact with its artifact.

It takes latents in the integers of the predictor that it acts in (conversion/policy.py), and is compared with earlier passes as
that one is (snn/delta_reference.py). On a reference but zero, what it is told is sent once, for it does not change in a plan.
Shapes: B episodes, S copies, D latent, A action.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta import DeltaState
from spikeplan.snn.delta_reference import DeltaReferring, ReferenceState, in_order


class DeltaPolicy(DeltaReferring):
    """`action_limit`: actions are clipped to plus and minus this, in the task's units.

    `output`: the scale that the output is in; `value` for a cost-to-go, whose limit is a cost.

    Raises UserError for an artifact without the scales of latent and action, or that is no sigma-delta network.

    >>> action_BSA, counts = DeltaPolicy(artifact, action_limit=0.08).act(latent_BSD, told_BG)
    """

    def __init__(
        self,
        artifact: Artifact,
        *,
        action_limit: float,
        output: str = "action",
        sparse: bool = False,
        shared: bool = False,
    ) -> None:
        super().__init__(artifact, "policy", sparse=sparse, shared=shared)
        self.artifact, self.action_limit = artifact, action_limit
        self.output_scale = artifact.scales[output]
        self.places = bool(artifact.provenance.get("policy", {}).get("places", False))

    def begin_acting(self, order_BSHA: Tensor, reference: str) -> ReferenceState:
        """State at the start of a rollout. `order_BSHA`: what copies are sorted by."""
        order = in_order(order_BSHA) if reference == "previous_candidate" else None
        return ReferenceState(reference, order=order)

    @torch.no_grad()
    def act(
        self,
        latent_BSD: Tensor,
        told_BG: Tensor,
        state: ReferenceState | None = None,
        *,
        told_rows: int | None = None,
    ) -> tuple[Tensor, list[LayerCounts]]:
        """Real latents in, real actions out, clipped; the operations of each layer.

        `state`: of the rollout that it takes part in, changed in place; None: values are sent, not changes. On mean_candidate it
        has the mean candidate's latent as `mean_latent`, in latent LSB. `told_rows`: how often what it is told is sent; None:
        with every row.
        """
        state = ReferenceState("zero") if state is None else state
        told = self.encode(told_BG)[:, None]
        x = torch.cat([self.encode(latent_BSD), told.expand(-1, latent_BSD.shape[1], -1)], -1)
        mean = None if state.mean_latent is None else torch.cat([state.mean_latent, told], -1)
        once = None if told_rows is None else Once(slice(latent_BSD.shape[-1], x.shape[-1]), told_rows)
        value, counts, _ = self.compared(x, state, mean, once)
        state.step += 1
        action = (value * self.output_scale).float().clamp(-self.action_limit, self.action_limit)
        return action, counts

    def advance(
        self, z_BSD: Tensor, told_BSG: Tensor, state: list[DeltaState] | None
    ) -> tuple[Tensor, list[DeltaState], list[LayerCounts]]:
        """One pass on integers: action LSB (B, S, A) before the clip, the state after it, and the operations."""
        done, new = self.network.run(torch.cat([z_BSD, told_BSG], -1).to(self.network.dtype), state)
        rows = z_BSD[..., 0].numel()
        return done.value_RD, new, self.network.counts(done, rows=rows, restored_rows=0, dense_rows=rows)
