"""The differentiable twin runs like the integer network, and training it lowers the density."""

from __future__ import annotations

import copy

import pytest
import torch

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.calibration import chain_of
from spikeplan.snn.delta_chain import DeltaChain
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.finetune_delta import DeltaTraining, Rollouts, finetune_delta
from spikeplan.snn.sparse_training import SparseTraining

B, S, H = 6, 16, 4


@pytest.fixture
def problem(make_predictor):
    """Dense teacher, its rollouts on near candidates, and its artifact at threshold 0.25."""
    dense, latent, action = make_predictor()
    generator = torch.Generator().manual_seed(5)
    centre = torch.rand(B, 1, H, 2, generator=generator) - 0.5
    candidates = centre + 0.2 * torch.randn(B, S, H, 2, generator=generator)
    z = latent[:B, None].expand(-1, S, -1)
    path = []
    with torch.no_grad():
        for t in range(H):
            z = dense(z, candidates[:, :, t])
            path.append(z)
    artifact, _ = convert(dense, Calibration(latent, action), SigmaDelta(thresholds=0.25))
    return dense, Rollouts(latent[:B], latent[B : 2 * B], candidates, torch.stack(path, 2)), artifact


def integer_rollout(artifact, data: Rollouts, reference: str):
    """Latents (B, S, H, D) and messages of each sending layer per candidate pass."""
    predictor = DeltaPredictor(artifact)
    state = predictor.begin(data.latent_ND, data.candidates_NSHA, reference)
    z, path, sent = data.latent_ND[:, None].expand(-1, S, -1), [], torch.zeros(3)
    for t in range(H):
        z, state, counts = predictor.step(z, data.candidates_NSHA[:, :, t], state)
        path.append(z)
        sent += torch.tensor([float(c.messages) for c in counts[:-2]]) / (B * S * H)
    return torch.stack(path, 2), sent


@pytest.mark.parametrize("reference", ["zero", "previous_step", "mean_candidate"])
def test_the_twin_approximates_the_integer_network(problem, reference):
    """Same gates up to 8-bit weights: latents within 1 % of the variance of the change, messages within 5 %; a twin
    that stands still has 100 %, and the other reference sends another number of messages."""
    dense, data, artifact = problem
    chain = DeltaChain(chain_of(dense), artifact)
    mean = data.candidates_NSHA.mean(1) if reference == "mean_candidate" else None
    with torch.no_grad():
        carried = reference == "previous_step"
        twin, sent, synops = chain.rollout(data.latent_ND, data.candidates_NSHA, mean, 1 / S, carried=carried)
    assert float(synops) == pytest.approx(float((sent * chain.fan_out).sum()), rel=1e-5), "no weight is zero"
    exact, messages = integer_rollout(artifact, data, reference)
    change = exact - data.latent_ND[:, None, None]
    assert float((twin - exact).square().mean() / change.square().mean()) < 0.01
    assert float(((sent - messages).abs() / messages).max()) < 0.05
    other = integer_rollout(artifact, data, "zero" if reference == "mean_candidate" else "mean_candidate")[1]
    assert ((messages - other).abs() > 0.1 * messages).any()


def test_weights_go_while_a_predictor_alone_is_fine_tuned(problem):
    """Half of them, and synops are then of the others: a chain that charges zeros too counts about twice as many."""
    dense, data, artifact = problem
    chain = DeltaChain(chain_of(copy.deepcopy(dense)), artifact)
    rows = []
    training = DeltaTraining(steps=60, records=4, candidates=4)
    generator = torch.Generator().manual_seed(0)
    finetune_delta(chain, [data], training, generator=generator, report=rows.append, sparse=SparseTraining(pruned=0.5))
    weights = torch.cat([linear.weight.flatten() for linear in chain.linears])
    assert float((weights == 0).float().mean()) == pytest.approx(0.5, abs=0.02)
    with torch.no_grad():
        _, sent, synops = chain.rollout(data.latent_ND, data.candidates_NSHA, None)
    assert 0.3 < float(synops) / float((sent * chain.fan_out).sum()) < 0.7
    assert rows[-1]["density"] < 0.7 * rows[0]["density"]


def test_the_twin_knows_the_thresholds(make_predictor):
    dense, latent, action = make_predictor()
    artifact, report = convert(dense, Calibration(latent, action), SigmaDelta(thresholds=(0.2, 0.3, 0.4)))
    expected = [report.layers[name].threshold for name in ("code", "h1", "h2")]
    assert DeltaChain(chain_of(dense), artifact).thresholds() == pytest.approx(expected, rel=1e-3)


def calibration(problem):
    _, data, _ = problem
    latent = data.latents_NSHD.flatten(0, 2)
    return latent, data.candidates_NSHA.flatten(0, 2)


@pytest.mark.parametrize("reference", ["zero", "mean_candidate"])
def test_finetuning_lowers_the_density(problem, reference):
    """Of the chain, and of the integer network converted from it with the learned thresholds."""
    dense, data, artifact = problem
    student = copy.deepcopy(dense)
    chain = DeltaChain(chain_of(student), artifact)
    rows = []
    config = DeltaTraining(
        steps=40, records=4, candidates=8, reference=reference, rate=1e-3, threshold_rate=0.1, rate_weight=5.0
    )
    finetune_delta(chain, [data], config, generator=torch.Generator().manual_seed(0), report=rows.append)
    assert rows[-1]["density"] < 0.85 * rows[0]["density"]
    assert rows[-1]["density"] > 0
    assert all(after > 0 for after in chain.thresholds())
    data_for = Calibration(*calibration(problem))
    tuned, _ = convert(student, data_for, SigmaDelta(thresholds=chain.thresholds(), absolute=True))
    before = integer_rollout(convert(dense, data_for, SigmaDelta(thresholds=0.25)).artifact, data, reference)
    after = integer_rollout(tuned, data, reference)
    assert float(after[1].sum()) < 0.85 * float(before[1].sum())
    still = (data.latents_NSHD - data.latent_ND[:, None, None]).square().mean()
    assert float((after[0] - data.latents_NSHD).square().mean()) < 0.2 * float(still), "and it still predicts"


def test_randomness_is_passed_in(problem):
    dense, data, artifact = problem
    runs = []
    for seed in (1, 1, 2):
        rows = []
        chain = DeltaChain(copy.deepcopy(chain_of(dense)), artifact)
        finetune_delta(
            chain,
            [data],
            DeltaTraining(steps=3, records=4, candidates=8),
            generator=torch.Generator().manual_seed(seed),
            report=rows.append,
        )
        runs.append(rows)
    assert runs[0] == runs[1] != runs[2]


def test_a_set_s_own_judge_ranks(problem):
    """Two sets by turns; a judge that finds every future equal leaves nothing to rank in its turns."""
    dense, data, artifact = problem
    rows = []
    seen = []

    def equal(records, latents, actions):
        seen.append((tuple(records.shape), tuple(latents.shape), tuple(actions.shape)))
        return 0.0 * latents.sum((-1, -2))

    finetune_delta(
        DeltaChain(copy.deepcopy(chain_of(dense)), artifact),
        [data, data._replace(judge=equal)],
        DeltaTraining(steps=4, records=3, candidates=5),
        generator=torch.Generator().manual_seed(0),
        report=rows.append,
    )
    assert [row["ranking"] > 0 for row in rows] == [False, True, False, True]
    _, _, horizon, latent_dim = data.latents_NSHD.shape
    assert seen == 4 * [((3,), (3, 5, horizon, latent_dim), (3, 5, horizon, data.candidates_NSHA.shape[-1]))]
