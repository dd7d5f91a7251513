"""Dense networks as ONNX: another runtime computes the same for any number of rows, and what cannot be said is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikeplan.core.errors import UserError
from spikeplan.experiments.cli.main import main
from spikeplan.worldmodel.checkpoint import load_model, shipped
from spikeplan.worldmodel.onnx_file import write_onnx
from spikeplan.worldmodel.predictor import ResidualPredictor

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def run(path: Path, **inputs: Tensor) -> Tensor:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {name: one.detach().numpy() for name, one in inputs.items()})[0])


def test_a_checkpoint_s_networks_run_elsewhere_as_here(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["export", str(shipped("two-room")), "--out", str(tmp_path)])
    assert "latent (N, 32), action (N, 2) -> next_latent" in capsys.readouterr().out
    model = load_model(shipped("two-room"))
    image = torch.rand(7, *model.encoder.config.image_shape)
    latent = model.encoder.eval()(image).detach()
    assert torch.allclose(run(tmp_path / "encoder.onnx", image=image), latent, atol=1e-4)
    action = 0.08 * torch.randn(7, 2)
    after = run(tmp_path / "predictor.onnx", latent=latent, action=action)
    assert torch.allclose(after, model.predictor(latent, action), atol=1e-4)
    assert not torch.allclose(after, latent, atol=1e-2), "it predicts a change"


class Drawn(nn.Module):
    """Adds noise, so that no two runs agree."""

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        return latent + torch.randn_like(latent)


class Listed(nn.Module):
    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        return latent * float(latent.sum().tolist())


@pytest.mark.parametrize(
    ("module", "rows", "said"),
    [
        (ResidualPredictor(4, 2, (8,)), 1, "an example of one row fixes the number of rows; give two or more"),
        (Drawn(), 3, "Drawn runs otherwise in onnxruntime"),
        (Listed(), 3, "Listed cannot be exported"),
    ],
)
def test_what_onnx_cannot_say_is_refused_and_nothing_is_written(
    module: nn.Module, rows: int, said: str, tmp_path: Path
) -> None:
    inputs = {"latent": torch.randn(rows, 4), "action": torch.randn(rows, 2)}
    with pytest.raises(UserError, match=said):
        write_onnx(module, inputs, tmp_path / "x.onnx", output="y")
    assert not list(tmp_path.iterdir())


def test_missing_onnx_and_unwritable_places_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs: dict[str, Any] = {"latent": torch.randn(2, 4), "action": torch.randn(2, 2)}
    with pytest.raises(UserError, match="nowhere/x.onnx: cannot write there"):
        write_onnx(ResidualPredictor(4, 2, (8,)), inputs, tmp_path / "nowhere" / "x.onnx", output="y")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"install them with `pip install spikeplan\[onnx\]`"):
        write_onnx(ResidualPredictor(4, 2, (8,)), inputs, tmp_path / "x.onnx", output="y")
