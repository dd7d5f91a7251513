"""`spikeplan train`: every stage for real in its own process, at a size of seconds; resumed stage by stage."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.files import file_digest
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import derived, load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.base import Site
from spikeplan.evaluation.network_files import POLICY_LIF, header, load_narrow
from spikeplan.evaluation.threshold_search import Choice
from spikeplan.experiments.cli import train as command
from spikeplan.experiments.runner.pool import run_reporting
from spikeplan.experiments.training import guided
from spikeplan.experiments.training.derive import DeriveConfig
from spikeplan.experiments.training.guided import guided_stage
from spikeplan.experiments.training.train_task import Stage, run_stage, train_task, train_world_model
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.snn.lif import LIFTraining
from spikeplan.snn.lif_policy import LIFPolicyTraining
from spikeplan.worldmodel.checkpoint import shipped
from spikeplan.worldmodel.distil import Distillation
from spikeplan.worldmodel.policies import PolicyConfig
from spikeplan.worldmodel.policies.cost_to_go import CostToGoConfig
from spikeplan.worldmodel.policies.pair import Pair
from spikeplan.worldmodel.policies.policy_file import PolicyMeta, save_policy
from spikeplan.worldmodel.prune import zero_share
from spikeplan.worldmodel.train import TrainConfig

TINY = TrainConfig(
    task="planar-reach",
    seed=3,
    steps=4,
    schedule_steps=4,
    batch=8,
    latent_dim=8,
    hidden=(16, 16),
    validate_every=2,
    validation_episodes=2,
    planner=CEMConfig(samples=8, iterations=2, elites=2, horizon=6),
)
DERIVE = DeriveConfig(
    record_episodes=2,
    delta=DeltaTraining(steps=2, records=2, candidates=4),
    guided_episodes=2,
    cost_to_go=CostToGoConfig(hidden=(8, 8), episodes=2, steps=2, ahead=2),
    guided=DeltaTraining(steps=2, records=2, candidates=4),
    acting=DeltaTraining(steps=4, records=2),
    guided_lif=LIFTraining(steps=2),
    guided_widths=(8,),
    guided_distillation=Distillation(steps=2, short_steps=1),
    lif_training=LIFTraining(steps=2),
    narrow_widths=(8,),
    distillation=Distillation(steps=2, short_steps=2),
    pruned_percent=(50,),
    pruning=Distillation(steps=2, short_steps=2),
    choice=Choice(factors=(1.0,), references=("zero",), episodes=4, block=2),
    policy=PolicyConfig(hidden=(8, 8), episodes=2, rounds=1, steps=2, rows=4),
    policy_plans=GuidedConfig(samples=2, horizon=2),
    policy_episodes=2,
    policy_training=LIFPolicyTraining(steps=2, rows=4),
    told=PolicyConfig(hidden=(8, 8), episodes=2, steps=2, rows=4),
    validation_episodes=2,
)
FILES = [
    "",
    ".cost-to-go",
    ".cost-to-go-lif",
    ".delta",
    ".delta-8",
    ".lif",
    ".narrow-8",
    ".policy",
    ".policy-lif",
    ".pruned-50",
]


def times(out: Path) -> dict[str, int]:
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}


@pytest.mark.slow
def test_every_stage_leaves_a_file_that_loads_and_is_made_once(tmp_path: Path) -> None:
    reported: list[tuple[str, dict[str, Any]]] = []
    found = train_task(TINY, DERIVE, tmp_path, report=lambda stage, row: reported.append((stage, row)), workers=2)
    made = times(tmp_path)
    assert sorted(made) == sorted(f"planar-reach{kind}.safetensors" for kind in FILES)
    checkpoint = str(tmp_path / "planar-reach.safetensors")
    bundle = load_bundle("planar-reach", checkpoint=checkpoint)
    assert bundle.artifact.layers[-1].n_out == 8 and bundle.lif.w1.in_features == 10
    assert load_narrow(tmp_path / "planar-reach.narrow-8.safetensors").hidden == (8, 8)
    pruned = load_narrow(tmp_path / "planar-reach.pruned-50.safetensors")
    assert pruned.hidden == (16, 16) and zero_share(pruned) == pytest.approx(0.5, abs=0.01)
    trained = bundle.artifact
    assert trained.reference == "zero"
    assert trained.provenance["trained_thresholds_lsb"] == {la.name: la.threshold_lsb for la in trained.layers}
    assert found["delta"]["chosen"]["episodes"] in (2, 4) and set(found["narrow_validation_success"]) == {8}
    assert set(found["pruned_validation_success"]) == {50}
    stages = {stage for stage, _ in reported}
    assert {"world model", "dense validation", "delta thresholds", "delta-8 thresholds"} <= stages

    again = train_task(TINY, DERIVE, tmp_path, report=lambda stage, row: None, workers=1)
    assert again == found and times(tmp_path) == made

    other = replace(DERIVE, choice=replace(DERIVE.choice, factors=(0.5,)))
    train_task(TINY, other, tmp_path, report=lambda stage, row: None, workers=1)
    changed = {name for name, when in times(tmp_path).items() if when != made[name]}
    assert changed == {"planar-reach.delta.safetensors", "planar-reach.delta-8.safetensors"}
    finer = load_bundle("planar-reach", checkpoint=checkpoint).artifact
    half = max(1 << finer.layers[1].shift, round(trained.layers[1].threshold_lsb * 0.5))
    assert finer.layers[1].threshold_lsb == half

    before = times(tmp_path)
    train_task(replace(TINY, seed=4), other, tmp_path, report=lambda stage, row: None, workers=1)
    assert all(when != before[name] for name, when in times(tmp_path).items()), "nothing of another seed is kept"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped networks that a task with another's world model starts from; returns the world model's path."""
    model = tmp_path / "two-room.safetensors"
    shutil.copy(shipped("two-room"), model)
    (tmp_path / "keep-out").mkdir()
    for kind in ("delta", "policy", "cost-to-go", "keep-out/policy"):
        shutil.copy(derived(shipped("two-room"), kind), derived(model, kind))
    return model


