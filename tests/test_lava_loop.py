"""The planning loop in Lava equals the integer reference in everything it computes, plan after plan."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from lava_procs.planning import PlanParams
from lava_procs.session import LavaSession
from snn.delta_predictor import DeltaPredictor
from snn.integer_cem import IntegerCEM, Registers
from spec.artifact import Artifact, save
from spec.noise import candidate_noise
from worldmodel.planner import CEMConfig

CONFIG = CEMConfig(samples=16, iterations=3, elites=4, horizon=6, chunk=2)


@pytest.fixture
def artifact(make_chain) -> Artifact:
    return make_chain(
        np.random.default_rng(5), (8, 24, 20, 6), shifts=(2, 3, 3, 0), thresholds=(4, 8, 8), weight_exps=(0, 0, 0),
        latent_scale=1e-3, action_scale=1.1e-5,
    )  # fmt: skip


def params(r: Registers, *, latent_dim: int, action_dim: int) -> PlanParams:
    return PlanParams.of(
        asdict(r) | {"deviation_factor": r.deviation_factor, "warm_factor": r.warm_factor, "latent_dim": latent_dim,
                     "action_dim": action_dim}
    )  # fmt: skip


@pytest.mark.parametrize("axis", ["none", "rollout"])
def test_every_register_of_every_plan_equals_the_reference(axis: str, artifact: Artifact, tmp_path: Path) -> None:
    reference = IntegerCEM(DeltaPredictor(artifact), CONFIG, action_dim=2, action_limit=0.08, axis=axis)
    plan = params(reference.registers, latent_dim=6, action_dim=2)
    path = save(artifact, tmp_path / "net.safetensors")
    rng = np.random.default_rng(1)
    dtype = reference.predictor.network.dtype  # type: ignore[attr-defined]
    with LavaSession.open(path, plan, timeout_s=60, workdir=tmp_path / "run", axis=axis) as session:
        mean = None
        for number in range(4):
            fresh = number in (0, 2)
            z, goal, seed = rng.integers(-3000, 3000, 6), rng.integers(-3000, 3000, 6), int(rng.integers(1 << 24))
            action, found = session.plan(z, goal, seed, fresh=fresh)
            noise = torch.from_numpy(candidate_noise(np.array([seed]), 16, 3, 2)).long()
            warm = None if fresh or mean is None else reference.shift(mean)
            mean, trace = reference.plan_integers(
                torch.from_numpy(z)[None].to(dtype), torch.from_numpy(goal)[None].to(dtype), noise, warm, record=True
            )
            assert (found.cost_IS == trace.cost_IBS[:, 0].numpy()).all(), number
            assert (found.elite_IS == trace.elite_IBS[:, 0].numpy()).all()
            assert (found.mean_IVA == trace.mean_IBVA[:, 0].numpy()).all()
            assert (found.spread_IVA == trace.spread_IBVA[:, 0].numpy()).all()
            assert trace.latents_IBSHD is not None
            assert (found.path_IHSD == trace.latents_IBSHD[:, 0].transpose(1, 2).numpy()).all()
            assert (action == mean[0, 0].numpy()).all()
            assert found.saturated_I.sum() == 0 and (found.messages_IL > 0).all()
    assert np.ptp(found.cost_IS) > 0 and found.spread_IVA.max() > plan.least_spread
