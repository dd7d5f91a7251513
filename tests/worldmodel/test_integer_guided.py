"""Guided planning in integers against the equations in plain numbers, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.prices import PRICES, Priced, PriceKind
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning.costs import Avoid, Effort, Goal, LatentDistance, Sum
from spikeplan.worldmodel.planning.integer_guided import IntegerGuided
from spikeplan.worldmodel.planning.integer_settings import to_go_params
from spikeplan.worldmodel.policies.base import GoalPolicy
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.predictor import DensePredictor

LIMIT, TOP = 0.08, limit(STATE_BITS)
SMALL = GuidedConfig(samples=3, horizon=4, spread=0.4, decay=0.7)
COST = Sum((LatentDistance(), Avoid(margin=0.4, weight=3.0)))


@pytest.fixture
def policy(artifact: Artifact) -> DeltaPolicy:
    """A random policy in the integers of the random predictor; its latents are some hundreds of LSB."""
    return random_policy(artifact)


def random_policy(artifact: Artifact, places: bool = False) -> DeltaPolicy:
    torch.manual_seed(3)
    net = GoalPolicy(6, 2, action_limit=LIMIT, hidden=(16, 12), places=places)
    latent = 0.2 * torch.randn(400, 6)
    told = torch.cat([latent.flip(0), latent.roll(200, 0)][: 1 + places], 1)
    return DeltaPolicy(convert_policy(net, artifact, latent, told), action_limit=LIMIT)


def planner(artifact: Artifact, policy: DeltaPolicy, **more: Any) -> IntegerGuided:
    pair = Pair(DeltaPredictor(artifact), policy)
    return IntegerGuided(pair, SMALL, action_dim=2, action_limit=LIMIT, **more)


def toward_zero(x: int, bits: int) -> int:
    return x // 2**bits if x >= 0 else -(-x // 2**bits)


def plain(
    run: Callable[..., Any],
    networks: tuple[Artifact, Artifact],
    params: Any,
    start: Any,
    told: Any,
    places: Any,
    eps: Any,
    keep: bool,
) -> tuple[list[int], list[Any]]:
    """Costs and actions of each copy, one number after the other."""
    predictor, policy = networks
    costs, taken = [], []
    top, goal = params.limit * 2**params.action_shift, told[:6]
    for s in range(params.samples):
        z, states, cost, actions = start.copy(), [None, None], 0, []
        for t in range(params.horizon):
            done = run(policy, np.concatenate([z, told]), states[1])
            states[1] = done.state if keep else None
            action = []
            for a in range(params.action_dim):
                step = toward_zero(params.spread[t] * int(eps[s, a]), 8) * 2**params.action_shift
                action.append(min(max(int(done.value[a]) + step, -top), top))
            done = run(predictor, np.concatenate([z, action]), states[0])
            states[0] = done.state if keep else None
            z = np.clip(z + done.value, -TOP, TOP)
            far = min(int(sum(abs(int(x) - int(y)) for x, y in zip(z, goal, strict=True))), TOP)
            near = min(sum(abs(int(x) - int(y)) for x, y in zip(z, place, strict=True)) for place in places)
            margin = params.prices[1].settings["margin"]
            price = 3 * (max(0, margin - near) // 2**params.cost_shift)
            cost = min(cost + far // 2**params.cost_shift + price, TOP)
            actions.append(action)
        costs.append(cost)
        taken.append(actions)
    return costs, taken


@pytest.mark.parametrize(("reference", "told_places"), [("zero", False), ("previous_step", False), ("zero", True)])
def test_every_value_is_the_equations(
    reference: str, told_places: bool, artifact: Artifact, plain_pass: Callable[..., Any]
) -> None:
    """A policy that is told of places hears their mean, which the host makes of real latents."""
    rng, policy = np.random.default_rng(0), random_policy(artifact, told_places)
    ours = planner(artifact, policy, evaluator=COST, reference=reference)
    scale = ours.units.latent
    places = torch.from_numpy(rng.integers(-300, 300, (5, 2, 6)))
    drawn = torch.from_numpy(rng.integers(-300, 300, (2, 5, 6)))
    z, told, encoded = ours.encoded(drawn[0] * scale, Goal(drawn[1] * scale, places * scale))
    assert (encoded == places).all() and (z == drawn[0]).all() and (told[:, :6] == drawn[1]).all()
    assert told.shape[1] == (12 if told_places else 6)
    assert not told_places or (told[:, 6:] - places.double().mean(1)).abs().max() <= 0.5
    noise = ours.noise(5, torch.Generator().manual_seed(1))
    dtype = ours.network.network.dtype
    trace = ours.plan_integers(z.to(dtype), told.to(dtype), places.to(dtype), noise)
    assert noise[:, 0].abs().sum() == 0 < noise[:, 1:].abs().sum()
    for b in range(5):
        costs, actions = plain(
            plain_pass,
            (artifact, policy.artifact),
            ours.params(2),
            z[b].numpy(),
            told[b].long().numpy(),
            places[b].numpy(),
            noise[b].numpy(),
            reference == "previous_step",
        )
        assert trace.cost_BS[b].tolist() == costs and trace.actions_BSHA[b].tolist() == actions
        assert int(trace.winner_B[b]) == costs.index(min(costs))
    assert len(set(trace.winner_B.tolist())) > 1, "the perturbed copies must win sometimes"


def test_the_spiking_policy_acts_nearly_as_the_dense_one(artifact: Artifact) -> None:
    """Its actions are in the predictor's own LSB, and it sends fewer messages where thresholds are higher."""
    torch.manual_seed(3)
    net = GoalPolicy(6, 2, action_limit=LIMIT, hidden=(32, 32))
    latent = 0.2 * torch.randn(400, 6)
    z, goal = latent[:200, None], latent.flip(0)[:200]
    dense, _ = DensePolicy(net).act(z, goal)
    sent = []
    for thresholds, error in ((0.0, 0.05), (0.3, 0.15)):
        spiking = DeltaPolicy(
            convert_policy(net, artifact, latent, latent.flip(0), thresholds=thresholds), action_limit=LIMIT
        )
        action, counts = spiking.act(z, goal)
        assert (action - dense).abs().mean() < error * dense.abs().mean()
        sent.append(sum(layer.synops for layer in counts))
        assert spiking.artifact.scales == artifact.scales and counts[0].layer == "policy.code"
    assert sent[1] < sent[0] < 200 * net.linears()[0].weight.numel() + 200 * 32 * 34


