"""Dense -> sigma-delta: close when the thresholds are small, sparse when they are large, and nothing skipped silently."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from spikeplan.conversion import Calibration, SigmaDelta, check, convert
from spikeplan.conversion.recipes.sigma_delta import WEIGHT_TOP
from spikeplan.core.chips import CHIPS, LOIHI1, LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import load, save
from spikeplan.snn.delta_predictor import DeltaPredictor


@pytest.fixture
def problem(make_predictor):
    predictor, latent, action = make_predictor()
    return predictor, Calibration(latent, 0.1 * action)


def test_threshold_zero_is_close_to_the_dense_network(problem):
    artifact, report = convert(*problem, SigmaDelta(thresholds=0.0), seed=3)
    assert list(report.layers) == ["code", "h1", "h2", "out"]
    assert all(0 <= row.nmse < 0.015 for row in report.layers.values()), report.layers
    assert all(row.saturated < 1e-3 for row in report.layers.values())
    assert 0 < report.finest_nmse <= report.output_nmse < 0.015
    assert artifact.provenance["seed"] == 3
    assert "SigmaDelta" in artifact.provenance["recipe"]
    assert report.synapses == artifact.synapses == 8 * 48 + 48 * 48 + 48 * 6
    assert report.as_dict()["layers"]["h1"]["nmse"] == report.layers["h1"].nmse


def test_report_is_measured_on_the_artifact(problem):
    """The reported error of `out` is that of one prediction through the predictor itself."""
    predictor, data = problem
    artifact, report = convert(predictor, data, SigmaDelta(thresholds=0.3))
    spiking = DeltaPredictor(artifact)
    z, a = data.latent_ND[:, None], data.action_NA[:, None]
    after, _, counts = spiking.step(z, a, spiking.begin(data.latent_ND, a[:, :, None], "zero"))
    dense = predictor(z, a).detach()
    # The predictor adds the value to the rounded latent; the report looks at the change alone.
    rounded = spiking.encode(z) * artifact.scales["latent"]
    error = ((after - rounded) - (dense - z)).square().mean() / (dense - z).var()
    assert report.layers["out"].nmse == pytest.approx(float(error), rel=1e-2)
    for count in counts[:-2]:
        neurons = artifact.layer(count.layer).n_out * len(z)
        assert report.layers[count.layer].density == pytest.approx(count.messages / neurons, abs=1e-9)


def test_larger_thresholds_send_less_and_err_more(problem):
    reports = [convert(*problem, SigmaDelta(thresholds=t))[1] for t in (0.0, 0.2, 0.6, 1.5)]
    for name in ("code", "h1", "h2"):
        density = [r.layers[name].density for r in reports]
        assert density == sorted(density, reverse=True)
        assert density[-1] < 0.7 * density[0]
    errors = [r.layers["out"].nmse for r in reports]
    assert errors == sorted(errors)
    assert errors[-1] > 10 * errors[0]


def test_a_fixed_number_of_bits_bounds_the_messages(problem):
    errors = []
    for bits in (5, 6, 7, 8):
        artifact, report = convert(*problem, SigmaDelta(bits=bits, thresholds=0.0))
        assert [layer.message_bits for layer in artifact.layers] == [bits] * 3 + [24]
        errors.append(report.layers["out"].nmse)
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 10 * errors[-1]
    with pytest.raises(UserError, match="9 bits of a graded spike"):
        SigmaDelta(bits=9)


def test_thresholds_are_in_units_of_the_spread_or_absolute(problem):
    predictor, data = problem
    x = torch.cat([data.latent_ND, data.action_NA], -1)
    with torch.no_grad():
        h1 = predictor.net[0](x).relu()
        h2 = predictor.net[2](h1).relu()
    spread = [float(data.latent_ND.std()), float(h1.std()), float(h2.std())]
    relative = convert(predictor, data, SigmaDelta(thresholds=(0.2, 0.3, 0.4)))[1].layers
    absolute = convert(predictor, data, SigmaDelta(thresholds=(0.2, 0.3, 0.4), absolute=True))[1].layers
    for name, share, std in zip(("code", "h1", "h2"), (0.2, 0.3, 0.4), spread, strict=True):
        assert relative[name].threshold == pytest.approx(share * std, rel=0.02)
        assert absolute[name].threshold == pytest.approx(share, rel=0.02)
    learned = tuple(relative[name].threshold for name in ("code", "h1", "h2"))
    again = convert(predictor, data, SigmaDelta(thresholds=learned, absolute=True))[1].layers
    assert [row.threshold_lsb for row in again.values()] == [row.threshold_lsb for row in relative.values()]


def test_no_threshold_falls_below_one_message(problem):
    artifact, _ = convert(*problem, SigmaDelta(thresholds=0.0))
    assert all(layer.threshold_lsb == 1 << layer.shift for layer in artifact.layers[:-1])


@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_wrong_number_of_thresholds_is_refused(problem, count):
    with pytest.raises(UserError, match=f"{count} thresholds for 3 sending layers"):
        convert(*problem, SigmaDelta(thresholds=(0.1,) * count))


@pytest.mark.parametrize("bad", [-0.1, float("nan"), float("inf"), (0.1, -1.0, 0.1)])
def test_thresholds_that_are_none_are_refused(bad):
    with pytest.raises(UserError, match="must be finite and >= 0"):
        SigmaDelta(thresholds=bad)


def test_the_structure_of_the_artifact(problem, tmp_path):
    artifact, _ = convert(*problem, SigmaDelta())
    assert [layer.kind for layer in artifact.layers] == ["delta", "sigma_delta", "sigma_delta", "sigma"]
    assert [layer.act for layer in artifact.layers] == ["identity", "relu", "relu", "identity"]
    assert [(e.src, e.dst, e.role) for e in artifact.edges] == [
        ("code", "h1", "feed"),
        ("h1", "h2", "feed"),
        ("h2", "out", "feed"),
        ("out", "code", "residual"),
    ]
    for layer in artifact.layers[1:-1]:
        assert np.abs(layer.weight).max() == WEIGHT_TOP, "the int8 range is used"
    first = np.abs(artifact.layer("h1").weight)
    assert min(first[:, :6].max(), first[:, 6:].max()) >= WEIGHT_TOP - 1, "by the action's columns too"
    assert np.abs(artifact.layer("out").weight).max() > WEIGHT_TOP // 2, "widened by less than 2"
    again = load(save(artifact, tmp_path / "net.safetensors"))
    assert again.edges == artifact.edges
    assert again.scales == artifact.scales


def test_a_rollout_does_not_drift(problem):
    """Value and latent share one LSB, so 10 steps (the random network diverges later) stay as near as its error a step allows."""
    predictor, data = problem
    artifact, _ = convert(predictor, data, SigmaDelta(thresholds=0.0))
    spiking = DeltaPredictor(artifact)
    assert artifact.scales["latent"] < 1e-2 * float(data.latent_ND.std())
    z = dense = data.latent_ND[:50, None]
    actions = data.action_NA[:2000].view(50, 1, 40, 2)
    state = spiking.begin(z[:, 0], actions, "previous_step")
    for t in range(10):
        z, state, _ = spiking.step(z, actions[:, :, t], state)
        dense = predictor(dense, actions[:, :, t]).detach()
    assert float((z - dense).square().mean() / (dense - data.latent_ND[:50, None]).square().mean()) < 0.02


def test_calibration_data_are_checked():
    good = torch.randn(5, 6)
    taken = Calibration(np.ones((5, 6)), torch.ones(5, 2, dtype=torch.int64))
    assert taken.latent_ND.dtype == taken.action_NA.dtype == torch.float32 and taken.latent_ND.shape == (5, 6)
    assert Calibration.of((good, good)).latent_ND.equal(good)
    with pytest.raises(UserError, match=r"latents of shape \(6,\), expected \(N, D\): give one row a pair"):
        Calibration(good[0], torch.randn(5, 2))
    with pytest.raises(UserError, match=r"actions of shape \(5, 4, 2\), expected \(N, A\): flatten rollouts to rows"):
        Calibration(good, torch.randn(5, 4, 2))
    with pytest.raises(UserError, match="latents are str, no numbers"):
        Calibration("latents", good)
    for wrong, found in ((good, "Tensor"), ((good,), "1 items"), (None, "NoneType")):
        with pytest.raises(UserError, match=f"calibration: {found}, expected a pair"):
            Calibration.of(wrong)
    with pytest.raises(UserError, match="5 latents and 4 actions"):
        Calibration(good, torch.randn(4, 2))
    with pytest.raises(UserError, match="1 latents"):
        Calibration(good[:1], torch.randn(1, 2))
    with pytest.raises(UserError, match="not finite"):
        Calibration(good / 0, torch.randn(5, 2))


def test_constraint_check(problem):
    artifact, _ = convert(*problem, SigmaDelta())
    assert dict(CHIPS) == {"loihi1": LOIHI1, "loihi2": LOIHI2}
    assert check(artifact, LOIHI2) == []
    found = check(artifact, LOIHI1)
    assert [(v.layer, v.limit, v.found) for v in found[:3]] == [(n, "message_bits", 8) for n in ("code", "h1", "h2")]
    assert all(v.limit == "message_bits" for v in found)
    assert str(found[0]) == "layer 'code': message_bits 8 exceeds 1; loihi1 sends binary spikes; use the LIF method"


def test_constraint_check_names_what_is_too_large(make_chain):
    wide = make_chain(
        np.random.default_rng(0), (4200, 6000, 3), shifts=(0, 0, 0), thresholds=(1, 1), weight_exps=(0, 0)
    )
    found = {(v.layer, v.limit): v for v in check(wide, LOIHI2)}
    assert set(found) == {("h1", "fan_in"), ("code", "fan_in"), ("out", "fan_in"), ("(all)", "cores")}
    # h1: 4206 B a neuron, 45 in 192 kB: 134 cores. A coder's neuron needs an axon to each of them: 4096 // 134 = 30 a core,
    # 140 cores. out: one.
    assert (found["(all)", "cores"].found, found["(all)", "cores"].allowed) == (134 + 140 + 1, 120)
    assert found["h1", "fan_in"].found == 4200
    assert found["h1", "fan_in"].assumed
    assert "assumed limit" in str(found["h1", "fan_in"])


@pytest.mark.parametrize(
    ("layer", "named"), [(0, r"layer 'h1' \(net\.1\)"), (1, r"layer 'h2' \(net\.3\)"), (2, "the output")]
)
def test_a_dead_layer_is_refused(problem, layer, named):
    predictor, data = problem
    dead = copy.deepcopy(predictor)
    with torch.no_grad():
        dead.linears()[layer].weight.zero_()
    with pytest.raises(
        UserError,
        match=f"^{named}: (its weights are all zero|beside the latent it is constant); train the network first",
    ):
        convert(dead, data, SigmaDelta())


def test_dead_activations_and_silent_thresholds_are_refused_by_name(problem):
    predictor, data = problem
    off = copy.deepcopy(predictor)
    with torch.no_grad():
        off.linears()[1].bias.fill_(-1e3)
    with pytest.raises(
        UserError, match=r"layer 'h2' \(net\.3\): its activations are all zero on the calibration inputs"
    ):
        convert(off, data, SigmaDelta())
    with pytest.raises(UserError, match=r"layer 'h1' \(net\.1\): its threshold 1e\+06 silences it on all 4000 .*lower"):
        convert(predictor, data, SigmaDelta(thresholds=(0.1, 1e6, 0.1), absolute=True))
    still = Calibration(torch.ones(50, 6), data.action_NA[:50])
    with pytest.raises(UserError, match="the latents are all the same"):
        convert(predictor, still, SigmaDelta())
    with pytest.raises(UserError, match="3 rows are too few to set ranges; give at least 8"):
        convert(predictor, Calibration(torch.randn(3, 6), torch.randn(3, 2)), SigmaDelta())
