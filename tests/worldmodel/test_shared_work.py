"""Work that copies of a policy have in common is counted once, on both sides, and changes nothing that is planned."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import POLICY_PREFIX, VALUE_PREFIX, LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning.costs import LatentDistance
from spikeplan.worldmodel.planning.guided import GuidedPlanner, GuidedTrace
from spikeplan.worldmodel.policies.base import GoalPolicy
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import DensePredictor, ResidualPredictor

B, S, H, D = 4, 3, 2, 6
LIMIT = 0.08
CONFIG = GuidedConfig(samples=S, horizon=H, spread=0.6, decay=0.9, to_go=0.2)


def networks() -> tuple[ResidualPredictor, GoalPolicy, GoalPolicy]:
    torch.manual_seed(0)
    policy, value = (GoalPolicy(D, out, action_limit=LIMIT, hidden=(16, 12)) for out in (2, 1))
    return ResidualPredictor(D, 2, (10, 8)), policy, value


def planned(pair: Pair) -> tuple[GuidedTrace, dict[tuple[str, int | None], LayerCounts], OperationCounts]:
    counts = OperationCounts(method="x", reference="zero", precision="int8", spiking=pair.spiking)
    planner = GuidedPlanner(
        pair, CONFIG, action_dim=2, action_limit=LIMIT, op_counts=counts, evaluator=LatentDistance()
    )
    generator = torch.Generator().manual_seed(1)
    latent, goal = (0.2 * torch.randn(B, D, generator=generator) for _ in range(2))
    trace = planner.plan(latent, goal, planner.noise(B, generator))[2]
    return trace, {(key[1], key[3]): of for key, of in counts.counts("predictor")}, counts


def dense(shared: bool) -> Pair:
    predictor, policy, value = networks()
    return Pair(
        DensePredictor(predictor, shared=shared),
        DensePolicy(policy, shared=shared),
        DensePolicy(value, VALUE_PREFIX, shared=shared),
    )


def test_dense_copies_compute_what_they_share_once() -> None:
    """Hand count of the first layers, 16 neurons of policy and cost-to-go and 10 of the predictor: 6 inputs are the latent, 6
    what is told or 2 the action. The policy's first pass is made once an episode, with what it is told; later 6 inputs remain."""
    (alone, _, _), (trace, counts, _) = planned(dense(False)), planned(dense(True))
    assert torch.equal(alone.actions_BSHA, trace.actions_BSHA) and torch.equal(alone.cost_BS, trace.cost_BS)
    assert counts["policy.h1", 0].macs == B * 16 * (D + D) and counts["policy.h2", 0].macs == B * 16 * 12
    assert counts["policy.h1", 1].macs == B * S * 16 * D and counts["policy.h2", 1].macs == B * S * 16 * 12
    assert counts["h1", 0].macs == B * 10 * (D + S * 2) and counts["h2", 0].macs == B * S * 10 * 8
    assert counts["h1", 1].macs == B * S * 10 * (D + 2)
    assert counts["value.h1", None].macs == B * 16 * (S * D + D)


@pytest.fixture
def spiking_networks(artifact: Artifact) -> Any:
    _, policy, value = networks()
    latent = 0.2 * torch.randn(400, D, generator=torch.Generator().manual_seed(2))

    def made(shared: bool, sparse: bool = False) -> Pair:
        forms = [
            convert_policy(net, artifact, latent, latent.flip(0), prefix=prefix)
            for net, prefix in ((policy, POLICY_PREFIX), (value, VALUE_PREFIX))
        ]
        how: dict[str, Any] = {"sparse": sparse, "shared": shared}
        return Pair(
            DeltaPredictor(artifact, **how),
            DeltaPolicy(forms[0], action_limit=LIMIT, **how),
            DeltaPolicy(forms[1], action_limit=LIMIT, output="value", **how),
        )

    return made


@pytest.mark.parametrize("sparse", [False, True])
def test_spiking_copies_send_what_they_share_once(spiking_networks: Any, sparse: bool) -> None:
    """The same integers; of three copies' messages for a latent that all start from a third is left, and what neurons of the
    first layer store is an update each."""
    (alone, every, _), (trace, once, _) = (
        planned(spiking_networks(False, sparse)),
        planned(spiking_networks(True, sparse)),
    )
    assert torch.equal(alone.actions_BSHA, trace.actions_BSHA) and torch.equal(alone.cost_BS, trace.cost_BS)
    first, coder = "h1", next(name for name, step in every if "." not in name and step == 0)
    start, first_all, first_once = every[coder, 0], every[first, 0], once[first, 0]
    assert start.updates == B * S * (D + 2) and once[coder, 0].updates == B * (D + S * 2)
    assert first_once.updates == first_all.updates + B * first_all.updates // (B * S)
    spared = start.messages - once[coder, 0].messages
    assert spared > 0 and spared % (S - 1) == 0, "two of three alike"
    assert spared <= B * (S - 1) * D
    assert once[coder, 1] == every[coder, 1], "later steps start from latents of their own"
    told = (
        "policy.code"
        if ("policy.code", 1) in every
        else next(n for n, t in every if n.startswith("policy.") and t == 1)
    )
    assert every[told, 1].updates == B * S * 2 * D and once[told, 1].updates == B * S * D
    assert once[told, 0].updates == B * 2 * D, "the first pass is made once"
    goal = next(n for n, t in every if n.startswith(VALUE_PREFIX))
    assert once[goal, None].updates == B * (S * D + D) and 0 < once[goal, None].synops < every[goal, None].synops


def test_what_is_shared_is_what_a_pass_of_its_own_sends(artifact: Artifact) -> None:
    """Independent of the counting: messages of one row of the coder, by hand."""
    predictor = DeltaPredictor(artifact, shared=True)
    generator = torch.Generator().manual_seed(3)
    z = (0.2 * torch.randn(B, 1, D, generator=generator)).expand(-1, S, -1)
    actions = LIMIT * torch.randn(B, S, H, 2, generator=generator)
    _, _, counts = predictor.step(z, actions[:, :, 0], predictor.begin(z[:, 0], actions, "zero"))
    x = torch.cat([predictor.encode(z), predictor.encode_action(actions[:, :, 0])], -1)
    sent = predictor.network.run(x, None)[0].messages[0]
    by_hand = int(sent[:, 0, :D].count_nonzero() + sent[..., D:].count_nonzero())
    assert counts[0].messages == by_hand < int(sent.count_nonzero())
    assert counts[0].synops == by_hand * artifact.layers[1].n_out


def test_shared_work_is_refused_where_there_is_none(artifact: Artifact) -> None:
    predictor = DeltaPredictor(artifact, shared=True)
    z, actions = torch.zeros(1, 2, D), torch.zeros(1, 2, H, 2)
    state = predictor.begin(z[:, 0], actions, "previous_step")
    with pytest.raises(UserError, match="reference 'previous_step': shared work is offered on zero"):
        predictor.step(z, actions[:, :, 0], state)
    passes = copy.copy(artifact)
    object.__setattr__(passes, "passes", 2)
    with pytest.raises(UserError, match="the predictor branches or takes several passes; plan without shared work"):
        DeltaPredictor(passes, shared=True)

    class Other(torch.nn.Module):
        pass

    with pytest.raises(UserError, match="predictor Other: only a chain of linears shares its first layer"):
        DensePredictor(Other(), shared=True)


def test_rows_saved() -> None:
    assert Once(slice(2, 5), 4).saved(12) == 8 * 3 and Once(slice(0, 2), 0).saved(3) == 6
