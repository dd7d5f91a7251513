"""What converts is what `forward` computes: wirings of affine operations and ReLUs fold exactly, the rest is refused by name."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

import spikeplan
from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.conversion.tracing import affine_net, trace
from spikeplan.core.errors import UserError

D, A = 6, 2


def chain(bias: bool = True) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(D + A, 24, bias=bias), nn.ReLU(), nn.Linear(24, 16, bias=bias), nn.ReLU(), nn.Linear(16, D, bias=bias)
    )


class Residual(nn.Module):
    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__()
        self.net = chain() if net is None else net

    def forward(self, z, a):
        return z + self.net(torch.cat([z, a], -1))


class Plain(Residual):
    def forward(self, z, a):
        return self.net(torch.cat([z, a], -1))


class ActionFirst(Residual):
    def forward(self, z, a):
        return z + self.net(torch.cat([a, z], -1))


class Gain(Residual):
    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(0.1))

    def forward(self, z, a):
        return z + self.gain * self.net(torch.cat([z, a], -1)) - 0.25


class Functional(nn.Module):
    """In-place and functional ReLUs, one module used twice, a block with a skip inside, a ReLU that two layers read."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again, self.last = nn.Linear(D + A, 20), nn.Linear(20, 20), nn.Linear(20, D)

    def forward(self, z, a):
        x = F.relu(self.first(torch.cat([z, a], -1)), inplace=True)
        x = x + self.again(F.relu(self.again(x)))
        return z + self.last(torch.clamp(x, min=0))


class Folded(nn.Module):
    """Convolution, BatchNorm in evaluation, weight norm, slices, means: all affine."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(1, 4, 3, padding=1), nn.BatchNorm1d(4)
        self.norm.running_mean.normal_()
        self.norm.running_var.uniform_(0.5, 2.0)
        self.out = weight_norm(nn.Linear(4 * (D + A), D))

    def forward(self, z, a):
        x = F.threshold(self.norm(self.conv(torch.cat([z, a], -1)[:, None])), 0, 0)
        return self.out(x.flatten(1)) / 2 + z.flip(-1) * 0.3 + a.mean(-1, keepdim=True)


def shared() -> nn.Module:
    relu = nn.ReLU()
    layers = [nn.Linear(D + A, 12), nn.Dropout(), nn.BatchNorm1d(12), relu, nn.Linear(12, 12), nn.Identity(), relu]
    return Residual(nn.Sequential(*layers, nn.Linear(12, D)))


class Assigned(nn.Module):
    """Slices that are written to, tokens before rows, a stack of two, a sum over tokens, an einsum."""

    def __init__(self) -> None:
        super().__init__()
        self.take, self.mix, self.give = nn.Linear(D + A, 16), nn.Linear(8, 8), nn.Parameter(torch.randn(16, D) / 4)

    def forward(self, z, a):
        x = torch.ones_like(z[:, :1]).repeat(1, D + A)
        x[:, :D] = z
        x[:, D:] = a * 2
        y = F.relu(self.take(x)).unflatten(-1, (2, 8)).transpose(0, 1)
        y = torch.relu(self.mix(y) + y).transpose(0, 1).flatten(1)
        return z + torch.einsum("nd,dk->nk", y, self.give)


def old_weight_norm() -> nn.Module:
    """Its weight is made by a hook, at each call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Residual(nn.Sequential(nn.utils.weight_norm(nn.Linear(D + A, 16)), nn.ReLU(), nn.Linear(16, D)))


class Wrapped(Residual):
    def forward(self, *inputs, **options):
        return super().forward(*inputs, **options)


def hooked() -> nn.Module:
    module = Residual()
    module.net[0].register_forward_hook(lambda _module, _inputs, out: 2 * out)
    return module


MADE = {
    "old weight norm": old_weight_norm,
    "data parallel": lambda: nn.DataParallel(Residual()),
    "any arguments": Wrapped,
    "hooked": hooked,
    "assigned": Assigned,
    "plain": Plain,
    "residual": Residual,
    "action first": ActionFirst,
    "gain": Gain,
    "no bias": lambda: Residual(chain(bias=False)),
    "functional": Functional,
    "folded": Folded,
    "shared relu": shared,
    "no relu": lambda: Residual(nn.Linear(D + A, D)),
    "double": lambda: Residual().double(),
    "half": lambda: Residual().half(),
    "compiled": lambda: torch.compile(Residual()),
}


