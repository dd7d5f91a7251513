"""Integer CEM against plain Python, its widths, and its agreement with floating CEM where both can be exact."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spikeplan.core import noise
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.planning import CEMConfig, PlanParams
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.worldmodel.planning import integer_cem as ic

CONFIG = CEMConfig(samples=16, iterations=3, elites=4, horizon=6, chunk=2)
R = ic.plan_params(CONFIG, action_limit=0.08, action_scale=1.1e-5, latent_dim=6, action_dim=2)


def test_registers_by_hand() -> None:
    """.08 / 1.1e-5 = 7273 = 13 bit: one bit too many, L = 3636; sigma .7: 3636 x .7 x 443/256 = 4404; floor .05: 315."""
    assert (R.limit, R.action_shift, R.cost_shift) == (3636, 1, 3)
    assert (R.start_spread, R.least_spread, R.warm_factor) == (4404, 315, 512)
    assert R.deviation_factor == 139  # 256 x 1.2533 x 1.7305 / 4 = 138.8


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"elites": 6}, "power of two"), ({"energy": "mse"}, "only l1"), ({"reduce": "last"}, "only l1")],
)
def test_what_does_not_run_on_chip_is_refused(changes: dict[str, object], match: str) -> None:
    with pytest.raises(UserError, match=match):
        ic.plan_params(CONFIG.at(**changes), action_limit=0.08, action_scale=1.1e-5, latent_dim=6, action_dim=2)


@given(
    arrays(np.int64, (3, 16), elements=st.one_of(st.integers(0, 5), st.integers(0, limit(STATE_BITS)))),
    st.integers(1, 16),
)
@settings(max_examples=200)
def test_threshold_search_is_the_kth_least_with_ties_to_the_least_number(cost: np.ndarray, k: int) -> None:
    found = ic.kth_least(torch.from_numpy(cost), k)
    assert found.tolist() == np.sort(cost, 1)[:, k - 1].tolist()
    elite = ic.elite_mask(torch.from_numpy(cost), k).numpy()
    for row, chosen in zip(cost, elite, strict=True):
        assert sorted(np.flatnonzero(chosen)) == sorted(sorted(range(16), key=lambda i: (row[i], i))[:k])


def test_refit_by_hand() -> None:
    """Elites 5, -3, 10, -11 of L = 3636: sum 1, mean trunc(.25) = 0, deviation 29, w = trunc(29 x 139 / 256) = 15 -> 315."""
    u = torch.tensor([5, -3, 10, -11, 3000, 0]).view(1, 6, 1, 1)
    elite = torch.tensor([[True, True, True, True, False, False]])
    mean, spread = ic.refit(u, elite, R)
    assert (mean.item(), spread.item()) == (0, 315)
    mean, spread = ic.refit(u * 100, elite, R)
    assert (mean.item(), spread.item()) == (25, (500 - 25 + 325 + 1000 - 25 + 1125) * 139 >> 8)


def test_the_mean_rounds_toward_zero_on_both_sides() -> None:
    u = torch.tensor([1, 1, 1, 0, -1, -1, -1, 0]).view(2, 4, 1, 1)
    mean, _ = ic.refit(u, torch.ones(2, 4, dtype=torch.bool), R)
    assert mean.flatten().tolist() == [0, 0]


@pytest.mark.parametrize("chunk", [1, 2, 3, 4])
def test_warm_start_is_the_plan_one_step_later(chunk: int) -> None:
    r = ic.plan_params(
        CEMConfig(samples=8, elites=4, horizon=12, chunk=chunk),
        action_limit=0.08,
        action_scale=1.1e-5,
        latent_dim=6,
        action_dim=2,
    )
    mean = torch.randint(-r.limit, r.limit + 1, (3, r.variables, 2), generator=torch.Generator().manual_seed(0))
    plan = mean.repeat_interleave(chunk, 1)
    later = torch.cat([plan[:, 1:], plan[:, -1:]], 1).unflatten(1, (r.variables, chunk)).double().mean(2)
    found = ic.warm_start(mean, r)
    assert (found.double() - later).abs().max() <= 1 + 1e-3 * r.limit, "R = 341 of 341.3: a thousandth short at chunk 3"
    assert found.abs().max() <= r.limit


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"sigma": 5.0}, "a spread times its noise reaches .* beyond 24 bits; lower --sigma"),
        (
            {"samples": 256, "elites": 128},
            "elites 128 leave a spread factor of 4, too coarse below 8; use fewer elites",
        ),
    ],
)
def test_settings_that_leave_24_bits_are_refused(changes: dict, match: str) -> None:
    with pytest.raises(UserError, match=match):
        ic.plan_params(CONFIG.at(**changes), action_limit=0.08, action_scale=1.1e-5, latent_dim=6, action_dim=2)


@given(st.integers(-4095, 4095), st.integers(0, limit(STATE_BITS) // noise.CENTRE), st.integers(-510, 510))
def test_candidates_fit_24_bits_and_stay_in_the_box(mean: int, spread: int, e: int) -> None:
    assert abs(spread * e) <= limit(STATE_BITS)
    u = ic.candidates(*(torch.tensor(v).view(1, 1, 1) for v in (mean, spread)), torch.tensor(e).view(1, 1, 1, 1), R)
    assert abs(u.item()) <= R.limit
    assert u.item() == max(-R.limit, min(R.limit, mean + int(spread * e / 256)))


def plain_plan(
    predictor: DeltaPredictor, z: np.ndarray, g: np.ndarray, e: np.ndarray, r: PlanParams
) -> dict[str, list]:
    """One episode, one candidate at a time, Python integers."""
    trunc = lambda x, bits: int(abs(x) >> bits) * (1 if x >= 0 else -1)  # noqa: E731
    mean = [[0, 0] for _ in range(r.variables)]
    spread = [[r.start_spread] * 2 for _ in range(r.variables)]
    out: dict[str, list] = {"cost": [], "elite": [], "mean": [], "spread": []}
    for _ in range(r.iterations):
        us, costs = [], []
        for s in range(r.samples):
            u = [
                [max(-r.limit, min(r.limit, mean[v][a] + trunc(spread[v][a] * int(e[s, v, a]), 8))) for a in range(2)]
                for v in range(r.variables)
            ]
            x, cost = torch.from_numpy(z).to(predictor.network.dtype).view(1, 1, -1), 0
            state = predictor.begin(x[:, 0] * 0, torch.zeros(1, 1, r.horizon, 2), "zero")
            for t in range(r.horizon):
                a = torch.tensor(u[t // r.chunk]).view(1, 1, 2) * 2**r.action_shift
                x, state, _ = predictor.advance(x, a.to(x.dtype), state)
                cost += sum(abs(int(p) - int(q)) for p, q in zip(x.flatten(), g, strict=True)) >> r.cost_shift
            us.append(u)
            costs.append(cost)
        elite = sorted(sorted(range(r.samples), key=lambda i: (costs[i], i))[: r.elites])
        mean = [
            [trunc(sum(us[i][v][a] for i in elite), r.elites.bit_length() - 1) for a in range(2)]
            for v in range(r.variables)
        ]
        spread = [
            [
                max(r.least_spread, trunc(sum(abs(us[i][v][a] - mean[v][a]) for i in elite) * r.deviation_factor, 8))
                for a in range(2)
            ]
            for v in range(r.variables)
        ]
        for name, value in (("cost", costs), ("elite", elite), ("mean", mean), ("spread", spread)):
            out[name].append(value)
    return out


@pytest.fixture
def planner(artifact: Artifact) -> ic.IntegerCEM:
    return ic.IntegerCEM(DeltaPredictor(artifact), CONFIG, action_dim=2, action_limit=0.08)


def test_a_whole_plan_equals_plain_python(planner: ic.IntegerCEM) -> None:
    rng = np.random.default_rng(0)
    z, g = rng.integers(-3000, 3000, (2, 6)), rng.integers(-3000, 3000, (2, 6))
    e = noise.candidate_noise(np.array([5, 9]), 16, 3, 2)
    dtype = planner.predictor.network.dtype  # type: ignore[attr-defined]
    mean, trace = planner.plan_integers(
        torch.from_numpy(z).to(dtype), torch.from_numpy(g).to(dtype), torch.from_numpy(e).long(), None
    )
    for b in range(2):
        plain = plain_plan(planner.predictor, z[b], g[b], e[b], planner.params)  # type: ignore[arg-type]
        assert trace.cost_IBS[:, b].tolist() == plain["cost"]
        assert [np.flatnonzero(m).tolist() for m in trace.elite_IBS[:, b].numpy()] == plain["elite"]
        assert trace.mean_IBVA[:, b].tolist() == plain["mean"] and trace.spread_IBVA[:, b].tolist() == plain["spread"]
        assert mean[b].tolist() == plain["mean"][-1]
    assert len({tuple(row) for row in trace.cost_IBS[0].tolist()}) == 2 and trace.saturated == 0


def test_costs_that_do_not_fit_are_clipped_and_counted(planner: ic.IntegerCEM) -> None:
    far = torch.full((1, 6), float(limit(STATE_BITS)))
    dtype = planner.predictor.network.dtype  # type: ignore[attr-defined]
    _, trace = planner.plan_integers(
        -far.to(dtype), far.to(dtype), torch.from_numpy(noise.candidate_noise(np.array([1]), 16, 3, 2)).long(), None
    )
    assert trace.saturated > 0 and int(trace.cost_IBS.max()) <= limit(STATE_BITS)