@pytest.mark.slow
def test_a_task_that_uses_another_s_model_gets_a_network_of_its_own(folder: Path) -> None:
    """Trained on its own plans and costs; its planner then reads that file, and another task's does not."""
    before = load_bundle("keep-out", checkpoint=str(folder))
    assert before.guided_path == before.artifact_path, "without one, the plain network"
    stage, rows = Stage("guided", folder, DERIVE, ()), []
    guided_stage(stage, "keep-out", "delta", lambda name, row: rows.append((name, row["step"], "imitation" in row)))
    assert rows == [("keep-out/delta", 2, True), ("keep-out/delta", 4, True)], (
        "every other step is of the policy acting in it"
    )
    bundle = load_bundle("keep-out", checkpoint=str(folder))
    assert bundle.guided_path == folder.with_name("keep-out") / "two-room.delta.safetensors"
    assert bundle.guided_artifact.provenance["task"] == "keep-out" and bundle.guided_artifact.synapses > 0
    other = load_bundle("two-room", checkpoint=str(folder))
    assert other.guided_path == other.artifact_path
    named = load_bundle("keep-out", checkpoint=str(folder), artifact=str(folder.with_name("mine.safetensors")))
    assert named.guided_path.name == "mine.safetensors"
    made = times(folder.parent)
    guided_stage(stage, "keep-out", "delta", lambda name, row: None)
    assert times(folder.parent) == made, "made once"


@pytest.mark.slow
def test_policy_and_cost_to_go_are_fine_tuned_together_with_the_predictor(folder: Path) -> None:
    """They are what its spiking methods act and judge with, in the predictor's integers, and of no use beside another one."""
    stage = Stage("guided", folder, DERIVE, ())
    site = Site(load_bundle("keep-out", checkpoint=str(folder)))
    converted, plain = (part.network for part in acting_of(site))
    guided_stage(stage, "keep-out", "delta", lambda name, row: None)
    bundle = load_bundle("keep-out", checkpoint=str(folder))
    names = ["two-room.policy-delta.safetensors", "two-room.cost-to-go-delta.safetensors"]
    assert [path.name for path in bundle.acting_files(None)] == names
    assert set(bundle.acting_files(None)) < set(METHODS["guided-sigma_delta"].files(bundle))
    policy, value = acting_of(Site(bundle))
    assert policy.artifact.scales["latent"] == bundle.guided_artifact.scales["latent"] == value.latent_scale
    assert policy.places and policy.action_limit == bundle.policy().action_limit
    for tuned, before in ((policy.network, converted), (value.network, plain)):
        assert not torch.equal(tuned.weight_t[1], before.weight_t[1])
    named = load_bundle("keep-out", checkpoint=str(folder), artifact=str(derived(folder, "delta-128")))
    assert named.acting_files(None) == [], "a network that the user named has a policy converted for it"
    assert load_bundle("two-room", checkpoint=str(folder)).acting_files(None) == []
    made = times(folder.parent)
    bundle.acting_files(None)[1].unlink()
    guided_stage(stage, "keep-out", "delta", lambda name, row: None)
    assert all(when != made[name] for name, when in times(folder.parent).items() if "keep-out/two-room.delta." in name)
    shutil.copy(derived(shipped("two-room"), "delta"), stage.file("keep-out/delta"))
    with pytest.raises(
        UserError, match="made together with another network than two-room.delta.safetensors; train both"
    ):
        acting_of(Site(load_bundle("keep-out", checkpoint=str(folder))))


