"""The policy's cost-to-go: what it is, how it is learned and kept, and that a plan with it charges what it takes."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from spikeplan.conversion.policy import convert_policy
from spikeplan.core.counts.operations import VALUE_PREFIX, LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig, RefinedConfig
from spikeplan.evaluation.aggregate import Run, group
from spikeplan.evaluation.bundle import derived, load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.base import Site
from spikeplan.evaluation.recorded_plans import record_refined
from spikeplan.evaluation.run_energy import hops_of_job, placements_of_run
from spikeplan.evaluation.shard import Job, run_job
from spikeplan.experiments.training.cost_to_go import imagined_states
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.worldmodel.checkpoint import shipped as shipped_file
from spikeplan.worldmodel.planning.costs import CostToGo, Goal, LatentDistance, Sum, Units, judge
from spikeplan.worldmodel.planning.guided import GuidedPlanner
from spikeplan.worldmodel.policies.base import GoalPolicy
from spikeplan.worldmodel.policies.cost_to_go import CostToGoConfig, costs_to_go, fit_cost_to_go
from spikeplan.worldmodel.policies.networks import DensePolicy
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.policies.policy_file import TO_GO, PolicyMeta, load_cost_to_go, load_policy, save_policy
from spikeplan.worldmodel.predictor import DensePredictor

TASK = "two-room"
HALVING: Any = SimpleNamespace(predictor=lambda z, action: 0.5 * z)  # whatever is done
REFINED = RefinedConfig(copies=2, samples=4, iterations=2, elites=2, horizon=3, to_go=0.5)


def policy_of(latent_dim: int = 3) -> GoalPolicy:
    torch.manual_seed(0)
    return GoalPolicy(latent_dim, 2, action_limit=1.0, hidden=(8,)).eval()


def pairs(number: int, latent_dim: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(number, latent_dim, generator=generator), torch.zeros(number, latent_dim)


def test_it_is_what_the_policy_still_pays() -> None:
    """Every step halves the distance: a half, a quarter, an eighth of it."""
    latent, goal = pairs(50)
    found = costs_to_go(HALVING, policy_of(), latent, goal, 3)
    assert torch.allclose(found, 0.875 * latent.abs().sum(1))


def test_a_network_learns_it_and_tells_no_more_than_it_saw() -> None:
    latent, goal = pairs(4000)
    config = CostToGoConfig(hidden=(32,), ahead=10, steps=500)
    generator = torch.Generator().manual_seed(0)
    net = fit_cost_to_go(HALVING, policy_of(), latent, goal, config, generator=generator, report=lambda *_: None)
    wanted, told = costs_to_go(HALVING, policy_of(), latent, goal, 10), net(latent, goal)[:, 0].detach()
    assert (told - wanted).abs().mean() < 0.1 * wanted.mean()
    assert net(100 * latent, goal).max() <= 1.26 * wanted.max()
    with pytest.raises(UserError, match="no state was recorded"):
        fit_cost_to_go(HALVING, policy_of(), latent[:0], goal[:0], config, generator=generator, report=lambda *_: None)


@lru_cache(maxsize=1)
def shipped() -> tuple[Any, GoalPolicy, GoalPolicy]:
    bundle = load_bundle(TASK)
    return bundle.model, bundle.policy(), bundle.cost_to_go()


def test_the_shipped_one_knows_states_that_it_was_not_fitted_to() -> None:
    """What refined planning imagines in other episodes."""
    model, policy, value = shipped()
    latent, goal = imagined_states(record_refined(model, policy, TASK, episodes=4, seed=77, every=6).rollouts)
    wanted = costs_to_go(model, policy, latent, goal, CostToGoConfig().ahead)
    told = value(latent, goal)[:, 0].detach()
    assert 1 - (told - wanted).var() / wanted.var() > 0.8


def test_a_cost_with_a_network_is_added_and_its_operations_are_booked() -> None:
    class Five:
        def act(self, latent_BSD: Tensor, goal_BD: Tensor) -> tuple[Tensor, list[LayerCounts]]:
            return latent_BSD.sum(-1, keepdim=True), [LayerCounts(layer="value.h1", macs=5)]

    network: Any = Five()
    to_go = CostToGo(network=network, weight=2.0)
    latents, goal = torch.ones(1, 2, 3, 4), Goal(torch.zeros(1, 4))
    counts = OperationCounts(method="x", reference="zero", precision="fp32", spiking=False)
    both = Sum((LatentDistance(), to_go))
    assert judge(both, latents, torch.zeros(1, 2, 3, 2), goal, counts, 1).tolist() == [[12 + 8, 12 + 8]]
    assert counts.counts("predictor")[0][0] == ("predictor", "value.h1", 1, None)
    assert counts.counts("predictor")[0][1].macs == 5
    assert to_go.accumulates(horizon=3, latent_dim=4, action_dim=2, keep_out=0) == 1
    sizes = {"horizon": 3, "latent_dim": 4, "action_dim": 2, "keep_out": 0}
    assert both.accumulates(**sizes) == LatentDistance().accumulates(**sizes) + 1


def ran(method: str, planner: GuidedConfig | RefinedConfig) -> Run:
    job = Job(task=TASK, method=method, role="front", planner=planner, episodes=1, count=1, threshold=1.0)
    return group([run_job(job)], [job])[0]


@pytest.mark.parametrize("method", ["refined-int8", "refined-sigma_delta"])
def test_every_candidate_is_judged_once_and_paid(method: str) -> None:
    """Copies, both plans to start from (not at the first step, which has no last plan) and every sample, in every action."""
    run = ran(method, REFINED)
    assert run.op_counts is not None and run.job.planner.label == "refined 2 + 4x2 H3 + 0.5 V"
    rows = {name: c for (_, name, _, _), c in run.op_counts.counts("predictor") if name.startswith(VALUE_PREFIX)}
    layers = [linear.weight.numel() for linear in shipped()[2].linears()]
    calls, dense, actions = 0, 0, run.op_counts.actions
    for (_, name, _, _), c in run.op_counts.counts("predictor"):
        if name == max(rows):  # one layer
            calls += c.calls
        dense += c.dense_macs if name.startswith(VALUE_PREFIX) else 0
    judged = (2 + 4 * 2) * actions + 2 * (actions - 1)
    assert calls == judged and dense == judged * sum(layers)
    without = ran(method, replace(REFINED, to_go=0.0)).op_counts
    assert without is not None and not any(n.startswith(VALUE_PREFIX) for (_, n, _, _), _ in without.counts())


def test_its_neurons_are_placed_with_the_loop_where_it_judges() -> None:
    run = ran("refined-sigma_delta", REFINED)
    hops = hops_of_job(run.job)
    assert hops is not None and {"value.code", "value.h1"} <= hops.hops["loihi2"]["loop"].keys()
    plain = ran("refined-sigma_delta", replace(REFINED, to_go=0.0))
    cores = [min(one.cores for one in placements_of_run(each)) for each in (run, plain)]
    assert cores[0] > cores[1]


def test_in_spikes_it_tells_the_same() -> None:
    value = shipped()[2]
    site = Site(load_bundle(TASK))
    data, predictor = site.calibration, site.bundle.artifact
    goal = data.latent_ND.flip(0)
    artifact = convert_policy(value, predictor, data.latent_ND, goal, prefix=VALUE_PREFIX)
    assert [layer.name for layer in artifact.layers] == ["value.code", "value.h1", "value.h2", "value.out"]
    spiking = DeltaPolicy(artifact, action_limit=value.action_limit, output="value")
    told, counts = spiking.act(data.latent_ND[:500, None], goal[:500])
    wanted = value(data.latent_ND[:500], goal[:500]).detach()
    assert (told[:, 0] - wanted).abs().mean() < 0.05 * wanted.mean()
    assert all(layer.layer.startswith(VALUE_PREFIX) for layer in counts)


def test_what_cannot_be_done_is_refused_in_one_line(tmp_path: Path) -> None:
    model, policy, value = shipped()
    without = Pair(DensePredictor(model.predictor), DensePolicy(policy))
    space: dict[str, Any] = {"action_dim": 2, "action_limit": 0.1}
    with pytest.raises(UserError, match="no cost-to-go; plan with --to-go 0"):
        GuidedPlanner(without, GuidedConfig(to_go=0.3), **space)
    with pytest.raises(UserError, match="change --to-go"):
        GuidedConfig(to_go=-1.0)
    with pytest.raises(UserError, match="cost-to-go: weight 0"):
        CostToGo(network=DensePolicy(value), weight=0)
    with pytest.raises(UserError, match="cost-to-go: it has no price a step"):
        CostToGo(network=DensePolicy(value), weight=1.0).priced(Units(1.0, 1.0))
    with pytest.raises(UserError, match="steps 0 must be at least 1"):
        CostToGoConfig(steps=0)
    latent_dim = model.predictor.latent_dim
    path = load_bundle(TASK).to_go_path
    with pytest.raises(UserError, match=r"cost-to-go\.safetensors: a cost-to-go, not a policy"):
        load_policy(path, task=TASK, latent_dim=latent_dim, action_dim=1)
    with pytest.raises(UserError, match="a policy, not a cost-to-go"):
        load_cost_to_go(path.with_name("two-room.policy.safetensors"), task=TASK, latent_dim=latent_dim)
    for kind in ("", ".cost-to-go"):
        shutil.copy(path.with_name(f"two-room{kind}.safetensors"), tmp_path)
    shutil.copy(path.with_name("two-room.policy.safetensors"), tmp_path)
    other = load_bundle(TASK, checkpoint=str(tmp_path / "two-room.safetensors"))
    assert torch.equal(other.cost_to_go().net[0].weight, value.net[0].weight)  # type: ignore[arg-type]
    again = PolicyMeta(task=TASK, recipe="cloned", config=CostToGoConfig(), source_sha256="0")
    save_policy(policy, other.beside("policy"), again)
    with pytest.raises(UserError, match=r"made with another policy than two-room\.policy\.safetensors; train it again"):
        other.cost_to_go()
    for limit in (0.0, -1.0, float("nan"), float("inf")):
        endless = GoalPolicy(latent_dim, 2, action_limit=limit, hidden=(4,))
        save_policy(endless, tmp_path / "p.safetensors", replace(again, recipe="cloned"))
        with pytest.raises(UserError, match="not above 0 and finite; train it again"):
            load_policy(tmp_path / "p.safetensors", task=TASK, latent_dim=latent_dim, action_dim=2)
    empty = GoalPolicy(latent_dim, 1, action_limit=1.0, hidden=(4,))
    torch.nn.init.zeros_(empty.linears()[0].weight)
    data = Site(load_bundle(TASK)).calibration
    with pytest.raises(UserError, match="value: the weights of a layer are all zero"):
        convert_policy(empty, load_bundle(TASK).artifact, data.latent_ND, data.latent_ND, prefix=VALUE_PREFIX)
    with pytest.raises(UserError, match="made for latents of 3"):
        meta = PolicyMeta(task=TASK, recipe=TO_GO, config=CostToGoConfig(), source_sha256="0")
        narrow = GoalPolicy(3, 1, action_limit=1.0, hidden=(4,))
        load_cost_to_go(save_policy(narrow, tmp_path / "v.safetensors", meta), task=TASK, latent_dim=latent_dim)


def test_a_method_without_such_a_file_is_told_so(tmp_path: Path) -> None:
    model = tmp_path / "two-room.safetensors"
    shutil.copy(shipped_file(TASK), model)
    for kind in ("delta", "policy"):
        shutil.copy(derived(shipped_file(TASK), kind), derived(model, kind))
    bundle = load_bundle(TASK, checkpoint=str(model))
    pair = METHODS["guided-sigma_delta"].predictor(Site(bundle))
    with pytest.raises(UserError, match="no cost-to-go; plan with --to-go 0, or make TASK.cost-to-go.safetensors"):
        GuidedPlanner(pair, GuidedConfig(to_go=0.3), action_dim=2, action_limit=0.08)  # type: ignore[arg-type]
    assert METHODS["guided-sigma_delta"].files(bundle)


def test_a_cost_of_another_shape_is_one_line() -> None:
    class Flat(LatentDistance):
        def cost(self, latents_BSHD: Any, actions_BSHA: Any, goal: Any) -> Any:
            return latents_BSHD.sum(-1)

    latents, goal = torch.zeros(2, 3, 4, 6), Goal(torch.zeros(2, 6))
    for cost in (Flat(), Sum((LatentDistance(), Flat()))):
        with pytest.raises(
            UserError, match=r"cost Flat: cost returned \(2, 3, 4\); expected \(2, 3\), one a candidate"
        ):
            judge(cost, latents, torch.zeros(2, 3, 4, 2), goal)
