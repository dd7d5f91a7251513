"""A policy for a task with another task's world model: told of its places, cloned from its teacher, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

from spikeplan.evaluation.bundle import derived, load_bundle
from spikeplan.experiments.training.derive import DeriveConfig
from spikeplan.experiments.training.told import told_stage
from spikeplan.experiments.training.train_task import Stage
from spikeplan.snn.lif_policy import LIFPolicyTraining
from spikeplan.worldmodel.checkpoint import shipped
from spikeplan.worldmodel.policies import PolicyConfig
from spikeplan.worldmodel.policies.cost_to_go import CostToGoConfig
from spikeplan.worldmodel.policies.policy_file import FILE, PolicyMeta, load_cost_to_go, save_policy


def test_a_task_with_a_teacher_gets_a_policy_that_is_told_of_its_places(tmp_path: Path) -> None:
    """Alone it is the task's policy, and another task's does not change; made once from the cost-to-go beside it."""
    checkpoint = tmp_path / "two-room.safetensors"
    shutil.copy(shipped("two-room"), checkpoint)
    for kind in ("policy", "cost-to-go"):
        shutil.copy(derived(shipped("two-room"), kind), derived(checkpoint, kind))
    derive = DeriveConfig(
        told=PolicyConfig(hidden=(8, 8), episodes=2, steps=2, rows=4),
        policy_episodes=2,
        policy_training=LIFPolicyTraining(steps=2, rows=4),
        validation_episodes=2,
    )
    stage, rows = Stage("told", checkpoint, derive, ()), []
    path = stage.file("keep-out/policy")

    def made() -> bytes:
        rows.clear()
        told_stage(stage, "keep-out", lambda name, row: rows.append(name))
        return path.read_bytes()

    assert load_bundle("keep-out", checkpoint=str(checkpoint)).policy_path == stage.file("policy")
    first = made()
    assert "keep-out/policy data" in rows
    policy = load_bundle("keep-out", checkpoint=str(checkpoint)).policy()
    assert policy.places and policy.linears()[0].in_features == 3 * policy.latent_dim and policy.hidden == (8, 8)
    assert not load_bundle("two-room", checkpoint=str(checkpoint)).policy().places
    assert FILE.header(path)["recipe"].startswith("cloned from RefinedConfig(samples=32, iterations=3")
    lif, net = stage.file("keep-out/policy-lif"), load_bundle("keep-out", checkpoint=str(checkpoint)).lif_policy
    assert net.places and net.network.w1.in_features == 3 * policy.latent_dim and rows.count("policy-lif") == 2
    assert load_bundle("two-room", checkpoint=str(checkpoint)).lif_policy_path == stage.file("policy-lif")
    spikes = lif.read_bytes()
    assert made() == first and rows == [] and lif.read_bytes() == spikes, "made once"
    value = stage.file("cost-to-go")
    known = FILE.header(value)
    meta = PolicyMeta(
        task="two-room", recipe=known["recipe"], config=CostToGoConfig(), source_sha256=known["source_sha256"]
    )
    save_policy(load_cost_to_go(value, task="two-room", latent_dim=policy.latent_dim), value, meta)
    assert made() != first and "policy-lif" in rows and lif.read_bytes() != spikes, "of another cost-to-go"
    told_stage(stage, "two-room", lambda name, row: rows.append(name))
    assert not stage.file("two-room/policy").exists(), "a task without a teacher gets none"