def acting_of(site: Site) -> tuple[DeltaPolicy, DeltaPolicy]:
    pair = METHODS["guided-sigma_delta"].predictor(site)
    assert isinstance(pair, Pair) and isinstance(pair.policy, DeltaPolicy) and isinstance(pair.value, DeltaPolicy)
    return pair.policy, pair.value


@pytest.mark.slow
def test_such_a_task_gets_a_lif_predictor_of_its_own(folder: Path) -> None:
    """Fitted to what the policy's copies imagine; its own planner's methods read it, those of the world model's task do not."""
    stage, rows = Stage("guided", folder, DERIVE, ()), []
    guided_stage(stage, "keep-out", "lif", lambda name, row: rows.append((name, row["step"])))
    assert rows == [("keep-out/lif", 1), ("keep-out/lif", 2)]
    bundle = load_bundle("keep-out", checkpoint=str(folder))
    assert bundle.guided_lif_path == stage.file("keep-out/lif") in METHODS["guided-lif"].files(bundle)
    assert bundle.guided_lif.w1.in_features == 34
    assert load_bundle("two-room", checkpoint=str(folder)).guided_lif_path == stage.file("lif")
    made = times(folder.parent)
    guided_stage(stage, "keep-out", "lif", lambda name, row: None)
    assert times(folder.parent) == made, "made once"


