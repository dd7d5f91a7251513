"""The Lava method on the shipped networks repeats the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from spikeplan.core.errors import UserError
from spikeplan.core.ir import artifact as artifact_file
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.lava.replay import program_of, run_lava_method
from spikeplan.evaluation.recorded_plans import record_plans
from spikeplan.evaluation.shard import EPISODE_SEED, make_op_counts, make_predictor
from spikeplan.lava_procs import compare, replay
from spikeplan.worldmodel.planning.get_cost import CostModel
from spikeplan.worldmodel.predictor import DensePredictor
from spikeplan.worldmodel.tasks import make_world

TASK = "planar-reach"


@pytest.fixture(scope="module")
def short_plan():
    """One recorded plan, thinned to 6 candidates."""
    plans = record_plans(load_bundle(TASK).model, episodes=1, seed=EPISODE_SEED, every=20)
    thin = {"candidates_NISHA": plans.candidates_NISHA[:, :, :6], "latents_NISHD": plans.latents_NISHD[:, :, :6]}
    return replace(plans, **thin, cost_NIS=plans.cost_NIS[:, :, :6])


@pytest.mark.parametrize(
    "reference", ["zero", "previous_step", "previous_candidate", "mean_candidate", "previous_iteration"]
)
def test_lava_repeats_the_reference_on_every_reference(reference: str, short_plan, tmp_path: Path) -> None:
    found = run_lava_method(
        load_bundle(TASK).artifact,
        short_plan,
        task=TASK,
        threshold=1.0,
        reference=reference,
        workdir=tmp_path,
        timeout_s=600,
    )
    assert found.values_compared > 50_000 and found.values_different == 0


def test_one_weight_bit_is_noticed(short_plan, tmp_path: Path) -> None:
    """The comparison fails when a single weight differs in its lowest bit."""
    artifact = load_bundle(TASK).artifact
    passes, golden = program_of(artifact, short_plan, reference="previous_step", iterations=1)
    hidden = artifact.layers[1]
    column = int(np.abs(golden.messages["code"]).sum(0).argmax())
    weight = hidden.weight.copy()  # type: ignore[union-attr]
    weight[0, column] ^= 1
    flipped = replace(artifact, layers=(artifact.layers[0], replace(hidden, weight=weight), *artifact.layers[2:]))
    path = artifact_file.save(flipped, tmp_path / "flipped.safetensors")
    assert compare(golden, replay(path, passes, timeout_s=600, workdir=tmp_path)).values_different > 0


def test_program_follows_the_batched_predictor(job: Any, short_plan) -> None:
    """Passes one by one on a single instance give the latents of the batched predictor, on every reference."""
    artifact = load_bundle(TASK).artifact
    from spikeplan.evaluation.recorded_plans import rerun
    from spikeplan.snn.delta_predictor import DeltaPredictor

    for reference in ("zero", "previous_step", "mean_candidate", "previous_iteration", "previous_candidate"):
        op_counts = make_op_counts(
            job("sigma_delta", reference=reference), make_predictor(job("sigma_delta", reference=reference))
        )
        batched = (
            rerun(DeltaPredictor(artifact), short_plan, reference, op_counts)[0, :2, :, -1] / artifact.scales["latent"]
        )
        _, trace = program_of(artifact, short_plan, reference=reference)
        start = (short_plan.latent_ND[0] / artifact.scales["latent"]).round().numpy()
        changes = trace.value.shape[0]
        horizon, samples = short_plan.candidates_NISHA.shape[3], 6
        means = {"mean_candidate": (1, 1), "previous_iteration": (1, 0)}.get(reference, (0, 0))
        row = 0
        for i in range(2):
            total = np.tile(start, (samples, 1))
            order = (
                short_plan.candidates_NISHA[0, i, :, 0, 0].argsort().tolist()
                if reference == "previous_candidate"
                else range(samples)
            )
            for _ in range(horizon):
                row += means[i]
                for s in order:
                    total[s] += trace.value[row]
                    row += 1
            np.testing.assert_array_equal(total, batched[i].double().round().numpy())
        assert row == changes


def test_get_cost_follows_the_planner_contract(short_plan) -> None:
    model = load_bundle(TASK).model
    world = make_world(TASK)
    episodes = world.sample(1, np.random.default_rng(EPISODE_SEED))
    info = {
        "image": world.render(episodes.start_NP, episodes.layout_NL),
        "goal": world.render(episodes.goal_NP, episodes.layout_NL),
    }
    candidates = short_plan.candidates_NISHA[:1, 0]
    cost_model = CostModel(model.encoder, DensePredictor(model.predictor))
    cost = cost_model.get_cost(info, candidates)
    np.testing.assert_allclose(cost.numpy(), short_plan.cost_NIS[:1, 0].numpy(), rtol=1e-3)
    # What the upstream solver sends: "pixels", every entry repeated over the samples, with and without a time axis.
    assert next(cost_model.parameters()).dtype == torch.float32
    s = candidates.shape[1]
    for time_axis in (False, True):
        images = {"pixels": torch.from_numpy(info["image"]), "goal": torch.from_numpy(info["goal"])}
        if time_axis:
            images = {k: torch.stack([torch.zeros_like(v), v], 1) for k, v in images.items()}
        sent = {k: v[:, None].expand(-1, s, *v.shape[1:]) for k, v in images.items()}
        assert torch.equal(cost_model.get_cost(sent, candidates), cost)
    with pytest.raises(UserError, match="no 'pixels' or 'image'"):
        cost_model.get_cost({"goal": info["goal"]}, candidates)
