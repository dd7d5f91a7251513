"""Spikes of one quantum: no message is larger, a value is complete after its passes, changes take fewer spikes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from spikeplan.conversion import convert
from spikeplan.conversion.recipes import RECIPES
from spikeplan.conversion.recipes.one_quantum import OneQuantum
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import load
from spikeplan.snn.delta import DeltaNetwork
from spikeplan.worldmodel.predictor import ResidualPredictor


def data() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(300, 6, generator=generator), torch.rand(300, 2, generator=generator) - 0.5


def module() -> ResidualPredictor:
    torch.manual_seed(0)
    return ResidualPredictor(6, 2, (32, 24))


def test_the_error_falls_with_levels() -> None:
    errors = {
        levels: convert(module(), data(), OneQuantum(levels=levels)).report.output_nmse for levels in (16, 32, 128)
    }
    assert errors[128] < 0.3 * errors[32] < 0.3 * 0.7 * errors[16] and errors[128] < 0.02, errors


def test_a_value_is_complete_after_its_passes_and_every_message_is_one() -> None:
    """What one pass with wide messages delivers, up to a quantum."""
    artifact = convert(module(), data(), OneQuantum(levels=16)).artifact
    network = DeltaNetwork(artifact)
    x = torch.cat([data()[0] / artifact.scales["latent"], data()[1] / artifact.scales["action"]], -1).round()
    state = None
    for _ in range(artifact.passes):
        one, state = network._run_once(x, state, None, keep=True, overwrite=False)
        assert all(float(m.abs().max()) <= 1 for m in one.messages[:-1])
    again, _ = network._run_once(x, state, None, keep=True, overwrite=False)
    assert not any(bool(m.any()) for m in again.messages[:-1]), "nothing is owed any more"
    done, _ = network.run(x, None)
    assert torch.equal(done.value_RD, one.value_RD)


def test_a_changed_input_takes_fewer_spikes_than_a_new_one(tmp_path: Path) -> None:
    made = convert(module(), data(), OneQuantum(levels=32))
    artifact = load(made.save(tmp_path / "q.safetensors"))
    assert artifact.passes == made.artifact.passes == 32 + 2 * 4 - 2
    predictor = made.predictor()
    z, a = data()[0][None, :50], data()[1][None, :50]
    state = predictor.begin(z[:, 0], a[:, :, None], "previous_step")
    _, state, first = predictor.step(z, a, state)
    _, state, second = predictor.step(z + 0.02, a, state)
    sent = [sum(row.messages for row in counts if row.layer in ("code", "h1", "h2")) for counts in (first, second)]
    assert 0 < sent[1] < 0.3 * sent[0]
    (h1,) = (row for row in first if row.layer == "h1")
    assert h1.updates == 50 * 32 * artifact.passes and h1.dense_macs == 50 * 8 * 32
    assert predictor.pipeline_steps == (4 + artifact.passes - 1, artifact.passes)


def test_candidates_in_turn_make_the_same_passes() -> None:
    predictor = convert(module(), data(), OneQuantum(levels=16)).predictor()
    z, a = data()[0][None, :5], data()[1][None, :5]
    values = []
    for reference in ("zero", "previous_candidate"):
        state = predictor.begin(z[:, 0], a[:, :, None], reference)
        values.append(predictor.step(z, a, state)[0])
    assert torch.allclose(*values, atol=0.5) and values[1].any()


def test_who_makes_one_pass_refuses_it() -> None:
    with pytest.raises(UserError, match="takes 22 passes, and a Lava chain makes one"):
        convert(module(), data(), OneQuantum(levels=16)).artifact.need("a Lava chain")
    for settings, said in (
        ({"levels": 0}, "levels 0"),
        ({"levels": 999}, "levels 999"),
        ({"thresholds": -1.0}, "thresholds"),
    ):
        with pytest.raises(UserError, match=said):
            RECIPES["one_quantum"].made(**settings)
