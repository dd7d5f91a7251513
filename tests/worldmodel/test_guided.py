"""Policy-guided planning: the best copy acts, every operation is counted, and what cannot work is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, RefinedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.base import Site
from spikeplan.worldmodel.planning import PLANNERS
from spikeplan.worldmodel.planning.closed_loop import TrueLatent, run_episodes
from spikeplan.worldmodel.planning.costs import Avoid, Effort, Goal, LatentDistance, Sum
from spikeplan.worldmodel.planning.direct import DirectPlanner
from spikeplan.worldmodel.planning.guided import GuidedPlanner
from spikeplan.worldmodel.planning.refined import RefinedPlanner
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair, PolicyAlone
from spikeplan.worldmodel.predictor import TrueStatePredictor
from spikeplan.worldmodel.tasks import make_world

WORLD = make_world("two-room")
SPACE: dict[str, Any] = {"action_dim": 2, "action_limit": WORLD.action_limit}


class Straight(DensePolicy):
    """Walks straight at the goal: into the wall, unless a copy strays to the door."""

    def __init__(self) -> None:
        self.names, self.shapes = ["policy.h1"], [torch.Size([2, 4])]

    def act(self, latent_BSD: Tensor, goal_BD: Tensor) -> tuple[Tensor, list[LayerCounts]]:
        way = (goal_BD[:, None] - latent_BSD)[..., :2]
        return way.clamp(-WORLD.action_limit, WORLD.action_limit), []


def pair() -> Pair:
    return Pair(TrueStatePredictor(WORLD), Straight())


def test_copies_that_look_ahead_reach_more_than_the_policy_alone() -> None:
    episodes = WORLD.sample(40, np.random.default_rng(0))

    def won(planner: Any) -> int:
        return int(run_episodes(WORLD, TrueLatent(), planner, episodes, seed=1).success_N.sum())

    alone = won(DirectPlanner(PolicyAlone(Straight()), DirectConfig(), **SPACE))
    one = won(GuidedPlanner(pair(), GuidedConfig(samples=1, horizon=12), **SPACE))
    many = won(GuidedPlanner(pair(), GuidedConfig(samples=32, horizon=12, spread=1.5, decay=0.95), **SPACE))
    refined = won(RefinedPlanner(pair(), RefinedConfig(samples=32, iterations=2, horizon=12, chunk=2), **SPACE))
    assert alone == one < min(many, refined) and max(many, refined) >= 30


def test_the_copy_with_the_least_cost_acts() -> None:
    planner = GuidedPlanner(pair(), GuidedConfig(samples=6, horizon=3), **SPACE)
    latent, goal = torch.tensor([[0.2, 0.2, 0.5]] * 4), torch.tensor([[0.4, 0.3, 0.5]] * 4)
    noise = planner.noise(4, torch.Generator().manual_seed(0))
    action, plan, trace = planner.plan(latent, goal, noise)
    assert (noise[:, 0] == 0).all() and torch.equal(trace.winner_B, trace.cost_BS.argmin(1))
    own = LatentDistance().cost(trace.latents_BSHD, None, goal)
    assert torch.equal(own, trace.cost_BS)
    for i in range(4):
        assert torch.equal(action[i], trace.actions_BSHA[i, trace.winner_B[i], 0]) and torch.equal(
            action[i], plan[i, 0]
        )


def test_every_operation_of_copies_and_policy_is_counted() -> None:
    """By hand: 3 copies x 4 steps of policy and predictor, for 5 episodes."""
    site = Site(load_bundle("two-room"))
    both = METHODS["guided"].predictor(site)
    counts = OperationCounts(method="guided", reference="zero", precision="fp32", spiking=False)
    planner = PLANNERS["guided"].make(both, GuidedConfig(samples=3, horizon=4), op_counts=counts, **SPACE)
    latent = torch.randn(5, 32)
    planner.plan(latent, latent.flip(0), planner.noise(5, torch.Generator().manual_seed(0)))
    macs = {c.layer: 0 for _, c in counts.counts("predictor")}
    for _, c in counts.counts("predictor"):
        macs[c.layer] += c.macs
    weights = {
        name: sum(m.weight.numel() for m in net.linears())
        for name, net in (("policy", site.bundle.policy()), ("predictor", site.bundle.model.predictor))
    }
    assert sum(n for name, n in macs.items() if name.startswith("policy.")) == 5 * 3 * 4 * weights["policy"]
    assert sum(n for name, n in macs.items() if not name.startswith("policy.")) == 5 * 3 * 4 * weights["predictor"]


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_a_perturbation_is_white_or_coloured(correlation: float) -> None:
    config = GuidedConfig(samples=4, horizon=6, correlation=correlation)
    eps = GuidedPlanner(pair(), config, **SPACE).noise(4000, torch.Generator().manual_seed(0))
    assert eps.shape == (4000, 4, 6, 2) and (eps[:, 0] == 0).all()
    stray = eps[:, 1:]
    assert stray.std((0, 1, 3)).allclose(torch.ones(6), atol=0.03), "as wide at every step"
    for gap in (1, 2):
        after = (stray[:, :, :-gap] * stray[:, :, gap:]).mean().item()
        assert after == pytest.approx(correlation**gap, abs=0.02)


def test_a_step_of_the_perturbation_moves_the_action_of_that_step() -> None:
    config = GuidedConfig(samples=2, horizon=3, correlation=0.0, spread=0.5, decay=1.0)
    planner = GuidedPlanner(pair(), config, **SPACE)
    latent = torch.tensor([[0.2, 0.2, 0.5]])
    eps = torch.zeros(1, 2, 3, 2)
    eps[0, 1, 1, 0] = 1.0
    actions = planner.plan(latent, latent, eps)[2].actions_BSHA[0]
    assert actions[0].abs().max() == 0, "at its goal the policy rests"
    assert actions[1, 0].abs().max() == 0 and actions[1, 1, 0].item() == pytest.approx(0.5 * WORLD.action_limit)


def test_mirrored_copies_stray_to_opposite_sides() -> None:
    planner = GuidedPlanner(pair(), GuidedConfig(samples=6, horizon=3, mirrored=True), **SPACE)
    eps = planner.noise(5, torch.Generator().manual_seed(0))
    assert torch.equal(eps[:, 2], -eps[:, 1]) and torch.equal(eps[:, 4], -eps[:, 3])
    assert (eps[:, 0] == 0).all() and (eps[:, 5] != 0).all() and not torch.equal(eps[:, 1], eps[:, 3])


def test_the_refined_planner_hands_its_copies_their_perturbation() -> None:
    config = RefinedConfig(
        samples=6, elites=2, iterations=1, horizon=4, chunk=2, copies=3, correlation=0.5, mirrored=True
    )
    planner = RefinedPlanner(pair(), config, **SPACE)
    latent, goal = torch.tensor([[0.2, 0.2, 0.5]] * 4), torch.tensor([[0.4, 0.3, 0.5]] * 4)
    noise = planner.noise(4, torch.Generator().manual_seed(0))
    guided = planner.plan(latent, goal, noise)[2].guided
    alone = planner.guided.plan(latent, goal, noise[:, : 3 * 4 * 2].unflatten(1, (3, 4, 2)))[2]
    assert torch.equal(guided.actions_BSHA, alone.actions_BSHA)


@pytest.mark.parametrize("warm", [False, True])
def test_every_future_that_is_refined_is_judged_and_charged(warm: bool) -> None:
    """3 copies and 6 candidates; with a last plan, both plans to start from, too. A distance takes 2 x 3 accumulates a step."""
    counts = OperationCounts(method="dense", reference="zero", precision="fp32", spiking=False)
    config = RefinedConfig(samples=6, elites=2, iterations=1, horizon=4, chunk=2, copies=3)
    planner = RefinedPlanner(pair(), config, op_counts=counts, **SPACE)
    latent, goal = torch.tensor([[0.2, 0.2, 0.5]] * 4), torch.tensor([[0.4, 0.3, 0.5]] * 4)
    noise = planner.noise(4, torch.Generator().manual_seed(0))
    planner.plan(latent, goal, noise, torch.zeros(4, 2, 2) if warm else None)
    judged = sum(c.acs for (_, layer, _, _), c in counts.counts("evaluation") if layer == "distance")
    assert judged == 4 * (3 + 6 + 2 * warm) * 4 * 2 * 3
    passes = {key[2] for key, _ in counts.counts("evaluation")}
    assert passes == ({0, 1, 2} if warm else {0, 2}), "booked apart: dense weights are read once a pass"
    assert config.evaluations == 4 * (3 + 2 + 6)


def test_an_anytime_plan_gets_no_worse_and_ends_as_the_whole_one() -> None:
    planner = GuidedPlanner(pair(), GuidedConfig(samples=5, horizon=12, spread=1.5, decay=0.95), **SPACE)
    episodes = WORLD.sample(40, np.random.default_rng(0))
    latent, goal = (TrueLatent()(pose, episodes.layout_NL) for pose in (episodes.start_NP, episodes.goal_NP))
    noise = planner.noise(40, torch.Generator().manual_seed(0))
    action, _, trace = planner.plan(latent, goal, noise)
    answers = list(planner.anytime(latent, goal, noise))
    costs = torch.stack([cost for _, cost in answers])
    assert len(answers) == 5 and (costs[1:] <= costs[:-1]).all() and (costs[-1] < costs[0]).any()
    assert torch.equal(answers[-1][0], action) and torch.equal(costs[-1], trace.cost_BS.amin(1))


@pytest.mark.parametrize("reference,alone", [("mean_candidate", "previous_step"), ("previous_candidate", "zero")])
def test_copies_that_do_the_same_send_no_more_than_one(reference: str, alone: str) -> None:
    """Without a perturbation the mean copy does what every copy does, and each does what the last one did: three copies cost the
    messages of one, the policy's among them. The mean's own pass runs on previous_step; the first in order starts from zero."""
    site = Site(load_bundle("two-room"))
    both = METHODS["guided-sigma_delta"].predictor(site)
    latent, goal = site.calibration.latent_ND[:4], site.calibration.latent_ND[40:44]

    def planned(samples: int, on: str) -> tuple[Tensor, int]:
        counts = OperationCounts(method="x", reference=on, precision="int8", spiking=True)
        config = GuidedConfig(samples=samples, horizon=4, spread=0.0)
        planner = GuidedPlanner(both, config, reference=on, op_counts=counts, **SPACE)  # type: ignore[arg-type]
        action = planner.plan(latent, goal, planner.noise(4, torch.Generator().manual_seed(0)))[0]
        return action, sum(c.synops for _, c in counts.counts("predictor"))

    three, one = planned(3, reference), planned(1, alone)
    assert torch.equal(three[0], one[0]) and three[1] == one[1] > 0


class Sevenfold(LatentDistance):
    """A cost of one's own that says what it takes."""

    booked: Any = 7

    def accumulates(self, **sizes: int) -> Any:
        assert sizes == {"horizon": 4, "latent_dim": 32, "action_dim": 2, "keep_out": 0}
        return self.booked


