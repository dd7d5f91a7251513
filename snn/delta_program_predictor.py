"""A delta program behind the Predictor contract, on the references zero and previous_step.

Rows are B x S candidates; on previous_step each keeps the state of its own pass one rollout step earlier.
Shapes: B episodes, S candidates, H steps, D latent, A action; real units in and out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.core.groups import NeuronGroups
from spikeplan.snn.delta_program import Coded, DeltaProgram, State, refs


@dataclass
class RolloutState:
    """Where the rollout stands."""

    reference: str
    step: int = 0
    carry: State | None = None


class DeltaProgramPredictor:
    """Predicts with a program. It runs on no chip: it computes operations anew that no neuron of one does.

    >>> predictor = DeltaProgramPredictor(program)
    >>> state = predictor.begin(latent_BD, candidates_BSHA, "previous_step")
    >>> latent_BSD, state, counts = predictor.step(latent_BSD, candidates_BSHA[:, :, 0], state)
    """

    references = ("zero", "previous_step")
    spiking = True
    precision = "int8"

    def __init__(self, program: DeltaProgram) -> None:
        self.program = program
        self.latent_dim, self.action_dim = program.latent_dim, program.action_dim

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        return self.program.depth, 1

    def memory(self) -> dict[str, tuple[int, int]]:
        """int8 weights, float32 of what is not coded (biases, norms, layers kept dense); 24-bit states of one row."""
        p = self.program
        _, state, counts = p.run(torch.zeros(1, self.latent_dim), torch.zeros(1, self.action_dim), None)
        found = {of.layer: (0, 0) for of in counts}
        for step in p.steps:
            weights, states = found.get(step.layer, (0, 0))
            fixed = {ref.name for ref in refs((step.args, step.kwargs))} & p.constants.keys()
            weights += sum(4 * p.constants[name].numel() for name in fixed)
            weights += -(-step.stored_bits // 8) if isinstance(step, Coded) else 0
            states += sum(STATE_BITS // 8 * part.numel() for part in state.get(step.name, ()))
            if weights or states:
                found[step.layer] = (weights, states)
        return found

    def weights_left(self) -> dict[str, int]:
        """Weights that are not zero, by layer."""
        found: dict[str, int] = {}
        for step in self.program.coded:
            found[step.layer] = found.get(step.layer, 0) + int(step.whole.count_nonzero())
        return found

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None:
        return None

    def begin(
        self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str, previous: RolloutState | None = None
    ) -> RolloutState:
        """State at the start of an iteration. Raises UserError for a reference that is not in `references`."""
        if reference not in self.references:
            raise UserError(
                f"reference {reference!r} is not offered by this predictor; use one of {', '.join(self.references)}"
            )
        return RolloutState(reference)

    @torch.no_grad()
    def step(
        self, latent_BSD: Tensor, action_BSA: Tensor, state: RolloutState
    ) -> tuple[Tensor, RolloutState, list[LayerCounts]]:
        """One prediction of B x S latents: the next latents, the state, and the operations of each layer."""
        start = state.carry if state.reference == "previous_step" else None
        after, carry, counts = self.program.run(latent_BSD.flatten(0, 1), action_BSA.flatten(0, 1), start)
        if state.reference == "previous_step":
            if state.step == 0:  # each candidate starts by clearing the working state
                counts = [replace(found, state_restores=found.updates) for found in counts]
            state.carry = carry
        state.step += 1
        return after.view(latent_BSD.shape), state, counts