@pytest.fixture
def data() -> Calibration:
    torch.manual_seed(3)
    return Calibration(torch.randn(400, D), torch.rand(400, A) - 0.5)


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")  # torch.compile's own
@pytest.mark.parametrize("name", MADE)
def test_any_wiring_of_affine_maps_and_relus_converts_to_what_forward_computes(name, data):
    module = MADE[name]()
    traced = trace(module, data)
    net = affine_net(traced, data)
    z, a = torch.randn(30, D), torch.randn(30, A)  # other inputs than the calibration's
    with torch.no_grad():
        wanted = module.float().eval()(z, a) if name != "compiled" else module._orig_mod(z, a)
    assert torch.allclose(net.after(z.double(), a.double()).float(), wanted, rtol=1e-4, atol=1e-5)
    spiking = convert(module, (data.latent_ND, data.action_NA), SigmaDelta(thresholds=0.02))
    assert spiking.report.finest_nmse < 0.02 and spiking.report.output_nmse < 0.02
    assert spiking.artifact.residual == net.residual == (name not in ("plain", "folded", "no relu"))
    assert spiking.artifact.is_chain == net.is_chain == (name not in ("functional", "folded"))
    dense = wanted - z if net.residual else wanted
    planner = spiking.predictor()
    state = planner.begin(z, a[:, None, None], "zero")
    after, _, _ = planner.step(z[:, None], a[:, None], state)
    error = (after[:, 0] - wanted).square().mean() / dense.var(0).mean()
    assert float(error) < 0.03, "the calibration's ranges are a little smaller than those of these inputs"


def test_a_plain_linear_is_found_bit_for_bit(data):
    module = Residual()
    net = affine_net(trace(module, data), data)
    linears = [module.net[0], module.net[2], module.net[4]]
    assert all(link.weight.float().equal(m.weight) for link, m in zip(net.links, linears, strict=True))
    assert all(net.biases[link.dst].float().equal(m.bias) for link, m in zip(net.links, linears, strict=True))
    assert [group.path for group in net.groups] == ["net.1", "net.3"] and net.residual and net.is_chain


def test_the_module_is_left_as_it_was(data):
    module = shared().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    convert(module, data, SigmaDelta(thresholds=0.05))
    assert module.training and all(value.equal(before[name]) for name, value in module.state_dict().items())


def test_the_front_door(data, tmp_path):
    spiking = spikeplan.convert(
        Residual(), (data.latent_ND.numpy(), data.action_NA.numpy()), recipe="sigma_delta", task="own"
    )
    artifact, report = spiking
    assert artifact is spiking.artifact and report is spiking.report and artifact.provenance["task"] == "own"
    assert "h1" in str(report) and f"{report.output_nmse:.4f}" in str(report)
    assert spiking.save(tmp_path / "own.safetensors").stat().st_size > 1000
    with pytest.raises(UserError, match="recipe 'none' is unknown; use one of"):
        convert(Residual(), data, "none")


class Branching(Residual):
    def forward(self, z, a):
        return super().forward(z, a) if z.sum() > 0 else z


class OverRows(Residual):
    def forward(self, z, a):
        return super().forward(z, a) - z.mean(0)


class Product(Residual):
    def forward(self, z, a):
        return z * self.net(torch.cat([z, a], -1))


class Noisy(Residual):
    def forward(self, z, a):
        return z + F.dropout(self.net(torch.cat([z, a], -1)))


class Keeping(Residual):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, z, a):
        self.seen += 1
        return super().forward(z, a)


class Two(Residual):
    def forward(self, z, a):
        return super().forward(z, a), z


def with_layer(layer: nn.Module) -> nn.Module:
    return Residual(nn.Sequential(nn.Linear(D + A, 8), layer, nn.Linear(8, D)))


def with_nan() -> nn.Module:
    module = Residual()
    module.net[2].weight.data[0, 0] = float("nan")
    return module


