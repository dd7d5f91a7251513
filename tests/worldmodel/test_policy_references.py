"""A spiking policy in a rollout: what it is told does not change, so on references but zero it is sent once."""

from __future__ import annotations

import torch

from spikeplan.conversion.policy import convert_policy
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.worldmodel.policies.base import GoalPolicy

LIMIT = 0.08


def random_policy(artifact: Artifact) -> DeltaPolicy:
    torch.manual_seed(3)
    net = GoalPolicy(6, 2, action_limit=LIMIT, hidden=(16, 12), places=True)
    latent = 0.2 * torch.randn(400, 6)
    told = torch.cat([latent.flip(0), latent.roll(200, 0)], 1)
    return DeltaPolicy(convert_policy(net, artifact, latent, told), action_limit=LIMIT)


def test_what_a_policy_is_told_is_sent_once_on_previous_step(artifact: Artifact) -> None:
    """Its action is the same on both references but for what thresholds hold back; a latent that stands still is not sent again,
    nor is what it is told where only the latent moves."""
    policy = random_policy(artifact)
    generator = torch.Generator().manual_seed(0)
    z, told = 0.2 * torch.randn(4, 3, 6, generator=generator), 0.2 * torch.randn(4, 12, generator=generator)
    state = policy.begin_acting(z[:, :, None], "previous_step")
    first, counts = policy.act(z, told, state)
    alone, sent = policy.act(z, told)
    assert torch.equal(first, alone) and counts[0].messages == sent[0].messages > 12 * 6
    assert [c.state_restores for c in counts] == [12 * layer.n_out for layer in policy.artifact.layers]
    still = policy.act(z, told, state)[1]
    assert still[0].messages == 0 and sum(c.state_restores for c in still) == 0
    moved = policy.act(z.flip(0), told, state)[1]
    assert 0 < moved[0].messages <= 12 * 6 < policy.act(z.flip(0), told)[1][0].messages
