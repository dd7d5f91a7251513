"""The shipped LIF policies: methods that plan with them, files that are refused, placements of policy and predictor."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import DirectConfig, GuidedConfig, RefinedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.aggregate import group
from spikeplan.evaluation.bundle import Bundle, load_bundle
from spikeplan.evaluation.methods import METHODS, Site
from spikeplan.evaluation.network_files import POLICY_LIF, header, load_lif, save_lif
from spikeplan.evaluation.run_energy import energy_rows, hops_of_job, placed_rows, placements_of_run
from spikeplan.evaluation.shard import Job, run_job
from spikeplan.snn.lif import LIFConfig, LIFNetwork
from spikeplan.worldmodel.checkpoint import shipped

TASK = "two-room"
SMALL = GuidedConfig(samples=2, horizon=3)


def job(method: str, planner: Any = SMALL, count: int = 2) -> Job:
    return Job(task=TASK, method=method, role="headline", planner=planner, episodes=count, count=count)


@pytest.mark.parametrize("task", ["two-room", "planar-reach"])
def test_the_shipped_policy_acts_as_the_dense_one_does(task: str) -> None:
    """On recorded latents, within two fifths of what an action is on average; zeros are a whole away."""
    from spikeplan.evaluation.recorded_plans import record_guided

    bundle = load_bundle(task)
    asked = record_guided(bundle.model, bundle.policy(), episodes=4, seed=77, config=SMALL)
    action = bundle.lif_policy.act(asked.latent_ND[:, None], asked.told_NG)[0][:, 0]
    assert (action - asked.action_NA).abs().mean() < 0.4 * asked.action_NA.abs().mean()
    assert action.abs().max() <= bundle.policy().action_limit
    made = header(bundle.beside(POLICY_LIF))
    assert made["task"] == task and made["validation_success"] >= 0.9


def test_the_shipped_cost_to_go_tells_what_the_dense_one_does(tmp_path: Path) -> None:
    """On recorded latents: a tenth of the variance is lost at most; and of another cost-to-go it is refused."""
    from spikeplan.evaluation.recorded_plans import record_guided

    bundle = load_bundle(TASK)
    asked = record_guided(bundle.model, bundle.policy(), episodes=4, seed=77, config=SMALL)
    with torch.no_grad():
        dense = bundle.cost_to_go()(asked.latent_ND, asked.told_NG)[:, 0]
    told, counts = bundle.lif_cost_to_go.act(asked.latent_ND[:, None], asked.told_NG)
    assert (told[:, 0, 0] - dense).square().mean() < 0.1 * dense.var()
    assert {c.layer.partition(".")[0] for c in counts} == {"value"}
    other = copied(tmp_path)
    for kind in ("cost-to-go", "cost-to-go-lif", "policy"):
        shutil.copy(bundle.beside(kind), other.beside(kind))
    assert METHODS["guided-lif"].files(other)[-1] == other.beside("policy")
    path = other.beside("cost-to-go-lif")
    save_lif(load_lif(path, kind="cost-to-go-lif"), path, kind="cost-to-go-lif", source_sha256="another")
    with pytest.raises(
        UserError, match="made from another network than two-room.cost-to-go.safetensors; train it again"
    ):
        METHODS["guided-lif"].predictor(Site(other))
    path.unlink()
    assert METHODS["guided-lif"].predictor(Site(load_bundle(TASK, checkpoint=str(other.model_path)))).value is None  # type: ignore[attr-defined]


def test_it_is_counted_and_placed_with_what_it_judges() -> None:
    planned = job("guided-lif", SMALL.at(to_go=0.3))
    (run,) = group([run_job(planned)], [planned])
    assert run.op_counts is not None and run.op_counts.value_steps == (5, 2)
    calls = sum(c.calls for (_, layer, _, _), c in run.op_counts.counts("predictor") if layer == "value.h1")
    assert calls == run.op_counts.actions * SMALL.samples, "once a copy"
    hops = hops_of_job(planned)
    assert hops is not None and hops.hops["loihi2"]["loop"]["value.out"] > 0


def test_the_policy_alone_solves_the_task() -> None:
    result = run_job(job("policy-lif", DirectConfig(), 20))
    assert sum(result.success) >= 16
    assert result.op_counts is not None and result.op_counts.spiking
    assert (result.op_counts.sequential_steps, result.op_counts.interleaved_steps) == (2 + 3, 2)


@pytest.mark.parametrize(
    "method,steps",
    [
        ("guided-lif", ((7 + 5, 4 + 2), (5, 2))),
        ("guided-lif-int8", ((7, 4), None)),
        ("guided-sigma_delta-lif", ((4 + 5, 1 + 2), (5, 2))),
    ],
)
def test_guided_planning_counts_and_places_policy_and_predictor(method: str, steps: Any) -> None:
    planned = job(method)
    (run,) = group([run_job(planned)], [planned])
    counts = run.op_counts
    assert counts is not None and run.spiking
    assert ((counts.sequential_steps, counts.interleaved_steps), counts.policy_steps) == steps
    calls = {layer: 0 for (_, layer, _, _), _ in counts.counts("predictor")}
    for (_, layer, _, _), c in counts.counts("predictor"):
        calls[layer] += c.calls
    assert calls["h1"] == calls["policy.h1"] == counts.actions * SMALL.evaluations
    hops, options = hops_of_job(planned), placements_of_run(run)
    on_chip = hops.hops["loihi2"]["loop"] if hops is not None else {}
    assert ("policy.h1" in on_chip) == (steps[1] is not None) and on_chip["h1"] >= 0
    assert options and {one.replicas for one in options} == {1, 2}
    rows = energy_rows(run, None, scopes=("system",), extents=("loop",))
    assert {row.device for row in rows} >= {"loihi2"}
    assert bool(placed_rows(run)) == (run.method.artifact is not None)


def test_refined_planning_takes_it_too_and_is_placed_with_its_policy() -> None:
    planned = job("refined-lif", RefinedConfig(copies=2, samples=4, iterations=1, elites=2, horizon=3), 1)
    (run,) = group([run_job(planned)], [planned])
    hops, options = hops_of_job(planned), placements_of_run(run)
    assert hops is not None and {"policy.h1", "h1"} <= hops.hops["loihi2"]["loop"].keys()
    assert {one.replicas for one in options} == {1, 2, 4}, "as many as the search has candidates"
    with pytest.raises(UserError, match="a policy alone imagines nothing"):
        run_job(replace(planned, method="policy-lif", planner=CEMConfig(samples=4, elites=2), with_planner="cem"))


def copied(folder: Path) -> Bundle:
    for kind in ("", f".{POLICY_LIF}", ".lif"):
        name = f"{TASK}{kind}.safetensors"
        shutil.copy(shipped(TASK).with_name(name), folder / name)
    return load_bundle(TASK, checkpoint=str(folder / f"{TASK}.safetensors"))


def test_a_file_that_does_not_fit_is_refused_in_one_line(tmp_path: Path) -> None:
    bundle = copied(tmp_path)
    path = bundle.beside(POLICY_LIF)
    net = load_lif(path, kind=POLICY_LIF)

    def refused(message: str) -> None:
        with pytest.raises(UserError, match=message) as error:
            METHODS["policy-lif"].predictor(Site(copied_again()))
        assert "\n" not in str(error.value) and str(path) in str(error.value)

    def copied_again() -> Bundle:
        return load_bundle(TASK, checkpoint=str(bundle.model_path))

    save_lif(net, path, kind=POLICY_LIF, task="planar-reach")
    refused("a policy for task planar-reach, not two-room")
    save_lif(LIFNetwork(66, (8, 8), 2, LIFConfig()), path, kind=POLICY_LIF, task=TASK)
    refused("66 inputs and 2 outputs, the world model needs 64 and 2")
    save_lif(LIFNetwork(64, (8, 8), 3, LIFConfig()), path, kind=POLICY_LIF, task=TASK)
    refused("64 inputs and 3 outputs")
    with torch.no_grad():
        net.w2.weight[0, 0] = float("nan")
    save_lif(net, path, kind=POLICY_LIF, task=TASK)
    refused("weights are not finite; train it again")
    shutil.copy(bundle.beside("lif"), path)
    refused("no policy-lif")
    path.write_bytes(path.read_bytes()[:100])
    refused("truncated or not a safetensors file")
    path.unlink()
    refused("no such file; make it with")
