"""Rate codes of traced modules: the error falls with time steps, training helps, the file runs to the same output."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import snntorch
import torch
from tests.relu_networks import Skipping, data, module
from torch import Tensor

from spikeplan.conversion import convert
from spikeplan.conversion.recipes import RECIPES
from spikeplan.conversion.recipes.lif_rate import LIFRate
from spikeplan.core.chips import LOIHI2
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph.file import load
from spikeplan.core.ir.graph.reference import Running
from spikeplan.snn.rate_net import RateSettings


@pytest.mark.parametrize("kind", ["chain", "skips"])
def test_the_error_falls_with_time_steps_and_with_training(kind: str) -> None:
    errors = {
        (steps, trained): convert(module(kind), data(), LIFRate(time_steps=steps, steps=trained)).report.output_nmse
        for steps, trained in ((4, 0), (16, 0), (64, 0), (4, 60))
    }
    assert errors[64, 0] < 0.3 * errors[16, 0] < 0.3 * 0.5 * errors[4, 0]
    assert errors[64, 0] < 0.02 and errors[4, 60] < 0.8 * errors[4, 0]


def test_a_neuron_counts_its_value() -> None:
    """Values 0.25, 0.5 and 1 of the top of the range fire 4, 8 and 16 of 16 steps; a negative one never."""
    made = convert(module("chain"), data(), LIFRate(time_steps=16, steps=0))
    net = made.artifact.net
    with torch.no_grad():
        for weight in net.weights.values():
            weight.zero_()
        net.biases["h1"].copy_(torch.tensor([0.25, 0.5, 1.0, -1.0] * 8) + 0.5 / 16)
        counts = net(torch.zeros(1, 8)).counts["h1"][0, :4]
    assert counts.tolist() == [4, 8, 16, 0]


def test_a_reset_to_zero_fires_as_snntorchs_neuron() -> None:
    net = convert(module("chain"), data(), LIFRate(time_steps=8, steps=0)).artifact.net
    net.settings = RateSettings(time_steps=8, beta=0.9, reset="zero")
    neuron = snntorch.Leaky(beta=0.9, threshold=1.0, reset_mechanism="zero", reset_delay=False)
    x = torch.cat(data(64), -1)
    with torch.no_grad():
        current = torch.nn.functional.linear(x, net.weights["code__h1"], net.biases["h1"])
        u, wanted = torch.zeros_like(current), torch.zeros_like(current)
        for _ in range(8):
            s, u = neuron(current, u)
            wanted += s
        assert torch.equal(net(x).counts["h1"], wanted) and 0.05 < float(wanted.mean()) / 8 < 0.9


@pytest.mark.parametrize("kind", ["chain", "skips"])
def test_the_file_runs_to_the_same_output(kind: str, tmp_path: Path) -> None:
    made = convert(module(kind), data(), LIFRate(time_steps=12, steps=0))
    graph = load(made.save(tmp_path / "rate.safetensors"))
    x = torch.cat(data(4), -1)
    with torch.no_grad():
        wanted = made.artifact.net(x).out.numpy()
    for row, want in zip(x.double().numpy(), wanted, strict=True):
        running = Running(graph)
        for _ in range(12):
            out = running.step({"x": row})["out"]
        np.testing.assert_allclose(out, want, atol=0.02 * wanted.std())


def test_it_plans_and_counts_what_it_does() -> None:
    made = convert(module("chain"), data(), "lif_rate")
    predictor = made.predictor()
    z, a = data(10)
    state = predictor.begin(z[:2], a.view(2, 5, 1, 2))
    after, _, counts = predictor.step(z.view(2, 5, 6), a.view(2, 5, 2), state)
    by = {row.layer: row for row in counts}
    assert after.shape == (2, 5, 6) and by["h1"].updates == 10 * 16 * 32 and by["h1"].dense_macs == 10 * 8 * 32
    assert by["code"].synops == 10 * 8 * 32 and by["h1"].synops == by["h1"].messages * 32 > 0
    assert (by["rest"].state_restores, predictor.pipeline_steps) == (10 * 64, (19, 16))
    assert (
        predictor.neuron_groups(LOIHI2) is not None
        and sum(w for w, _ in predictor.memory().values()) == 8 * 32 + 32 * 32 + 32 * 6
    )
    assert convert(module("skips"), data(), LIFRate(steps=0)).predictor().neuron_groups(LOIHI2) is None
    with pytest.raises(UserError, match="use zero"):
        predictor.begin(z, a, "previous_step")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"time_steps": 0}, "time_steps 0 must be an integer from 1 to 1024"),
        ({"beta": 0.0}, "beta 0.0 must be above 0"),
        ({"steps": -1}, "steps -1 must be an integer"),
        ({"rate_weight": float("nan")}, "rate_weight nan"),
        ({"bits": 4}, "takes no such setting"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        RECIPES["lif_rate"].made(**settings)


def test_what_is_no_relu_is_refused_by_name() -> None:
    class Smooth(Skipping):
        def forward(self, z: Tensor, a: Tensor) -> Tensor:
            return self.second(torch.tanh(self.first(torch.cat([a, z], -1))))[:, :6]

    with pytest.raises(UserError, match="tanh"):
        convert(Smooth(), data(), "lif_rate")
