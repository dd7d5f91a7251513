"""`spikeplan train`: every stage for real in its own process, at a size of seconds; resumed stage by stage."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.network_files import POLICY_LIF, header, load_narrow
from spikeplan.evaluation.threshold_search import Choice
from spikeplan.experiments.cli import train as command
from spikeplan.experiments.runner.pool import run_reporting
from spikeplan.experiments.training.derive import DeriveConfig
from spikeplan.experiments.training.train_task import Stage, run_stage, train_task, train_world_model
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.snn.lif import LIFTraining
from spikeplan.snn.lif_policy import LIFPolicyTraining
from spikeplan.worldmodel.checkpoint import shipped
from spikeplan.worldmodel.distil import Distillation
from spikeplan.worldmodel.policies import PolicyConfig
from spikeplan.worldmodel.policies.cost_to_go import CostToGoConfig
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
