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
from spikeplan.conversion.tracing import AffineNet, Group, Link, affine_net, trace
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


class Sized(Residual):
    """A change of `gain`, and a map beside it of `skip`: LSBs of sources that differ by orders of magnitude."""

    def __init__(self, gain: float, skip: float) -> None:
        super().__init__()
        self.gain, self.skip, self.beside = gain, skip, nn.Linear(D + A, D)

    def forward(self, z, a):
        x = torch.cat([z, a], -1)
        return z + self.gain * self.net(x) + self.skip * self.beside(x)


@pytest.mark.parametrize("size", [1.0, 1000.0])
@pytest.mark.parametrize(
    ("gain", "skip"), [(100.0, 0.0), (1e4, 0.0), (1e-2, 0.0), (1e-3, 0.0), (1.0, 1e-5), (1.0, 1e3), (1e-5, 1.0)]
)
def test_sizes_that_differ_by_orders_of_magnitude(size, gain, skip):
    torch.manual_seed(4)
    data = size * torch.randn(400, D), size * (torch.rand(400, A) - 0.5)
    report = convert(Sized(gain, skip), data, SigmaDelta(thresholds=0.02)).report
    assert report.output_nmse < 0.03 and all(row.saturated < 1e-3 for row in report.layers.values())


def test_the_dataclasses_refuse_nonsense(data):
    with pytest.raises(ValueError, match="group 'out': 3 neurons; at least one, and a name of its own"):
        Group(name="out", path="", size=3)
    with pytest.raises(ValueError, match="link a->b: a float64 matrix is needed"):
        Link(src="a", dst="b", weight=torch.zeros(2, 2))
    net = affine_net(trace(Residual(), data), data)
    shared = {"latent_dim": D, "action_dim": A, "groups": net.groups, "residual": True}
    with pytest.raises(ValueError, match=r"biases of \['h1'\], expected of \['h1', 'h2', 'out'\]"):
        AffineNet(**shared, links=net.links, biases={"h1": net.biases["h1"]})
    with pytest.raises(ValueError, match="link h1->h2: weight .* does not fit"):
        wrong = Link(src="h1", dst="h2", weight=torch.zeros(3, 3, dtype=torch.float64))
        AffineNet(**shared, links=(net.links[0], wrong), biases=net.biases)
    with pytest.raises(ValueError, match="link h2->h1: goes back"):
        back = Link(src="h2", dst="h1", weight=torch.zeros(24, 16, dtype=torch.float64))
        AffineNet(**shared, links=(*net.links, back), biases=net.biases)
