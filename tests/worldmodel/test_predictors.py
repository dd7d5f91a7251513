"""Predictors of other shapes: what sees what, the recurrence step by step, and their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spikeplan.core.errors import UserError
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.training.predictors import predictor_path
from spikeplan.worldmodel.data import draw_clips
from spikeplan.worldmodel.predictor_file import load_predictor, save_predictor
from spikeplan.worldmodel.predictors import PREDICTORS
from spikeplan.worldmodel.predictors.gated import MLGRU
from spikeplan.worldmodel.predictors.tokens import sliced
from spikeplan.worldmodel.tasks import make_world

KINDS = ("transformer", "gated")
MOST_BYTES = 5 * 2**20  # of a shipped file


def made(kind: str, latent: int = 20, action: int = 3) -> Any:
    torch.manual_seed(0)
    return PREDICTORS[kind].make(latent, action, (16, 16)).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_of_the_answer_depends_on_every_slice_and_on_the_action(kind: str) -> None:
    """A latent of 20 is three slices of 8, the last one filled up with zeros."""
    net, latent, action = made(kind), torch.randn(1, 20), torch.randn(1, 3)
    assert sliced(latent).shape == (1, 3, 8) and not sliced(latent)[0, 2, 4:].any()
    of_latent, of_action = torch.autograd.functional.jacobian(net, (latent, action))
    change = of_latent[0, :, 0] - torch.eye(20)
    assert (change.abs() > 0).all() and (of_action.abs() > 0).all()
    leading = net(latent.view(1, 1, 20).expand(4, 5, -1), action.view(1, 1, 3).expand(4, 5, -1))
    assert leading.shape == (4, 5, 20) and torch.allclose(leading[2, 3], net(latent, action)[0], atol=1e-5)


def test_the_recurrence_is_the_one_of_its_docstring() -> None:
    torch.manual_seed(1)
    mixer, x = MLGRU(6), torch.randn(2, 4, 6)
    out = mixer(x)
    for n in range(2):
        h = torch.zeros(6)
        for i in range(4):
            u = mixer.norm(x[n, i])
            f, c, g = (mixer.fcg.weight @ u + mixer.fcg.bias).split(6)
            h = torch.sigmoid(f) * h + (1 - torch.sigmoid(f)) * F.silu(c)
            wanted = x[n, i] + mixer.out(torch.sigmoid(g) * h)
            assert torch.allclose(out[n, i], wanted, atol=1e-5)


@pytest.mark.parametrize(("kind", "hidden"), [("transformer", (24, 24)), ("gated", (8, 16)), ("gated", ())])
def test_widths_that_do_not_fit_are_refused(kind: str, hidden: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=f"predictor '{kind}': hidden .*; give every block the same width"):
        PREDICTORS[kind].make(20, 3, hidden)


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_predictors_are_near_their_teacher(kind: str) -> None:
    """On latents of images, which lie off those of plans that they learned from, their error is below 0.35 of the variance of the
    teacher's change; a constant has all of it."""
    bundle = load_bundle("keep-out")
    path = predictor_path(bundle, kind)
    assert path.stat().st_size < MOST_BYTES
    net, teacher = load_predictor(path), bundle.model.predictor
    clips = draw_clips(make_world("two-room"), 200, 2, np.random.default_rng(0))
    with torch.no_grad():
        latent, action = bundle.model.encoder.eval()(clips.image_BTCHW[:, 0]), clips.action_BTA[:, 0]
        wanted = teacher(latent, action) - latent
        error = (net(latent, action) - latent - wanted).square().mean()
    assert float(error / wanted.var()) < 0.35


def test_a_file_comes_back_and_damage_is_one_line(tmp_path: Path) -> None:
    net = made("gated")
    path = save_predictor(net, "gated", tmp_path / "p.safetensors", task="keep-out")
    again, latent, action = load_predictor(path), torch.randn(3, 20), torch.randn(3, 3)
    assert torch.equal(net(latent, action), again(latent, action))
    with torch.no_grad():
        net.head.bias[0] = float("nan")
    save_predictor(net, "gated", path)
    with pytest.raises(UserError, match="p.safetensors: weights are not finite; train it again"):
        load_predictor(path)
    save_predictor(made("transformer"), "gated", path)
    with pytest.raises(UserError, match="p.safetensors: damaged predictor file"):
        load_predictor(path)
    with pytest.raises(UserError, match="nowhere.safetensors"):
        load_predictor(tmp_path / "nowhere.safetensors")
