"""Delta-coded layers of any network: nothing is sent where nothing changes, and what was sent adds up to what is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikeplan.conversion import Calibration, DeltaTransformer, convert
from spikeplan.conversion.recipes import RECIPES
from spikeplan.core.chips import LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.cem import CEMPlanner

D, A = 12, 2


class Block(nn.Module):
    """A norm, a gate that is a product, attention over three tokens, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.take, self.act = nn.Linear(4, 16), nn.Linear(A, 16)
        self.attend = nn.TransformerEncoderLayer(16, 2, 24, activation="gelu", batch_first=True, norm_first=True)
        self.gate, self.head = nn.Linear(16, 16), nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4))

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        x = self.take(z.unflatten(-1, (3, 4))) + self.act(a)[:, None]
        x = self.attend(x)
        after: Tensor = z + self.head(x * torch.sigmoid(self.gate(x))).flatten(1)
        return after


@pytest.fixture(scope="module")
def made() -> tuple[nn.Module, Calibration]:
    torch.manual_seed(5)
    return Block().eval(), Calibration(torch.randn(300, D), torch.rand(300, A) - 0.5)


def test_it_computes_what_forward_does_and_says_what_it_is(made):
    spiking = convert(*made, "delta_transformer", task="own")
    report = spiking.report
    assert 0 < report.finest_nmse < 0.01 and 0 < report.output_nmse < 0.01
    assert spiking.artifact.provenance["task"] == "own" and "DeltaTransformer" in spiking.artifact.provenance["recipe"]
    assert dict(report.reevaluated) == {
        "gelu": 1,
        "layer_norm": 2,
        "mul": 1,
        "scaled_dot_product_attention": 1,
        "sigmoid": 1,
    }
    assert "more than a Loihi 2 neuron does" in str(report) and "layer_norm x 2" in str(report) and report.dense == ()
    assert report.as_dict()["reevaluated"]["gelu"] == 1
    assert {"take", "act", "gate", "head.0", "head.2", "attend.linear1"} <= set(report.layers)
    assert all(row.nmse < 0.02 and 0 < row.density <= 1 for row in report.layers.values())
    weights = sum(m.weight.numel() for m in made[0].modules() if isinstance(m, nn.Linear)) + 3 * 16 * 16
    assert report.synapses == weights
    with pytest.raises(UserError, match=r"net\.safetensors: a delta_transformer network has no file form yet"):
        spiking.save("net.safetensors")


def test_larger_thresholds_send_less_and_err_more(made):
    reports = [convert(*made, DeltaTransformer(thresholds=t)).report for t in (0.02, 0.2, 0.5)]
    errors = [report.output_nmse for report in reports]
    assert errors == sorted(errors) and errors[-1] > 10 * errors[0]
    density = [sum(row.density for row in report.layers.values()) for report in reports]
    assert density == sorted(density, reverse=True)
    assert all(report.finest_nmse == reports[0].finest_nmse for report in reports)


def test_the_same_pass_again_sends_nothing_and_gives_the_same(made):
    program = convert(*made, DeltaTransformer(thresholds=0.1)).artifact
    z, a = torch.randn(5, D), torch.rand(5, A)
    first, state, counts = program.run(z, a, None)
    again, _, quiet = program.run(z, a, state)
    assert sum(c.messages for c in counts) > 0
    for _ in range(6):  # what was clipped or cut off is sent later, and then nothing is owed
        _, state, quiet = program.run(z, a, state)
    assert sum(c.synops for c in quiet) == 0
    again, _, _ = program.run(z, a, state)
    assert torch.allclose(first, again, atol=0.05) and not first.equal(torch.zeros_like(first))


def test_a_running_sum_holds_all_that_was_sent(made):
    """Over a walk of 30 passes the sum is that of the reference, message for message."""
    program = convert(*made, DeltaTransformer(thresholds=0.15)).artifact
    step = next(s for s in program.coded if s.layer == "take")
    z, state = torch.randn(4, D), None
    for _ in range(30):
        z = z + 0.1 * torch.randn(4, D)
        _, state, _ = program.run(z, torch.zeros(4, A), state)
    ref, total = state[step.name]
    weight = step.whole.double() * step.scale.double()
    assert torch.allclose(total, ref.double() @ weight.T, atol=1e-4)
    assert float((z.unflatten(-1, (3, 4)) - ref).abs().max()) < max(step.theta, step.step) + 1e-5
    assert not ref.equal(z.unflatten(-1, (3, 4))), "thresholds hold something back"


