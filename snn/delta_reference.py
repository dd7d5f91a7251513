"""What a graded spike is a change of: the references of a sigma-delta network that takes part in a rollout.

A reference says which earlier pass a pass is compared with, hence whose state it starts from:

    zero                the zero state: values are sent, not changes                        no state
    previous_step       the candidate's own pass one rollout step earlier                   spatial replica or context
    previous_candidate  the previous candidate at the same step, in a fixed order           handed on, no store
    mean_candidate      the mean candidate's pass at the same step (itself on previous_step)    one stored context a step
    previous_iteration  the same candidate and step one iteration earlier (first one: mean)     S x H stored contexts

Predictor and policy of a guided planner are compared alike. Shapes: B episodes, S candidates, I inputs, D outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
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


def in_order(perturbed_BSHA: Tensor) -> Tensor:
    """Candidates sorted by the first number of their first action (B, S); clipped ones tie."""
    return perturbed_BSHA[:, :, 0, 0].argsort(dim=1, stable=True)


class DeltaReferring(DeltaOnChip):
    """A sigma-delta network whose passes are compared with earlier ones."""

    def compared(
        self, x_BSI: Tensor, state: ReferenceState, mean_B1I: Tensor | None = None, once: Once | None = None
    ) -> tuple[Tensor, list[LayerCounts], Tensor | None]:
        """One pass of all candidates: values (B, S, D), operations, and the mean candidate's value (B, 1, D).

        `mean_B1I`: what the mean candidate is asked, where the reference needs it. `once`: inputs that all candidates share.

        Raises UserError for shared work on another reference than zero.
        """
        if self.shared and state.reference != "zero":
            raise UserError(
                f"reference {state.reference!r}: shared work is offered on zero, where no state is kept; plan without it"
            )
        if state.reference == "previous_candidate":
            return *self._in_order(x_BSI, state), None
        rows = x_BSI[..., 0].numel()
        extra: list[LayerCounts] = []
        mean_value, start, restored = None, None, 0
        if state.reference == "previous_step":
            start = state.carry
            restored = rows if state.step == 0 else 0  # each candidate starts by clearing the working state
        elif state.previous is not None:
            start, restored = state.previous[state.step], rows
        elif state.reference != "zero":
            assert mean_B1I is not None, f"reference {state.reference} needs the mean candidate"
            mean, state.carry = self.network.run(mean_B1I, state.carry, overwrite=True)
            mean_value, start, restored = mean.value_RD, state.carry, rows
            # The mean's state is written to its context and fetched back for its own next step: charged as a restore. It is
            # counted, but replaces no dense evaluation.
            extra = self.network.counts(mean, rows=len(x_BSI), restored_rows=len(x_BSI), dense_rows=0)
        done, new = self.network.run(
            x_BSI,
            start,
            keep=state.reference in ("previous_step", "previous_iteration"),
            overwrite=state.reference == "previous_step",  # nobody else holds `carry`
        )
        if state.reference == "previous_step":
            state.carry = new
        elif state.reference == "previous_iteration":
            state.contexts.append(new)
        counts = self.network.counts(done, rows=rows, restored_rows=restored, dense_rows=rows, once=once)
        if extra:
            counts = [own + more for own, more in zip(counts, extra, strict=True)]
        return done.value_RD, counts, mean_value

    def _in_order(self, x_BSI: Tensor, state: ReferenceState) -> tuple[Tensor, list[LayerCounts]]:
        """Candidates of an episode in turn, each compared with the one before it."""
        b, s, _ = x_BSI.shape
        assert state.order is not None
        episode = torch.arange(b)[:, None]
        done = self.network.run_in_turn(x_BSI[episode, state.order])
        value = torch.empty_like(done.value_RD)
        value[episode, state.order] = done.value_RD
        return value, self.network.counts(done, rows=b * s, restored_rows=b, dense_rows=b * s)
