"""A sigma-delta network as a planner's policy: [z, z_goal] in, an action out; bit-exact with its artifact.

It takes latents in the integers of the predictor that it acts in (conversion/policy.py). Reference zero: values are sent, not
changes; the integer guided planner also runs it on previous_step.
Shapes: B episodes, S copies, D latent, A action.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.groups import NeuronGroups, network_of
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta import DeltaNetwork, DeltaState


class DeltaPolicy:
    """`action_limit`: actions are clipped to plus and minus this, in the task's units.

    Raises UserError for an artifact without the scales of latent and action, or that is no sigma-delta chain.

    >>> action_BSA, counts = DeltaPolicy(artifact, action_limit=0.08).act(latent_BSD, goal_BD)
    """

    spiking = True
    precision = "int8"

    def __init__(self, artifact: Artifact, *, action_limit: float) -> None:
        missing = {"latent", "action"} - artifact.scales.keys()
        if missing:
            raise UserError(f"policy: scale {', '.join(sorted(missing))} is missing; convert the policy again")
        self.artifact, self.network, self.action_limit = artifact, DeltaNetwork(artifact), action_limit
        self.latent_scale, self.action_scale = artifact.scales["latent"], artifact.scales["action"]
        self.latent_dim = artifact.layers[0].n_in // 2

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        return len(self.network.layers), 1

    def memory(self) -> dict[str, tuple[int, int]]:
        """int8 weights, 24-bit states: sigma and ref where a layer has both."""
        return {
            layer.name: (
                0 if layer.weight is None else layer.weight.size,
                layer.n_out * 3 * (2 if layer.kind == "sigma_delta" else 1),
            )
            for layer in self.network.layers
        }

    def weights_left(self) -> dict[str, int]:
        """Weights that are not zero, by layer."""
        return {la.name: int(np.count_nonzero(la.weight)) for la in self.network.layers if la.weight is not None}

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups:
        """What a placement puts on cores. `contexts`: stored states a neuron keeps beside its own."""
        return network_of(self.artifact, contexts=contexts)

    @torch.no_grad()
    def act(self, latent_BSD: Tensor, goal_BD: Tensor) -> tuple[Tensor, list[LayerCounts]]:
        """Real latents in, real actions out, clipped; the operations of each layer."""
        top = float(limit(STATE_BITS))
        z = (latent_BSD / self.latent_scale).round().clamp(-top, top)
        goal = (goal_BD / self.latent_scale).round().clamp(-top, top)[:, None].expand_as(z)
        value, _, counts = self.advance(z, goal, None)
        action = (value * self.action_scale).float().clamp(-self.action_limit, self.action_limit)
        return action, counts

    def advance(
        self, z_BSD: Tensor, goal_BSD: Tensor, state: list[DeltaState] | None
    ) -> tuple[Tensor, list[DeltaState], list[LayerCounts]]:
        """One pass on integers: action LSB (B, S, A) before the clip, the state after it, and the operations."""
        x = torch.cat([z_BSD, goal_BSD], -1).to(self.network.dtype)
        done, new = self.network.run(x, state)
        rows = z_BSD[..., 0].numel()
        return done.value_RD, new, self.network.counts(done, rows=rows, restored_rows=0, dense_rows=rows)