def test_a_finished_plan_is_the_one_in_real_numbers_but_for_rounding(artifact: Artifact, policy: DeltaPolicy) -> None:
    """plan() takes and returns real numbers: the winner's action within the limit, the cost that a real cost has."""
    torch.manual_seed(4)
    ours = planner(artifact, policy, evaluator=COST)
    latent, goal, places = 0.2 * torch.randn(8, 6), 0.2 * torch.randn(8, 6), 0.2 * torch.randn(8, 1, 6)
    wanted = Goal(goal, places)
    action, plan, trace = ours.plan(latent, wanted, ours.noise(8, torch.Generator().manual_seed(2)))
    assert action.abs().max() <= LIMIT + 1e-6 and torch.equal(action, plan[:, 0])
    real = COST.cost(trace.latents_BSHD * ours.units.latent, trace.actions_BSHA * ours.units.action, wanted)
    whole = trace.cost_BS * 2 ** ours.params(1).cost_shift * ours.units.latent
    assert (real - whole).abs().max() < 0.05 * real.mean()


@pytest.mark.parametrize(
    ("cost", "message"),
    [
        (Avoid(margin=1e5), "margin of .* does not fit 24 bits"),
        (Sum((LatentDistance(), Effort(limit=LIMIT))), "cost Effort has no integer form"),
        (LatentDistance("mse"), "mse, sum has no integer form"),
        (Avoid(margin=0.4, weight=0.3), "weight 0 of avoid must be a whole number of at least 1"),
    ],
)
def test_a_cost_without_an_integer_form_is_one_line(
    cost: Any, message: str, artifact: Artifact, policy: DeltaPolicy
) -> None:
    ours = planner(artifact, policy, evaluator=cost)
    with pytest.raises(UserError, match=message):
        ours.params(1)


def test_networks_that_do_not_belong_together_are_refused(
    artifact: Artifact, policy: DeltaPolicy, make_predictor: Callable[..., Any]
) -> None:
    dense, _, _ = make_predictor()
    with pytest.raises(UserError, match="predictor DensePredictor runs in floating point"):
        IntegerGuided(Pair(DensePredictor(dense), policy), SMALL, action_dim=2, action_limit=LIMIT)
    other = policy.artifact.scales | {"action": 2e-5}
    policy.action_scale = other["action"]
    with pytest.raises(UserError, match="other scales"):
        planner(artifact, policy)
    with pytest.raises(UserError, match="reference 'mean_candidate' is not offered"):
        planner(artifact, policy, reference="mean_candidate")
    with pytest.raises(UserError, match="has 8 inputs and 6 outputs; convert both"):
        convert_policy(GoalPolicy(5, 2, action_limit=LIMIT), artifact, torch.randn(9, 5), torch.randn(9, 5))


