"""The planning loop in Lava equals the integer reference in everything it computes, plan after plan."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir.artifact import Artifact, save
from spikeplan.core.noise import candidate_noise
from spikeplan.core.planning import CEMConfig, PlanParams
from spikeplan.lava_procs.planning import LAYOUTS
from spikeplan.lava_procs.session import LavaSession
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning.integer_cem import IntegerCEM

CONFIG = CEMConfig(samples=16, iterations=3, elites=4, horizon=6, chunk=2)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("reference", ["zero", "previous_step"])
def test_every_register_of_every_plan_equals_the_reference(
    reference: str, layout: str, artifact: Artifact, tmp_path: Path
) -> None:
    golden = IntegerCEM(DeltaPredictor(artifact), CONFIG, action_dim=2, action_limit=0.08, reference=reference)
    plan = golden.params
    path = save(artifact, tmp_path / "net.safetensors")
    rng = np.random.default_rng(1)
    dtype = golden.predictor.network.dtype  # type: ignore[attr-defined]
    with LavaSession.open(
        path, plan, timeout_s=600, workdir=tmp_path / "run", reference=reference, layout=layout
    ) as session:
        mean = None
        for number in range(4):
            fresh = number in (0, 2)
            z, goal, seed = rng.integers(-3000, 3000, 6), rng.integers(-3000, 3000, 6), int(rng.integers(1 << 24))
            action, found = session.plan(z, goal, seed, fresh=fresh)
            noise = torch.from_numpy(candidate_noise(np.array([seed]), 16, 3, 2)).long()
            warm = None if fresh or mean is None else golden.shift(mean)
            mean, trace = golden.plan_integers(
                torch.from_numpy(z)[None].to(dtype), torch.from_numpy(goal)[None].to(dtype), noise, warm, record=True
            )
            assert (found.cost_IS == trace.cost_IBS[:, 0].numpy()).all(), number
            assert (found.elite_IS == trace.elite_IBS[:, 0].numpy()).all()
            assert (found.mean_IVA == trace.mean_IBVA[:, 0].numpy()).all()
            assert (found.spread_IVA == trace.spread_IBVA[:, 0].numpy()).all()
            assert trace.latents_IBSHD is not None
            assert (found.path_IHSD == trace.latents_IBSHD[:, 0].transpose(1, 2).numpy()).all()
            assert (action == mean[0, 0].numpy()).all()
            assert (found.messages_IL > 0).all()
    assert np.ptp(found.cost_IS) > 0 and found.spread_IVA.max() > plan.least_spread


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_clipping_is_counted(layout: str, artifact: Artifact, tmp_path: Path) -> None:
    """A latent next to the end of its width, a goal at the other end: z, the distance and the cost are clipped."""
    op_counts = OperationCounts(method="delta", reference="zero", precision="int8", spiking=True)
    golden = IntegerCEM(DeltaPredictor(artifact), CONFIG, action_dim=2, action_limit=0.08, op_counts=op_counts)
    top = limit(STATE_BITS)
    z, goal = np.full(6, top - 2), np.full(6, -top)
    path = save(artifact, tmp_path / "net.safetensors")
    plan = golden.params
    with LavaSession.open(path, plan, timeout_s=600, workdir=tmp_path / "run", layout=layout) as session:
        _, found = session.plan(z, goal, 7)
        _, usual = session.plan(np.zeros(6, np.int64), goal // 100, 7)
    dtype = golden.predictor.network.dtype  # type: ignore[attr-defined]
    noise = torch.from_numpy(candidate_noise(np.array([7]), 16, 3, 2)).long()
    _, trace = golden.plan_integers(
        torch.from_numpy(z)[None].to(dtype), torch.from_numpy(goal)[None].to(dtype), noise, None
    )
    in_network = sum(counts.saturated for _, counts in op_counts.counts("predictor"))
    assert trace.saturated > 0 and in_network > 0
    assert found.saturated_I.sum() == trace.saturated + in_network
    assert (found.cost_IS == trace.cost_IBS[:, 0].numpy()).all()
    assert 0 < usual.saturated_I.sum() < in_network, "messages are clipped; no latent, distance or cost is"


def plain_floats(
    artifact: Artifact, p: PlanParams, z: np.ndarray, goal: np.ndarray, seed: int
) -> dict[str, np.ndarray]:
    """One plan in floating point, candidate by candidate, from the equations of lava_procs/planning.py."""
    e = candidate_noise(np.array([seed]), p.samples, p.variables, p.action_dim)[0] / 256.0
    mu, w = np.zeros((p.variables, p.action_dim)), np.full((p.variables, p.action_dim), float(p.start_spread))
    costs, mus, ws = [], [], []
    for _ in range(p.iterations):
        u = [np.clip(mu + w * e[s], -p.limit, p.limit) for s in range(p.samples)]
        cost = []
        for s in range(p.samples):
            x, j = z.astype(float), 0.0
            for t in range(p.horizon):
                signal = np.concatenate([x, u[s][t // p.chunk] * 2.0**p.action_shift])
                for before, layer in pairwise(artifact.layers):
                    sent = np.where(np.abs(signal) >= before.threshold_lsb, signal / 2.0**before.shift, 0.0)
                    assert layer.weight is not None and layer.bias is not None
                    signal = layer.weight.astype(float) * 2.0**layer.weight_exp @ sent + layer.bias
                    signal = np.maximum(signal, 0) if layer.act == "relu" else signal
                x = x + signal / 2.0 ** artifact.layers[-1].shift
                j += np.abs(x - goal).sum() / 2.0**p.cost_shift
            cost.append(j)
        best = [u[s] for s in sorted(range(p.samples), key=lambda s: cost[s])[: p.elites]]
        mu = sum(best) / p.elites
        w = np.maximum(sum(abs(b - mu) for b in best) * p.deviation_factor / 256.0, p.least_spread)
        costs.append(cost)
        mus.append(mu)
        ws.append(w)
    return {"cost": np.array(costs), "mean": np.array(mus), "spread": np.array(ws)}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_floating_loop_equals_plain_floats(layout: str, artifact: Artifact, tmp_path: Path) -> None:
    plan = IntegerCEM(DeltaPredictor(artifact), CONFIG, action_dim=2, action_limit=0.08).params
    path = save(artifact, tmp_path / "net.safetensors")
    rng = np.random.default_rng(3)
    z, goal = rng.integers(-3000, 3000, 6), rng.integers(-3000, 3000, 6)
    with LavaSession.open(
        path, plan, timeout_s=600, workdir=tmp_path / "run", precision="floating_pt", layout=layout
    ) as session:
        action, found = session.plan(z, goal, 99)
        _, fixed_noise_again = session.plan(z, goal, 99, fresh=True)
        _, warm = session.plan(z, goal, 99)
    expected = plain_floats(artifact, plan, z, goal, 99)
    np.testing.assert_allclose(found.cost_IS, expected["cost"], rtol=1e-9)
    np.testing.assert_allclose(found.mean_IVA, expected["mean"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.spread_IVA, expected["spread"], rtol=1e-9)
    assert (found.elite_IS.sum(1) == plan.elites).all() and (action == found.mean_IVA[-1, 0]).all()
    assert (fixed_noise_again.cost_IS == found.cost_IS).all()
    assert (warm.cost_IS[0] != found.cost_IS[0]).any(), "a warm start changes the first iteration"
