"""Guided and refined planning with a narrow predictor: which file is read, and that both sides plan with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.guided_planning import GuidedConfig, PlannerConfig, RefinedConfig
from spikeplan.evaluation.bundle import Bundle, derived, load_bundle
from spikeplan.evaluation.methods import METHODS, Site
from spikeplan.evaluation.methods.policy import spiking_policy
from spikeplan.evaluation.shard import Job, run_job
from spikeplan.worldmodel.checkpoint import shipped

FILES = {
    "guided-narrow-96": ("narrow-96", "keep-out/narrow-96"),
    "refined-narrow-96": ("narrow-96", "keep-out/narrow-96"),
    "refined-sigma_delta-96": ("delta-96", "keep-out/delta-96"),
}


def bundle_with(folder: Path, *kinds: str) -> Bundle:
    """Of keep-out, beside these derived networks alone."""
    model = folder / "two-room.safetensors"
    shutil.copy(shipped("two-room"), model)
    for kind in ("policy", "keep-out/policy", *kinds):
        file = derived(model, kind)
        file.parent.mkdir(exist_ok=True)
        shutil.copy(derived(shipped("two-room"), kind), file)
    return load_bundle("keep-out", checkpoint=str(model))


@pytest.mark.parametrize("method", FILES)
def test_a_task_s_own_narrow_network_is_read_where_there_is_one(tmp_path: Path, method: str) -> None:
    """Else the world model's. A cached result hangs on the file that is read, and on the policy's."""
    plain, own = FILES[method]
    bundle = bundle_with(tmp_path, plain)
    before = METHODS[method].files(bundle)
    assert before == [bundle.model_path, bundle.beside(plain), bundle.beside("keep-out/policy")]
    assert bundle.borrowed(before) == [bundle.beside(plain)], "it stands in"
    digest = bundle.digest(before)
    bundle_with(tmp_path, own)
    after = METHODS[method].files(bundle)
    assert after == [bundle.model_path, bundle.beside(own), bundle.beside("keep-out/policy")]
    assert bundle.borrowed(after) == []
    assert bundle.digest(after) != digest
    other = load_bundle("two-room", checkpoint=str(bundle.model_path))
    assert METHODS[method].files(other)[1] == bundle.beside(plain), "another task does not read it"


def test_a_model_of_its_own_task_reads_nothing_from_a_folder_of_that_name(tmp_path: Path) -> None:
    """Such a folder is another run's, as `spikeplan train --out` leaves them."""
    bundle = bundle_with(tmp_path)
    assert bundle.policy_path == bundle.beside("keep-out/policy")
    other = load_bundle("two-room", checkpoint=str(bundle.model_path))
    other.beside("two-room/policy").parent.mkdir()
    shutil.copy(bundle.policy_path, other.beside("two-room/policy"))
    assert other.policy_path == other.beside("policy") and not other.policy().places


def test_a_task_with_a_policy_of_its_own_is_not_planned_with_another_s(tmp_path: Path) -> None:
    bundle = bundle_with(tmp_path)
    bundle.beside("keep-out/policy").unlink()
    with pytest.raises(UserError, match=r"keep-out/two-room.policy.safetensors: no such file; .* --task two-room`"):
        bundle.policy()


def test_what_is_loaded_is_the_file_that_was_named(tmp_path: Path) -> None:
    """The bytes of the task's own network, which are not those of the world model's; the policy shares its integers."""
    bundle = bundle_with(tmp_path, "narrow-96", "delta-96")
    weight, scales = bundle.guided_narrow(96).linears()[0].weight, bundle.guided_narrow_artifact(96).scales
    assert spiking_policy(Site(bundle), 96).artifact.scales == scales
    bundle_with(tmp_path, "keep-out/narrow-96", "keep-out/delta-96", "keep-out/policy-delta-96")
    own = bundle.guided_narrow_artifact(96)
    assert not (bundle.guided_narrow(96).linears()[0].weight == weight).all()
    assert own.provenance["task"] == "keep-out" and own.layers[0].shift >= 0 and own.scales != scales
    assert spiking_policy(Site(bundle), 96).artifact.scales == own.scales
    bundle.beside("keep-out-two/x").parent.mkdir()
    foreign = Bundle("keep-out-two", bundle.model_path, bundle.artifact_path)
    shutil.copy(bundle.guided_delta_path(96), bundle.beside("keep-out-two/delta-96"))
    with pytest.raises(UserError, match="converted for task keep-out, not keep-out-two"):
        foreign.guided_narrow_artifact(96)


@pytest.mark.parametrize(
    ("method", "planner"),
    [
        ("guided-narrow-128", GuidedConfig(samples=8, horizon=12, spread=0.8, decay=0.9)),
        *(
            (method, RefinedConfig(samples=24, iterations=2, elites=4, horizon=12, chunk=2, spread=0.5, decay=0.9))
            for method in (
                "refined-narrow-96",
                "refined-narrow-128",
                "refined-sigma_delta-96",
                "refined-sigma_delta-128",
            )
        ),
    ],
)
def test_every_narrow_network_plans_round_a_disc(method: str, planner: PlannerConfig) -> None:
    """The policy alone reaches none of these 10 goals. Operations are those of the narrow network, not of the whole one."""
    done = run_job(Job(task="keep-out", method=method, role="front", planner=planner, episodes=10, count=10))
    assert sum(done.success) >= 5
    width = int(method.rpartition("-")[2])
    assert done.op_counts is not None and done.op_counts.spiking == METHODS[method].spiking
    rows = {row.layer: row for row in done.op_counts.rows("interleaved" if METHODS[method].spiking else "batched")}
    assert rows["h2"].dense_macs % width**2 == 0 and rows["h2"].weight_bytes >= width**2