@pytest.mark.parametrize(
    ("method", "planner"), [("guided", "guided"), ("dense", "cem"), ("guided-integer", "integer_guided")]
)
def test_what_a_cost_says_that_it_takes_is_booked(method: str, planner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = METHODS[method].predictor(Site(load_bundle("two-room")))
    counts = OperationCounts(method=method, reference="zero", precision="fp32", spiking=predictor.spiking)
    config = (
        CEMConfig(samples=3, elites=1, iterations=1, horizon=4)
        if planner == "cem"
        else GuidedConfig(samples=3, horizon=4)
    )
    made = PLANNERS[planner].make(predictor, config, op_counts=counts, evaluator=Sevenfold(), **SPACE)
    latent = torch.randn(5, 32, generator=torch.Generator().manual_seed(0))
    made.plan(latent, latent.flip(0), made.noise(5, torch.Generator().manual_seed(0)))
    evaluated = [c for _, c in counts.counts("evaluation")]
    if predictor.spiking:  # a neuron for every two
        assert sum(c.synops for c in evaluated) == sum(c.updates for c in evaluated) == (5 * 3 * 7 + 1) // 2
    else:
        assert sum(c.acs for c in evaluated) == 5 * 3 * 7
    monkeypatch.setattr(Sevenfold, "booked", 0.5)
    with pytest.raises(UserError, match="cost Sevenfold: accumulates returned 0.5; expected a whole number >= 0"):
        made.plan(latent, latent.flip(0), made.noise(5, torch.Generator().manual_seed(0)))


def test_costs_by_hand_and_added_up() -> None:
    latents = torch.tensor([[[[0.0, 0.0], [3.0, 0.0]]]])  # one candidate, two steps
    actions = torch.tensor([[[[0.1, 0.0], [0.0, 0.2]]]])
    goal = Goal(torch.tensor([[3.0, 1.0]]), torch.tensor([[[1.0, 0.0], [9.0, 9.0]]]))
    far, near, effort = LatentDistance(), Avoid(margin=1.5, weight=10.0), Effort(limit=0.2, weight=2.0)
    assert far.cost(latents, actions, goal).item() == 4.0 + 1.0
    assert near.cost(latents, actions, goal).item() == 10 * 0.5, "1 from the first place at step 1, 2 at step 2"
    assert effort.cost(latents, actions, goal).item() == pytest.approx(2 * (0.25 + 1.0))
    whole = Sum((far, near, effort))
    assert whole.cost(latents, actions, goal).item() == pytest.approx(12.5)
    assert whole.accumulates(horizon=2, latent_dim=2, action_dim=2, keep_out=2) == 8 + 2 * 2 * 5 + 8
    with pytest.raises(UserError, match="no image of a place to keep out of was given"):
        near.cost(latents, actions, Goal(goal.goal_BD))
    for wrong in ({"margin": 0.0}, {"margin": 1.0, "weight": -1.0}, {"margin": float("nan")}):
        with pytest.raises(UserError, match="avoid: "):
            Avoid(**wrong)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GuidedConfig(samples=0), "guided: samples 0"),
        (lambda: GuidedConfig(horizon=0), "guided: horizon 0"),
        (lambda: GuidedConfig(spread=float("nan")), "guided: spread nan"),
        (lambda: GuidedConfig(decay=1.5), "guided: decay 1.5"),
        (lambda: GuidedConfig().at(iterations=2), "guided: no setting iterations"),
        (lambda: DirectConfig().at(samples=2), "has no budget; leave out --samples"),
        (lambda: RefinedConfig(copies=0), "guided: samples 0"),
        (lambda: GuidedPlanner(TrueStatePredictor(WORLD), GuidedConfig(), **SPACE), "this method has no policy"),  # type: ignore[arg-type]
        (lambda: GuidedPlanner(pair(), CEMConfig(), **SPACE), "settings of another planner"),  # type: ignore[arg-type]
        (lambda: RefinedPlanner(pair(), CEMConfig(), **SPACE), "settings of another planner"),  # type: ignore[arg-type]
        (
            lambda: GuidedPlanner(pair(), GuidedConfig(), reference="previous_iteration", **SPACE),
            "looks back at an iteration, of which there is one",
        ),
        (lambda: DirectPlanner(pair(), DirectConfig(), **SPACE), "no policy that acts alone"),  # type: ignore[arg-type]
        (lambda: PolicyAlone(Straight()).step(torch.zeros(1), torch.zeros(1), None), "imagines nothing"),
    ],
)
def test_what_cannot_be_planned_is_refused(make: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        make()


def test_a_latent_that_is_not_finite_is_refused_wherever_it_lies() -> None:
    planner = GuidedPlanner(pair(), GuidedConfig(), **SPACE)
    good, noise = torch.zeros(1, 3), planner.noise(1, torch.Generator())
    bad = torch.full((1, 3), float("nan"))
    for latent, goal in ((bad, good), (good, bad), (good, Goal(good, bad[:, None]))):
        with pytest.raises(UserError, match="not finite"):
            planner.plan(latent, goal, noise)
