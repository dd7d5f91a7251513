"""Every reference against its definition, one candidate after the other in plain int64 numpy.

none       each pass starts from the zero state
rollout    from the candidate's own pass one step earlier
order      from the previous candidate (sorted by first action, stably) at the same step; the first one from zero
mean       from the mean candidate's pass at the same step; the mean runs on the previous_step reference
iteration  from the same candidate and step one CEM iteration earlier; the first iteration is the mean_candidate reference
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.core.errors import UserError
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.delta_reference import STATE_KIND

B, S, H, D, A = 2, 4, 5, 4, 2
ITERATIONS = 3
LATENT, ACTION = 2.0**-3, 2.0**-4  # dyadic scales and S = 4: latents, actions and their mean are exact
LAYERS = {"code": 6, "h1": 16, "h2": 12, "out": 4}
FAN_OUT = {"code": 16, "h1": 12, "h2": 4, "out": 0}
CHAIN = dict(sizes=(6, 16, 12, 4), shifts=(1, 8, 9, 9), thresholds=(5, 700, 1300), weight_exps=(0, 1, 0))


class Step(NamedTuple):
    """Of one rollout step: latents (B, S, D), all messages of candidates and of the mean, restored rows, saturation."""

    latent: np.ndarray
    messages: dict[str, list[np.ndarray]]
    passes: int
    restored: int
    saturated: dict[str, int]


def problem(seed: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Integer latents (B, D) and one candidate set (B, S, H, A) an iteration, near each other as CEM's are."""
    rng = np.random.default_rng(seed)
    centre = rng.integers(-60, 60, (B, 1, H, A))
    sets = [centre + rng.integers(-40, 40, (B, S, H, A)) // (i + 1) for i in range(ITERATIONS)]
    sets[1][:, 1, 0, 0] = sets[1][:, 3, 0, 0]  # a tie in the order
    return rng.integers(-120, 120, (B, D)), sets


def simulate(plain_pass, artifact, reference: str, latent: np.ndarray, sets: list[np.ndarray]) -> list[list[Step]]:
    kept: dict[tuple[int, int, int], dict] = {}
    iterations = []
    for n, candidates in enumerate(sets):
        z = np.repeat(latent[:, None], S, 1)
        z_mean, mean_state = latent.copy(), [None] * B
        own = [[None] * S for _ in range(B)]
        order = np.argsort(candidates[:, :, 0, 0], axis=1, kind="stable")
        steps = []
        for t in range(H):
            after = np.zeros_like(z)
            messages = {name: [] for name in LAYERS}
            saturated = dict.fromkeys(LAYERS, 0)
            passes = restored = 0

            def book(done, messages=messages, saturated=saturated) -> None:
                for name in LAYERS:
                    messages[name].append(done.value if name == "out" else done.messages[name])
                    saturated[name] += done.clipped[name] + done.saturated[name]

            by_mean = reference == "mean_candidate" or (reference == "previous_iteration" and n == 0)
            for b in range(B):
                if by_mean:
                    a = np.round(candidates[b, :, t].mean(0)).astype(np.int64)
                    done = plain_pass(artifact, np.concatenate([z_mean[b], a]), mean_state[b])
                    z_mean[b] = np.clip(z_mean[b] + done.value, -(2**23 - 1), 2**23 - 1)
                    mean_state[b] = done.state
                    book(done)
                    passes, restored = passes + 1, restored + 1
                before = None
                for s in order[b] if reference == "previous_candidate" else range(S):
                    if reference == "zero":
                        start, fetched = None, False
                    elif reference == "previous_step":
                        start, fetched = own[b][s], t == 0
                    elif reference == "previous_candidate":
                        start, fetched = before, before is None
                    else:
                        start, fetched = mean_state[b] if by_mean else kept[b, s, t], True
                    done = plain_pass(artifact, np.concatenate([z[b, s], candidates[b, s, t]]), start)
                    own[b][s] = before = kept[b, s, t] = done.state
                    after[b, s] = np.clip(z[b, s] + done.value, -(2**23 - 1), 2**23 - 1)
                    book(done)
                    passes, restored = passes + 1, restored + fetched
            z = after
            steps.append(Step(z, messages, passes, restored, saturated))
        iterations.append(steps)
    return iterations


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("reference", REFERENCES)
def test_reference_equals_its_definition(make_chain, plain_pass, reference, seed, form):
    artifact = make_chain(np.random.default_rng(seed + 10), **CHAIN, latent_scale=LATENT, action_scale=ACTION)
    predictor = DeltaPredictor(artifact)
    latent, sets = problem(seed)
    expected = simulate(plain_pass, artifact, reference, latent, sets)
    real = torch.from_numpy(latent * LATENT).float()
    state, everything = None, {name: [] for name in LAYERS}
    for candidates, steps in zip(sets, expected, strict=True):
        actions = torch.from_numpy(candidates * ACTION).float()
        state = predictor.begin(real, actions, reference, state)
        z = real[:, None].expand(-1, S, -1)
        for t, step in enumerate(steps):
            z, state, counts = predictor.step(z, actions[:, :, t], state)
            assert z.dtype == torch.float32
            assert (z.double().numpy() == step.latent * LATENT).all()
            *counts, context = counts
            assert (context.layer, context.state_restores, context.synops) == ("z", z.numel(), 0), "each its own z"
            for count in counts:
                name = count.layer
                sent = sum(s.size if name == "out" else int((s != 0).sum()) for s in step.messages[name])
                everything[name] += step.messages[name]
                weights = artifact.layer(name).weight
                assert count.messages == count.updates_active == sent
                assert count.synops == sent * FAN_OUT[name]
                assert count.updates == step.passes * LAYERS[name]
                assert count.calls == step.passes
                assert count.state_restores == step.restored * LAYERS[name]
                assert count.saturated == step.saturated[name]
                assert count.dense_macs == (0 if weights is None else B * S * weights.size), (
                    "a mean's pass replaces none"
                )
    for name in ("code", "h1", "h2"):
        s = np.concatenate(everything[name])
        assert (s == 0).mean() > 0.02, (reference, name)
        assert (s > 0).mean() > 0.02, (reference, name)
        if reference != "zero" or name == "code":  # ReLU from the zero state sends nothing negative
            assert (s < 0).mean() > 0.02, (reference, name)
    assert np.abs(expected[-1][-1].latent - latent[:, None]).max() > 30, "the network moves the latent"


def test_references_differ(make_chain, plain_pass):
    """The definitions are told apart: no two references send the same messages."""
    artifact = make_chain(np.random.default_rng(10), **CHAIN)
    latent, sets = problem(0)
    sent = {
        reference: str(
            [
                step.latent.tolist()
                for steps in simulate(plain_pass, artifact, reference, latent, sets)
                for step in steps
            ]
        )
        for reference in REFERENCES
    }
    assert len(set(sent.values())) == len(REFERENCES)


def test_rollouts_end_at_the_width_of_a_state(make_chain):
    artifact = make_chain(np.random.default_rng(0), **CHAIN)
    predictor = DeltaPredictor(artifact)
    top = float(2**23 - 1)
    latent = torch.full((1, D), 1e9)
    assert (predictor.encode(latent) == top).all()
    state = predictor.begin(latent, torch.zeros(1, 2, 1, A), "zero")
    z, _, _ = predictor.step(latent[:, None].expand(1, 2, D), torch.zeros(1, 2, A), state)
    assert z.abs().max() <= top


def test_unknown_reference(make_chain):
    predictor = DeltaPredictor(make_chain(np.random.default_rng(0)))
    with pytest.raises(UserError, match="reference 'time' is unknown; use one of zero, previous_step"):
        predictor.begin(torch.zeros(1, D), torch.zeros(1, S, H, A), "time")
    assert set(STATE_KIND) == set(REFERENCES) == set(predictor.references)