@pytest.mark.filterwarnings("ignore:.torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        (
            lambda: with_layer(nn.GELU()),
            r"layer 'net\.1' \(GELU\): gelu has no exact sigma-delta form; use recipe=\"delta_tr",
        ),
        (lambda: with_layer(nn.LayerNorm(8)), r"layer 'net\.1' \(LayerNorm\): layer_norm"),
        (lambda: with_layer(nn.ReLU6()), r"layer 'net\.1' \(ReLU6\): hardtanh"),
        (lambda: with_layer(nn.Softmax(-1)), r"layer 'net\.1' \(Softmax\): softmax"),
        (Product, r"forward of Product: mul has no exact sigma-delta form"),
        (Branching, r"Branching\.forward cannot be traced \(.*data-dependent.*without branches on values"),
        (OverRows, r"differ from it by .* rows depend on each other"),
        (Noisy, r"Noisy\.forward answers the same inputs with two outputs; switch off noise"),
        (Keeping, r"buffer 'seen': forward changes it"),
        (Two, r"Two\.forward returns tuple, not a tensor; return the next latent alone"),
        (with_nan, r"parameter 'net\.2\.weight': holds values that are not finite"),
        (
            lambda: nn.Linear(D + A, D),
            r"Linear\.forward fails on the calibration's latents \(N, 6\) and actions \(N, 2\)",
        ),
        (lambda: nn.GRUCell(D, A), r"GRUCell\.forward answers .* with \(2,\) numbers a row, expected \(6,\)"),
        (
            lambda: Plain(nn.Linear(D + A, D + 1)),
            r"with \(7,\) numbers a row, expected \(6,\); the output is the next latent",
        ),
        (lambda: 3, r"int is no torch module"),
        (lambda: torch.jit.script(Residual()), r"is TorchScript, which cannot be traced; give the Python module"),
        (lambda: Residual().to("meta"), r"parameter 'net\.0\.weight': has no values yet"),
        (lambda: Residual(nn.LazyLinear(D)), r"parameter 'net\.weight': has no values yet; .* run a lazy module once"),
    ],
)
def test_what_has_no_form_is_refused_in_one_line(made, complaint, data):
    with pytest.raises(UserError, match=complaint) as error:
        convert(made(), data, SigmaDelta())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("widths", [(D + 2, A), (D, A + 1), (D - 1, A)])
def test_calibration_of_other_widths_is_refused_in_one_line(widths):
    data = Calibration(*(torch.randn(20, n) for n in widths))
    with pytest.raises(UserError, match=rf"fails on the calibration's latents \(N, {widths[0]}\)") as error:
        convert(Residual(), data, SigmaDelta())
    assert "\n" not in str(error.value)


def test_a_map_that_is_too_large_is_refused_by_name(data, monkeypatch):
    monkeypatch.setattr("spikeplan.conversion.tracing.affine.MAX_WEIGHTS", 300)
    with pytest.raises(
        UserError, match=r"layer 'net\.2' \(Linear\): linear: as a dense matrix it has 384 weights, at most 300"
    ):
        convert(Residual(), data, SigmaDelta())


def test_a_network_that_computes_something_else_is_not_returned(data, monkeypatch):
    """Where the weights are wrong, the comparison with forward says so."""
    monkeypatch.setattr("spikeplan.conversion.recipes.sigma_delta.whole_weights", lambda w: np.ones(w.shape, np.int8))
    with pytest.raises(
        UserError, match="at its finest thresholds .* differs from forward by .* of the variance of its change"
    ):
        convert(Residual(), data, SigmaDelta())


def test_a_network_that_hardly_depends_on_its_inputs_is_told_to_train(data):
    torch.manual_seed(0)
    layers = [module for _ in range(11) for module in (nn.Linear(24, 24), nn.ReLU())]
    deep = Residual(nn.Sequential(nn.Linear(D + A, 24), nn.ReLU(), *layers, nn.Linear(24, D)))
    with pytest.raises(UserError, match="from row to row it varies by .* as a deep network before training; train it$"):
        convert(deep, data, SigmaDelta())


def test_a_network_that_always_answers_the_same_is_refused(data):
    class Same(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(D + A, D)

        def forward(self, z, a):
            return z + self.net(torch.cat([z, a], -1)) * 0 + 1

    with pytest.raises(
        UserError, match="forward has the same change for all calibration inputs; train the network first"
    ):
        convert(Same(), data, "delta_transformer")
    with pytest.raises(UserError, match="the output: beside the latent it is constant; train"):
        convert(Same(), data, SigmaDelta())
