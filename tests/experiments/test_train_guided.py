"""Networks for planning a task with another task's world model: made once, each from its own source, and read by its planner."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.core.files import file_digest
from spikeplan.evaluation.bundle import derived, load_bundle
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.methods.base import Site
from spikeplan.evaluation.network_files import header
from spikeplan.experiments.training import guided
from spikeplan.experiments.training.derive import DeriveConfig
from spikeplan.experiments.training.guided import _belong, guided_stage
from spikeplan.experiments.training.train_task import Stage
from spikeplan.snn.delta_policy import DeltaPolicy
from spikeplan.snn.finetune_delta import DeltaTraining
from spikeplan.snn.lif import LIFTraining
from spikeplan.worldmodel.checkpoint import shipped
from spikeplan.worldmodel.distil import Distillation
from spikeplan.worldmodel.policies.pair import Pair

DERIVE = DeriveConfig(
    guided_episodes=2,
    guided_widths=(8,),
    guided=DeltaTraining(steps=2, records=2, candidates=4),
    acting=DeltaTraining(steps=4, records=2),
    guided_lif=LIFTraining(steps=2),
    guided_distillation=Distillation(steps=2, short_steps=1),
)


def times(out: Path) -> dict[str, int]:
    return {str(path.relative_to(out)): path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}


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
    guided_stage(stage, "keep-out", "delta", lambda name, row: None)
    assert times(folder.parent) == made, "made once"
    first, second = bundle.acting_files(None)
    shutil.copy(first, second)
    with pytest.raises(UserError, match="two-room.cost-to-go-delta.safetensors: made as a policy, not a cost-to-go"):
        acting_of(Site(load_bundle("keep-out", checkpoint=str(folder))))
    second.unlink()
    with pytest.raises(
        UserError, match="two-room.cost-to-go-delta.safetensors: no such file; two-room.delta.* together"
    ):
        acting_of(Site(load_bundle("keep-out", checkpoint=str(folder))))
    guided_stage(stage, "keep-out", "delta", lambda name, row: None)
    assert all(when != made[name] for name, when in times(folder.parent).items() if "keep-out/two-room.delta." in name)
    policy_file, whole = stage.file("keep-out/policy"), stage.file("keep-out/policy").read_bytes()
    shutil.copy(stage.file("policy"), policy_file)  # of another purpose, and another digest
    assert not _belong(stage, "keep-out", None), "another dense policy: made again"
    policy_file.write_bytes(whole)
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