def test_rows_do_not_meet(made):
    program = convert(*made, DeltaTransformer(thresholds=0.1)).artifact
    z, a = torch.randn(6, D), torch.rand(6, A)
    whole, state, _ = program.run(z, a, None)
    alone, _, _ = program.run(z[2:3], a[2:3], None)
    assert torch.allclose(whole[2:3], alone, atol=1e-5)
    later, _, _ = program.run(z.flip(0), a, state)
    one, one_state, _ = program.run(z[2:3], a[2:3], None)
    one, _, _ = program.run(z[3:4], a[2:3], one_state)
    assert torch.allclose(later[2:3], one, atol=1e-5)


def test_operations_are_counted_where_they_run(made):
    module, data = made
    program = convert(module, data, DeltaTransformer(thresholds=0.05)).artifact
    rows = 7
    _, _, counts = program.run(torch.randn(rows, D), torch.rand(rows, A), None)
    by_layer = {c.layer: c for c in counts}
    assert by_layer["take"].dense_macs == rows * 3 * 4 * 16
    assert by_layer["take"].synops == by_layer["take"].messages * 16 <= by_layer["take"].dense_macs
    assert by_layer["take"].message_bits == 8 * by_layer["take"].messages and by_layer["take"].macs == 0
    attention = by_layer["attend.self_attn"]
    assert attention.macs == rows * 2 * 3 * 3 * (8 + 8 + 5), "queries times keys, weights times values, and a softmax"
    assert attention.dense_macs == attention.macs + rows * 3 * (3 * 16 * 16 + 16 * 16)
    norm = by_layer["attend.norm1"]
    assert (norm.macs, norm.acs, norm.synops) == (8 * rows * 3 * 16, 0, 0), (
        "no synapse normalises: a chip's price refuses it"
    )
    assert all(c.calls == rows for c in counts)


def test_kept_layers_run_dense_and_are_charged_as_macs(made):
    spiking = convert(*made, DeltaTransformer(keep_dense=("head", "attend.linear1")))
    assert spiking.report.dense == (
        ("attend.linear1", "keep_dense"),
        ("head.0", "keep_dense"),
        ("head.2", "keep_dense"),
    )
    assert "dense on a host: head.0" in str(spiking.report)
    assert not {"head.0", "head.2", "attend.linear1"} & set(spiking.report.layers)
    _, _, counts = spiking.artifact.run(torch.randn(2, D), torch.rand(2, A), None)
    head = next(c for c in counts if c.layer == "head.0")
    assert (head.macs, head.synops, head.messages) == (2 * 3 * 16 * 16, 0, 0)
    for wrong in (("tail",), ("hea",), ("head", "head.7")):
        with pytest.raises(
            UserError, match=f"keep_dense '{wrong[-1]}' names no module that forward uses; it has take, act,"
        ):
            convert(*made, DeltaTransformer(keep_dense=wrong))
    with pytest.raises(UserError, match="keep_dense keeps them all"):
        convert(*made, DeltaTransformer(keep_dense=("take", "act", "attend", "gate", "head")))


def test_it_plans_on_both_references(made):
    module, data = made
    predictor = convert(module, data, DeltaTransformer(thresholds=0.02)).predictor()
    assert predictor.spiking and predictor.neuron_groups(LOIHI2) is None and predictor.pipeline_steps[0] > 5
    assert predictor.weights_left()["gate"] > 250
    memory = predictor.memory()
    # int8 weights and a float bias; a reference and a sum for each of three tokens, and what the sigmoid holds back is (top)'s
    assert memory["gate"] == (256 + 4 * 16, 3 * (3 * 16 + 3 * 16)) and memory["attend.norm1"][0] == 4 * 2 * 16
    z, candidates = torch.randn(2, D), torch.rand(2, 5, 4, A) - 0.5
    synops = {}
    for reference in predictor.references:
        state, latent, spent = predictor.begin(z, candidates, reference), z[:, None].expand(-1, 5, -1), []
        dense = latent
        for t in range(4):
            latent, state, counts = predictor.step(latent, candidates[:, :, t], state)
            spent.append(sum(c.synops for c in counts))
            with torch.no_grad():
                dense = module(dense.flatten(0, 1), candidates[:, :, t].flatten(0, 1)).view(2, 5, D)
        assert float((latent - dense).square().mean() / (dense - z[:, None]).square().mean()) < 0.02
        synops[reference] = spent
    assert synops["zero"][0] == synops["previous_step"][0]
    assert synops["previous_step"][-1] < 0.95 * synops["zero"][-1], "what changed little is not sent again"
    with pytest.raises(UserError, match="reference 'mean_candidate' is not offered by this predictor; use one of zero"):
        predictor.begin(z, candidates, "mean_candidate")
    config = CEMConfig(samples=8, elites=2, iterations=2, horizon=3)
    planner = CEMPlanner(predictor, config, action_dim=A, action_limit=0.5)
    noise = planner.noise(1, torch.Generator().manual_seed(0))
    action = planner.plan(z[:1], z[:1] + 0.3, noise, None)[0]
    assert action.shape == (1, A) and float(action.abs().max()) > 0


