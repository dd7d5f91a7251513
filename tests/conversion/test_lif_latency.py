"""Latency codes of traced modules: at most one spike a neuron, the error falls with time steps, training helps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.relu_networks import Skipping, data, module
from torch import Tensor, nn

from spikeplan.conversion import convert
from spikeplan.conversion.recipes import RECIPES
from spikeplan.conversion.recipes.lif_latency import LIFLatency, top_of
from spikeplan.core.errors import UserError


@pytest.mark.parametrize("kind", ["chain", "skips"])
def test_the_error_falls_with_time_steps_and_with_training(kind: str) -> None:
    errors = {
        (steps, trained): convert(module(kind), data(), LIFLatency(time_steps=steps, steps=trained)).report.output_nmse
        for steps, trained in ((4, 0), (16, 0), (64, 0), (4, 60))
    }
    assert errors[64, 0] < 0.2 * errors[16, 0] < 0.2 * 0.2 * errors[4, 0]
    assert errors[64, 0] < 0.002 and errors[4, 60] < 0.9 * errors[4, 0]


def test_graded_inputs_are_not_rounded_to_the_window() -> None:
    made = {
        on: convert(module("chain"), data(), LIFLatency(time_steps=4, steps=0, graded_inputs=on))
        for on in (False, True)
    }
    assert made[True].report.output_nmse < 0.7 * made[False].report.output_nmse
    assert made[True].predictor().pipeline_steps < made[False].predictor().pipeline_steps


@pytest.mark.parametrize("kind", ["chain", "skips"])
def test_what_it_puts_out_is_the_modules_output_on_other_inputs(kind: str) -> None:
    """A network that puts out zero has an error of 1, one that puts out its inputs a larger one."""
    net = module(kind)
    z, a = data(200, seed=2)
    predictor = convert(net, data(), LIFLatency(time_steps=32, steps=0)).predictor()
    after, _, counts = predictor.step(z[:, None], a[:, None], predictor.begin(z, a[:, None, None]))
    with torch.no_grad():
        wanted = net(z, a)
    change = wanted - z if kind == "chain" else wanted
    assert float((after[:, 0] - wanted).square().mean() / change.var(0).mean()) < 0.01
    by = {row.layer: row for row in counts}
    for name, size in (("code", 8), *((name, size) for name, (_, size) in sizes(kind).items())):
        assert 0 < by[name].messages <= 200 * size, "at most one spike a neuron and prediction"
        assert by[name].messages == by[name].message_bits
    dense = sum(row.dense_macs for row in counts)
    assert 0.2 * dense < sum(row.synops for row in counts) < dense


def sizes(kind: str) -> dict[str, tuple[int, int]]:
    return {"h1": (8, 24), "h2": (24, 20)} if kind == "skips" else {"h1": (8, 32), "h2": (32, 32)}


def test_a_window_spans_what_rounds_and_clips_least() -> None:
    """1000 values from 0 to 1, one of 3: few steps clip the large one, many do not; a silent neuron is allowed."""
    values = torch.cat([torch.linspace(0, 1, 1000), torch.tensor([3.0])])[:, None].repeat(1, 2)
    values[:, 1] = 0.0
    few, many = top_of(values, 2), top_of(values, 256)
    assert few[0] == pytest.approx(0.9) and many[0] == pytest.approx(3.0) and many[1] == many.max()


def test_weights_have_eight_bits_a_neuron() -> None:
    net = convert(module("skips"), data(), LIFLatency(time_steps=8, steps=0)).artifact.net
    for name in (*net.groups, "out"):
        rows = torch.cat([net.weights[wire.key].detach() for wire in net.into(name)], 1)
        whole = rows / (rows.abs().amax(1, keepdim=True) / 127)
        assert float((whole - whole.round()).abs().max()) < 1e-3 and len(whole.round().unique()) > 50


def test_it_has_no_file_and_says_so_in_one_line(tmp_path: Path) -> None:
    assert not RECIPES["lif_latency"].has_file
    made = convert(module("chain"), data(), "lif_latency")
    assert made.artifact.provenance["time_steps"] == 16 and "latency code" in str(made.report)
    with pytest.raises(UserError, match="has no file form, since no neuron of a network graph drops") as error:
        made.save(tmp_path / "x.safetensors")
    assert "\n" not in str(error.value) and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"time_steps": 0}, "time_steps 0 must be an integer from 1 to 1024"),
        ({"time_steps": 2.5}, "time_steps 2.5 must be an integer from 1 to 1024"),
        ({"steps": -1}, "steps -1 must be an integer"),
        ({"rows": 0}, "rows 0 must be an integer"),
        ({"seed": 0.5}, "seed 0.5 must be an integer"),
        ({"bits": 4}, "takes no such setting"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        RECIPES["lif_latency"].made(**settings)


def test_what_is_no_relu_is_refused_by_name() -> None:
    class Smooth(Skipping):
        def forward(self, z: Tensor, a: Tensor) -> Tensor:
            return self.second(torch.tanh(self.first(torch.cat([a, z], -1))))[:, :6]

    with pytest.raises(UserError, match="tanh"):
        convert(Smooth(), data(), "lif_latency")


def test_a_layer_that_never_fires_is_refused_by_name() -> None:
    net = module("chain")
    with torch.no_grad():
        first = next(m for m in net.modules() if isinstance(m, nn.Linear))
        first.bias.fill_(-100.0)
    with pytest.raises(UserError, match="layer 'h1' .*no neuron of it is ever above 0; train"):
        convert(net, data(), "lif_latency")