@pytest.mark.slow
def test_such_a_task_gets_narrow_networks_of_its_own_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense and sigma-delta, on the same records, planned once; each is made again when its source or its recipe changes."""
    recorded: list[str] = []
    record = guided.record_refined
    monkeypatch.setattr(
        guided, "record_refined", lambda *args, **more: (recorded.append(args[2]), record(*args, **more))[1]
    )
    guided.records_of.cache_clear()
    stage, rows = Stage("guided", folder, DERIVE, ()), []
    for size in ("delta", "narrow-8"):
        guided_stage(stage, "keep-out", size, lambda name, row: rows.append((name, row["step"], row["total_steps"])))
    narrow, delta = "keep-out/narrow-8", "keep-out/delta-8"
    assert rows[2:] == [(narrow, 1, 3), (narrow, 2, 3), (narrow, 3, 3), (delta, 2, 4), (delta, 4, 4)]
    assert recorded == ["keep-out"]
    bundle = load_bundle("keep-out", checkpoint=str(folder))
    assert bundle.guided_narrow(8).hidden == (8, 8)
    artifact = bundle.guided_narrow_artifact(8)
    assert [layer.n_out for layer in artifact.layers] == [34, 8, 8, 32]
    assert header(stage.file(narrow))["source_sha256"] == file_digest(stage.file("keep-out/policy"))
    assert artifact.provenance["source_sha256"] == file_digest(stage.file(narrow))
    made = times(folder.parent)

    def named(file: str) -> str:
        return str(stage.file(file).relative_to(folder.parent))

    def changed(config: DeriveConfig) -> set[str]:
        guided_stage(replace(stage, config=config), "keep-out", "narrow-8", lambda name, row: None)
        now = times(folder.parent)
        again = {name for name, when in now.items() if when != made[name]}
        made.update(now)
        return again

    assert changed(DERIVE) == set(), "made once"
    other = replace(DERIVE, acting=replace(DERIVE.acting, rate_weight=0.1))
    spiking = {named(delta), named("keep-out/policy-delta-8"), named("keep-out/cost-to-go-delta-8")}
    assert changed(other) == spiking, "the dense network stands"
    finer = replace(other, guided_distillation=replace(DERIVE.guided_distillation, steps=1))
    assert changed(finer) == {named(narrow), *spiking}, "and what was derived from it"
    first = stage.file(narrow).read_bytes(), stage.file(delta).read_bytes()
    stage.file(narrow).unlink()
    stage.file(delta).unlink()
    guided_stage(replace(stage, config=finer), "keep-out", "narrow-8", lambda name, row: None)
    assert (stage.file(narrow).read_bytes(), stage.file(delta).read_bytes()) == first, "the same bytes again"


def test_the_lif_policy_is_made_once_from_the_policy_beside_it(tmp_path: Path) -> None:
    """Again where its settings or the policy have changed, the same from the same seed, and no other file is touched."""
    for kind in ("", ".policy"):
        name = f"planar-reach{kind}.safetensors"
        shutil.copy(shipped("planar-reach").with_name(name), tmp_path / name)
    checkpoint = tmp_path / "planar-reach.safetensors"
    before = times(tmp_path)
    rows: list[tuple[str, int]] = []

    def made(derive: DeriveConfig = DERIVE) -> bytes:
        rows.clear()
        stage = Stage(POLICY_LIF, checkpoint, derive, ())
        run_stage(stage, lambda name, row: rows.append((name, row["step"])))
        return stage.file(POLICY_LIF).read_bytes()

    first = made()
    assert rows == [(POLICY_LIF, 1), (POLICY_LIF, 2)]
    bundle = load_bundle("planar-reach", checkpoint=str(checkpoint))
    policy = bundle.policy()
    assert bundle.lif_policy.network.w1.in_features == 2 * policy.latent_dim
    assert bundle.lif_policy.action_limit == policy.action_limit
    assert bundle.lif_policy.network.config == DERIVE.policy_spikes
    assert 0 <= header(bundle.beside(POLICY_LIF))["validation_success"] <= 1
    assert made() == first and rows == [], "made once"
    other = replace(DERIVE, policy_training=replace(DERIVE.policy_training, steps=3))
    assert made(other) != first and len(rows) == 3
    assert made() == first and len(rows) == 2, "all randomness is from the seed"
    meta = PolicyMeta(task="planar-reach", recipe="mine", config=PolicyConfig(), source_sha256="", validation_success=0)
    save_policy(policy, bundle.beside("policy"), meta)
    assert made() != first and len(rows) == 2, "of another policy file"
    assert {name for name, when in times(tmp_path).items() if before.get(name) == when} == {"planar-reach.safetensors"}


def test_a_policy_of_other_depth_is_refused_before_anything_is_trained() -> None:
    with pytest.raises(UserError, match=r"hidden \(8,\): its LIF form has exactly 2 hidden layers"):
        replace(DERIVE, policy=PolicyConfig(hidden=(8,)))


@pytest.mark.slow
def test_a_stage_that_fails_in_its_process_is_not_swallowed(tmp_path: Path) -> None:
    checkpoint = tmp_path / "planar-reach.safetensors"
    shutil.copy(shipped("planar-reach"), checkpoint)
    impossible = replace(DERIVE, record_episodes=1, lif_training=LIFTraining(steps=2, rollout=50))
    stages = [(Stage(name, checkpoint, impossible, ()),) for name in ("lif", "narrow-8")]
    with pytest.raises(RuntimeError, match="random_"):
        run_reporting(run_stage, stages, lambda stage, row: None, workers=2)


@pytest.mark.slow
def test_the_spread_plans_reported_episodes_with_each_seeds_own_networks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "recipe", lambda task, seed: replace(TINY, seed=seed))
    monkeypatch.setattr(command, "DeriveConfig", lambda **changes: replace(DERIVE, **changes))
    monkeypatch.setattr(command, "SPREAD_EPISODES", 3)
    console = Console(quiet=True)
    command.train_command("planar-reach", seed=5, seeds=2, out=str(tmp_path), steps=None, console=console)
    spread = json.loads((tmp_path / "planar-reach-spread.json").read_text())
    assert [row["seed"] for row in spread["seeds"]] == [5, 6]
    for row in spread["seeds"]:
        assert (
            set(row["methods"]) == {"dense", "int8", "sigma_delta", "lif"}
            and row["methods"]["sigma_delta"]["synop_share"] > 0
        )
    assert not list(tmp_path.glob("*/*.narrow-*")) and not list(tmp_path.glob("*/*.pruned-*"))


def test_a_signal_takes_effect_between_two_steps_and_the_resumed_run_has_the_same_bytes(tmp_path: Path) -> None:
    whole, part = tmp_path / "whole.safetensors", tmp_path / "part.safetensors"
    train_world_model(TINY, tmp_path, whole, lambda stage, row: None)
    handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    seen: list[int] = []

    def interrupt(stage: str, row: dict[str, Any]) -> None:
        seen.append(row["step"])
        if row["step"] == 3:
            signal.raise_signal(signal.SIGTERM)
            seen.append(0)  # what was begun goes on

    try:
        with pytest.raises(KeyboardInterrupt):
            train_world_model(TINY, tmp_path, part, interrupt)
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert (tmp_path / "unfinished.pt").exists() and not part.exists()
    train_world_model(TINY, tmp_path, part, lambda stage, row: seen.append(row["step"]))
    assert seen == [1, 2, 3, 0, 4] and part.read_bytes() == whole.read_bytes()