class Tied(nn.Module):
    """One weight, twice as it is and once transposed; a gain and a weight norm, which fold."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.utils.parametrizations.weight_norm(nn.Linear(D + A, 8))
        self.outer = nn.Parameter(torch.randn(8, D) / 3)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        x = torch.tanh(self.inner(torch.cat([z, a], -1)))
        y = torch.tanh(x @ self.outer @ self.outer.T * 0.5)
        after: Tensor = z + torch.addmm(torch.ones(D), y, self.outer)
        return after


def test_shared_and_derived_weights(made):
    torch.manual_seed(1)
    module = Tied()
    spiking = convert(module, made[1], DeltaTransformer(thresholds=0.02))
    assert spiking.report.finest_nmse < 0.005 and len(spiking.artifact.coded) == 4
    z, a = torch.randn(9, D), torch.rand(9, A)
    with torch.no_grad():
        wanted = module(z, a) - z
    error = (spiking.artifact.run(z, a, None)[0] - z - wanted).square().mean() / wanted.var(0).mean()
    assert float(error) < 0.01, "the bias of 1 is there, too"


def test_a_module_that_is_trained_on_leaves_it_alone(made):
    torch.manual_seed(1)
    module, (z, a) = Tied(), (torch.randn(4, D), torch.rand(4, A))
    spiking = convert(module, made[1], DeltaTransformer(keep_dense=("inner",)))
    before = spiking.artifact.run(z, a, None)[0]
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1.0)
    assert spiking.artifact.run(z, a, None)[0].equal(before)
    assert "DeltaProgram" in repr(spiking) and len(repr(spiking)) < 100


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"bits": 9}, "9 bits of a graded spike"),
        ({"thresholds": -0.1}, "threshold -0.1 must be one number"),
        ({"hysteresis": float("nan")}, "threshold nan must be one number"),
        ({"thresholds": (0.1, 0.2)}, r"threshold \(0.1, 0.2\) must be one number"),
        ({"keep_dense": "head"}, "keep_dense 'head' must be a tuple of module paths"),
    ],
)
def test_settings_that_are_none_are_refused(settings: dict[str, Any], complaint: str):
    with pytest.raises(UserError, match=complaint):
        RECIPES["delta_transformer"].made(**settings)


def test_what_cannot_be_coded_is_refused_in_one_line(made):
    class Still(nn.Module):
        def forward(self, z, a):
            return z * torch.tanh(a.sum(-1, keepdim=True))

    class Zero(nn.Module):
        def __init__(self):
            super().__init__()
            self.dead, self.out = nn.Linear(D, 4), nn.Linear(D, D)

        def forward(self, z, a):
            return self.out(z) + self.dead(z * 0).sum(-1, keepdim=True)

    for module, complaint in (
        (Still(), "forward has no layer of weights that could be coded; keep this predictor dense"),
        (Zero(), "layer 'dead': its input is zero on all calibration inputs"),
    ):
        with pytest.raises(UserError, match=complaint) as error:
            convert(module, made[1], "delta_transformer")
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"layer '.*': its threshold .* silences it on all calibration inputs; lower"):
        convert(*made, DeltaTransformer(thresholds=50.0))


def test_a_step_refuses_nonsense(made):
    step = convert(*made, DeltaTransformer()).artifact.coded[0]
    for wrong in ({"step": 0.0}, {"theta": 0.5 * step.step}, {"whole": step.whole.float()}):
        with pytest.raises(ValueError, match="a step above 0, a threshold of at least that, and int8 weights"):
            replace(step, **wrong)


@pytest.mark.parametrize("kind", [nn.GRUCell, nn.LSTMCell, nn.RNNCell, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("bias", [True, False])
def test_recurrent_cells_are_taken_apart(made, kind, bias):
    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = kind(A, D, bias=bias)

        def forward(self, z, a):
            layer, pair = isinstance(self.cell, nn.RNNBase), kind in (nn.LSTMCell, nn.LSTM)
            h = z[None] if layer else z
            out = self.cell(a[None] if layer else a, (h, 0.5 * h) if pair else h)
            out = out[0] if layer or pair else out
            return out[0] if layer else out

    torch.manual_seed(0)
    module = Cell()
    spiking = convert(module, made[1], DeltaTransformer(thresholds=0.01))
    assert spiking.report.finest_nmse < 0.01
    assert {row.layer for row in spiking.artifact.coded} == {"cell"} and len(spiking.artifact.coded) == 2
    assert not any("cell" in name or "gru" in name or "lstm" in name for name, _ in spiking.report.reevaluated)
