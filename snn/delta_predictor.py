"""The sigma-delta network behind the Predictor contract, on every reference.

A reference says which earlier pass a pass is compared with, hence whose state it starts from:

    none       the zero state: values are sent, not changes                                   no state
    rollout    the candidate's own pass one rollout step earlier                              spatial replica or context
    order      the previous candidate at the same step, candidates sorted by first action     handed on, no store
    mean       the mean candidate's pass at the same step (which runs on the previous_step reference)    one stored context a step
    iteration  the same candidate and step one CEM iteration earlier (first one: mean)        S x H stored contexts

The residual output is added to z as a value once per prediction:  z[t+1] = sat24(z[t] + value[t]). Every candidate has
its own z: fetching it is charged as one restore per latent dimension and prediction, whatever the reference (layer "z").
Shapes: B episodes, S candidates, D latent, A action.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from spikeplan.core.counts.operations import REFERENCES, LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta import DeltaState
from spikeplan.snn.delta_on_chip import DeltaOnChip

STATE_KIND = {
    "zero": "no state",
    "previous_step": "spatial replica or stored context",
    "previous_candidate": "working state handed on",
    "mean_candidate": "stored context (one per step)",
    "previous_iteration": "stored context (S x H)",
}


@dataclass
class ReferenceState:
    """Where the rollout stands. `carry` is the working state, `contexts[t]` the states kept for the next iteration."""

    reference: str
    step: int = 0
    carry: list[DeltaState] | None = None
    mean_latent: Tensor | None = None
    mean_actions: Tensor | None = None
    order: Tensor | None = None
    contexts: list[list[DeltaState]] = field(default_factory=list)
    previous: list[list[DeltaState]] | None = None


class DeltaPredictor(DeltaOnChip):
    """The sigma-delta network as a planner's predictor, batched over episodes and candidates; bit-exact with the artifact.

    Shapes: B episodes, S candidates, H steps, D latent, A action; real units in and out.
    Raises UserError for an artifact without the scales of latent and action, or that is no sigma-delta chain.

    >>> predictor = DeltaPredictor(artifact)
    >>> state = predictor.begin(latent_BD, candidates_BSHA, "previous_step")
    >>> latent_BSD, state, counts = predictor.step(latent_BSD, candidates_BSHA[:, :, 0], state)
    """

    references = REFERENCES

    def __init__(self, artifact: Artifact) -> None:
        super().__init__(artifact, "predictor")
        self.latent_dim = self.network.layers[-1].n_out

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
            state.order = candidates_BSHA[:, :, 0, 0].argsort(dim=1, stable=True)  # clipped actions tie
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
        value, counts = self._evaluate(torch.cat([z_BSD, action_BSA], -1), state)
        state.step += 1
        reached, over = self._saturated(z_BSD + value)
        return reached, state, [*counts, LayerCounts(layer="z", state_restores=z_BSD.numel(), saturated=over)]

    def _evaluate(self, x_BSI: Tensor, state: ReferenceState) -> tuple[Tensor, list[LayerCounts]]:
        if state.reference == "previous_candidate":
            return self._in_order(x_BSI, state)
        b, s, _ = x_BSI.shape
        rows = b * s
        extra: list[LayerCounts] = []
        restored = 0
        if state.reference == "zero":
            start = None
        elif state.reference == "previous_step":
            start = state.carry
            restored = rows if state.step == 0 else 0  # each candidate starts by clearing the working state
        elif state.previous is not None:
            start, restored = state.previous[state.step], rows
        else:
            start, extra = self._mean_pass(state, x_BSI[..., self.latent_dim :])
            restored = rows
        done, new = self.network.run(x_BSI, start)
        if state.reference == "previous_step":
            state.carry = new
        elif state.reference == "previous_iteration":
            state.contexts.append(new)
        counts = self.network.counts(done, rows=rows, restored_rows=restored, dense_rows=rows)
        if extra:
            counts = [own + more for own, more in zip(counts, extra, strict=True)]
        return done.value_RD, counts

    def _mean_pass(self, state: ReferenceState, action_BSA: Tensor) -> tuple[list[DeltaState], list[LayerCounts]]:
        """The mean candidate's own pass, on the previous_step reference; counted, but it replaces no dense evaluation."""
        assert state.mean_latent is not None
        z = state.mean_latent
        if state.mean_actions is None:
            mean = action_BSA.double().mean(1, keepdim=True).round().to(action_BSA.dtype)
        else:
            mean = state.mean_actions[:, :, state.step]
        done, state.carry = self.network.run(torch.cat([z, mean], -1), state.carry)
        state.mean_latent, _ = self._saturated(z + done.value_RD)
        # The mean's state is written to its context and fetched back for its own next step: charged as a restore.
        return state.carry, self.network.counts(done, rows=len(z), restored_rows=len(z), dense_rows=0)

    def _in_order(self, x_BSI: Tensor, state: ReferenceState) -> tuple[Tensor, list[LayerCounts]]:
        """Sequential over candidates by nature, vectorised over episodes."""
        b, s, _ = x_BSI.shape
        assert state.order is not None
        index = torch.arange(b)
        value = x_BSI.new_zeros(b, s, self.latent_dim)
        total: list[LayerCounts] | None = None
        carry = None
        for position in range(s):
            which = state.order[:, position]
            done, carry = self.network.run(x_BSI[index, which], carry)
            value[index, which] = done.value_RD
            counts = self.network.counts(done, rows=b, restored_rows=b if position == 0 else 0, dense_rows=b)
            total = counts if total is None else [a + c for a, c in zip(total, counts, strict=True)]
        assert total is not None
        return value, total