def test_a_users_negative_price_is_refused_as_lava_refuses_it(
    artifact: Artifact, policy: DeltaPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Rebate:
        most = 100

        def step(self, z_SD: Any, action_SA: Any, goal: Any) -> Any:
            return np.full(len(z_SD), -1)

    class Discount:
        def cost(self, latents_BSHD: Any, actions_BSHA: Any, goal: Any) -> Any:
            return latents_BSHD.sum((-1, -2))

        def accumulates(self, **sizes: int) -> int:
            return 0

        def priced(self, units: Any) -> tuple[Priced, ...]:
            return (Priced(name="rebate"),)

    monkeypatch.setitem(PRICES._load(), "rebate", PriceKind(name="rebate", make=Rebate))
    ours = planner(artifact, policy, evaluator=Discount())
    z, goal = torch.zeros(2, 5, 6, dtype=ours.network.network.dtype)
    with pytest.raises(UserError, match=r"price rebate: step returned int64\(15,\); expected 15 whole numbers >= 0"):
        ours.plan_integers(z, goal, goal[:, None][:, :0], ours.noise(5, torch.Generator()))


def test_integers_hold_a_perturbation(artifact: Artifact, policy: DeltaPolicy) -> None:
    config = GuidedConfig(samples=3, horizon=4, correlation=0.5)
    ours = IntegerGuided(Pair(DeltaPredictor(artifact), policy), config, action_dim=2, action_limit=LIMIT)
    with pytest.raises(UserError, match="a perturbation is held; leave out --correlation"):
        ours.params(0)


def test_mirrored_copies_stray_in_pairs(artifact: Artifact, policy: DeltaPolicy) -> None:
    config = GuidedConfig(samples=6, horizon=4, mirrored=True)
    ours = IntegerGuided(Pair(DeltaPredictor(artifact), policy), config, action_dim=2, action_limit=LIMIT)
    noise = ours.noise(5, torch.Generator().manual_seed(1))
    assert (noise[:, 2::2] == -noise[:, 1:-1:2]).all() and noise[:, 1:].any(-1).all() and not noise[:, 0].any()
    assert ours.params(0).mirrored


def cost_to_go(artifact: Artifact) -> DeltaPolicy:
    """V of about -3 to 3."""
    torch.manual_seed(5)
    net = GoalPolicy(6, 1, action_limit=3.0, hidden=(8, 8))
    latent = 0.2 * torch.randn(400, 6)
    value = convert_policy(net, artifact, latent, latent.flip(0), prefix="value.")
    return DeltaPolicy(value, action_limit=3.0, output="value")


def test_a_cost_to_go_adds_what_it_tells_of_the_last_latent(artifact: Artifact, policy: DeltaPolicy) -> None:
    """Once, in units of the cost, with the rounding that is stated; its operations are booked."""
    value, weight = cost_to_go(artifact), 2.0
    pair = Pair(DeltaPredictor(artifact), policy, value)
    counts = OperationCounts(method="t", reference="zero", precision="int8", spiking=True)
    settings: dict[str, Any] = {"action_dim": 2, "action_limit": LIMIT}
    config = GuidedConfig(samples=4, horizon=4)
    without = IntegerGuided(pair, config, **settings)
    ours = IntegerGuided(pair, config.at(to_go=weight), **settings, op_counts=counts)
    torch.manual_seed(6)
    latent, goal = 0.2 * torch.randn(7, 6), 0.2 * torch.randn(7, 6)
    noise = ours.noise(7, torch.Generator().manual_seed(2))
    given = ours.encoded(latent, Goal(goal))
    plain, found = without.plan_integers(*given, noise), ours.plan_integers(*given, noise)
    r = ours.params(0)
    end = plain.latents_BSHD[:, :, -1]
    told, _, _ = value.advance(end.to(value.network.dtype), given[1][:, None].expand(-1, 4, -1), None)
    added = (found.cost_BS - plain.cost_BS).tolist()
    for b in range(7):
        for s in range(4):
            inside = min(max(int(told[b, s, 0]), -r.to_go_limit), r.to_go_limit)
            assert added[b][s] == r.to_go_weight * toward_zero(inside, r.to_go_shift)
    real = weight * told[..., 0].double() * value.output_scale / (ours.units.latent * 2**r.cost_shift)
    assert 64 <= r.to_go_weight <= 127 and (real - torch.tensor(added)).abs().max() < 0.01 * real.abs().max() + 128
    assert {layer for (_, layer, _, _), _ in counts.counts("predictor")} >= {"value.code", "value.h1", "value.out"}
    with pytest.raises(UserError, match="beyond 127 cost LSB; lower --to-go"):
        to_go_params(1e3, 0, 4.0, 10.0)
    with pytest.raises(UserError, match="this method has no cost-to-go"):
        IntegerGuided(Pair(DeltaPredictor(artifact), policy), config.at(to_go=weight), **settings)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((), r"priced returned \(\); expected a tuple of at least one Priced"),
        (Priced(name="distance"), "expected a tuple of at least one Priced"),
        ((Priced(name="distance", settings={"zz": 3}),), r"price distance: make takes no such settings \(zz=3\)"),
    ],
)
def test_an_integer_form_that_is_none_is_one_line(
    returned: Any, message: str, artifact: Artifact, policy: DeltaPolicy
) -> None:
    class Mine(LatentDistance):
        def priced(self, units: Any) -> Any:
            return returned

    with pytest.raises(UserError, match=message) as error:
        planner(artifact, policy, evaluator=Mine()).params(0)
    assert "\n" not in str(error.value)
