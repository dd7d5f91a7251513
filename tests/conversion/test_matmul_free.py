"""Ternary weights: synapses that add and subtract, trained to answer as the module does; matrices of two inputs are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from spikeplan.conversion import convert
from spikeplan.conversion.recipes.matmul_free import MatMulFree
from spikeplan.conversion.recipes.ternary import ternary
from spikeplan.core.errors import UserError
from spikeplan.worldmodel.predictors import PREDICTORS

D, A = 16, 2


def module(kind: str) -> Any:
    """A predictor whose change is of the size of its inputs."""
    torch.manual_seed(0)
    net = PREDICTORS[kind].make(D, A, (16, 16))
    with torch.no_grad():
        net.action_embed.weight.mul_(10)
        net.head.weight.mul_(3)
    return net.eval()


def data(rows: int = 400) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(rows, D, generator=generator), 0.1 * torch.randn(rows, A, generator=generator)


def test_a_matrix_by_hand() -> None:
    """Mean magnitude 1: what is below a half becomes 0, the rest its sign."""
    whole, scale = ternary(torch.tensor([[0.4, -0.6, 3.0], [0.1, -1.4, 0.5]]))
    assert float(scale) == 1.0 and whole.tolist() == [[0, -1, 1], [0, -1, 0]]


def test_training_brings_the_output_back(tmp_path: Path) -> None:
    """A network that puts out no change has an error of 1; synops count the weights that are not zero."""
    net = module("gated")
    spiking = convert(net, data(), MatMulFree(steps=300, rows=64, span=1))
    assert spiking.report.output_nmse < 0.3 and "synapses add and subtract" in spiking.report.label
    weights = [step.whole for step in spiking.artifact.coded]
    assert all(set(weight.unique().tolist()) <= {-1, 0, 1} and weight.any() for weight in weights)
    predictor = spiking.predictor()
    latent, action = data(6)
    z = latent.view(2, 3, D)
    after, _, counts = predictor.step(
        z, action.view(2, 3, A), predictor.begin(z[:, 0], action.view(2, 3, 1, A), "zero")
    )
    stored, whole = sum(int(w.count_nonzero()) for w in weights), sum(w.numel() for w in weights)
    synops = sum(c.synops for c in counts)
    assert after.shape == z.shape and stored < 0.9 * whole
    dense = sum(c.dense_macs for c in counts if c.synops)
    assert 0 < synops < 0.9 * dense, "zeros set off none"
    assert sum(c.macs + c.acs for c in counts) > 0, "norms and gates multiply, and are charged"
    with pytest.raises(UserError, match="a matmul_free network has no file form yet"):
        spiking.save(tmp_path / "x.safetensors")


def test_attention_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="multiplies matrices that both depend on the inputs") as found:
        convert(module("transformer"), data(), MatMulFree(steps=0))
    assert "train --predictors gated" in str(found.value) and "\n" not in str(found.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"steps": -1}, "steps -1 must be an integer from 0"),
        ({"rows": 0}, "rows 0 must be an integer from 1"),
        ({"span": 0}, "span 0 must be an integer from 1 to 64"),
        ({"rate": 0.0}, "rate 0.0 must be above 0 and finite"),
        ({"thresholds": -1.0}, "threshold -1.0 must be one number"),
    ],
)
def test_settings_out_of_range_are_one_line(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        MatMulFree(**settings)
