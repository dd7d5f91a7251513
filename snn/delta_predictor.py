"""The sigma-delta network behind the Predictor contract, on every reference (snn/delta_reference.py).

The residual output is added to z as a value once per prediction:  z[t+1] = sat24(z[t] + value[t]). Without a residual edge
the value is the next latent:  z[t+1] = sat24(value[t]). Every candidate has its own z: fetching it is charged as one restore
per latent dimension and prediction, whatever the reference (layer "z").
Shapes: B episodes, S candidates, D latent, A action.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import REFERENCES, LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta_reference import DeltaReferring, ReferenceState, in_order


class DeltaPredictor(DeltaReferring):
    """The sigma-delta network as a planner's predictor, batched over episodes and candidates; bit-exact with the artifact.

    Shapes: B episodes, S candidates, H steps, D latent, A action; real units in and out.
    Raises UserError for an artifact without the scales of latent and action, or that is no sigma-delta network.

    >>> predictor = DeltaPredictor(artifact)
    >>> state = predictor.begin(latent_BD, candidates_BSHA, "previous_step")
    >>> latent_BSD, state, counts = predictor.step(latent_BSD, candidates_BSHA[:, :, 0], state)
    """

    references = REFERENCES

    def __init__(self, artifact: Artifact, *, sparse: bool = False, shared: bool = False) -> None:
        super().__init__(artifact, "predictor", sparse=sparse, shared=shared)
        self.latent_dim = self.network.layers[-1].n_out
        self.residual = artifact.residual

    def encode_action(self, action: Tensor) -> Tensor:
        """Real action -> integer action, saturated to 24 bits."""
        return self._saturated((action / self.action_scale).round())[0]

    def begin(
        self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str, previous: ReferenceState | None = None
    ) -> ReferenceState:
        """State at the start of an iteration. `previous`: the state that the last iteration ended with.

        `reference` is what a graded spike is a change of. Raises UserError for one that is not in `references`.
        """
        if reference not in REFERENCES:
            raise UserError(f"reference {reference!r} is unknown; use one of {', '.join(REFERENCES)}")
        state = ReferenceState(reference)
        if reference == "previous_iteration" and previous is not None:
            state.previous = previous.contexts
        if reference == "mean_candidate" or (reference == "previous_iteration" and previous is None):
            state.mean_latent = self.encode(latent_BD)[:, None]
            state.mean_actions = self.encode_action(candidates_BSHA.mean(1, keepdim=True))
        if reference == "previous_candidate":
            state.order = in_order(candidates_BSHA)
        return state

    def begin_acting(self, latent_BD: Tensor, order_BSHA: Tensor, reference: str) -> ReferenceState:
        """`begin` where actions are proposed as the rollout goes: the mean candidate does the mean of each step's actions.

        `order_BSHA`: what candidates are sorted by in place of their first actions.
        """
        state = self.begin(latent_BD, order_BSHA, reference)
        state.mean_actions = None
        return state

    def step(
        self, latent_BSD: Tensor, action_BSA: Tensor, state: ReferenceState
    ) -> tuple[Tensor, ReferenceState, list[LayerCounts]]:
        """One prediction of B x S latents in real units: the next latents, the state, and the operations of each layer."""
        z, over_z = self._saturated((latent_BSD / self.latent_scale).round())
        actions, over_actions = self._saturated((action_BSA / self.action_scale).round())
        reached, state, counts = self.advance(z, actions, state)
        counts[-1] = replace(counts[-1], saturated=counts[-1].saturated + over_z + over_actions)
        return (reached * self.latent_scale).float(), state, counts

    def advance(
        self, z_BSD: Tensor, action_BSA: Tensor, state: ReferenceState
    ) -> tuple[Tensor, ReferenceState, list[LayerCounts]]:
        """One prediction on integers: z in latent LSB, action in action LSB, both in the network's dtype."""
        mean = self._mean_asked(action_BSA, state)
        first = self.shared and state.step == 0  # all candidates start from one latent
        once = Once(slice(0, z_BSD.shape[-1]), len(z_BSD)) if first else None
        value, counts, of_mean = self.compared(torch.cat([z_BSD, action_BSA], -1), state, mean, once)
        if state.mean_latent is not None and of_mean is not None:
            state.mean_latent, _ = self._saturated(state.mean_latent + of_mean if self.residual else of_mean)
        state.step += 1
        reached, over = self._saturated(z_BSD + value if self.residual else value)
        return reached, state, [*counts, LayerCounts(layer="z", state_restores=z_BSD.numel(), saturated=over)]

    def _mean_asked(self, action_BSA: Tensor, state: ReferenceState) -> Tensor | None:
        """The mean candidate's latent and action (B, 1, I), where there is one."""
        if state.mean_latent is None:
            return None
        if state.mean_actions is None:
            mean = action_BSA.double().mean(1, keepdim=True).round().to(action_BSA.dtype)
        else:
            mean = state.mean_actions[:, :, state.step]
        return torch.cat([state.mean_latent, mean], -1)
