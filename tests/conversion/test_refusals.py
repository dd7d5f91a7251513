"""What cannot be converted is refused in one line: what it is, where, and what to do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeplan.conversion import Calibration, SigmaDelta, convert
from spikeplan.core.errors import UserError

D, A = 6, 2


class Residual(nn.Module):
    def __init__(self, net: nn.Module | None = None) -> None:
        super().__init__()
        layers = [nn.Linear(D + A, 24), nn.ReLU(), nn.Linear(24, 16), nn.ReLU(), nn.Linear(16, D)]
        self.net = nn.Sequential(*layers) if net is None else net

    def forward(self, z, a):
        return z + self.net(torch.cat([z, a], -1))


class Plain(Residual):
    def forward(self, z, a):
        return self.net(torch.cat([z, a], -1))


@pytest.fixture
def data() -> Calibration:
    torch.manual_seed(3)
    return Calibration(torch.randn(400, D), torch.rand(400, A) - 0.5)


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
        UserError, match="forward has the same change for all calibration inputs, as far as float32 tells; train"
    ):
        convert(Same(), data, "delta_transformer")
    with pytest.raises(UserError, match="the output: beside the latent it is constant; train"):
        convert(Same(), data, SigmaDelta())
