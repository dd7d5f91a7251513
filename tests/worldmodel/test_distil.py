"""A narrow predictor learns its teacher: both stages run, and the error falls far below that of standing still."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spikeplan.core.errors import UserError
from spikeplan.snn.finetune_delta import Rollouts
from spikeplan.worldmodel.distil import Distillation, distil
from spikeplan.worldmodel.predictor import ResidualPredictor


def test_distilled_rollouts_follow_the_teacher() -> None:
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    teacher = ResidualPredictor(4, 2, (16, 16)).eval()
    latent = torch.randn(64, 4, generator=generator)
    actions = torch.randn(64, 8, 4, 2, generator=generator)
    with torch.no_grad():
        z, path = latent[:, None].expand(-1, 8, -1), []
        for t in range(4):
            z = teacher(z, actions[:, :, t])
            path.append(z)
    latents = torch.stack(path, 2)
    student = ResidualPredictor(4, 2, (8, 8))
    seen: list[dict[str, float]] = []
    config = Distillation(short_steps=300, short_rows=128, steps=60, records=16, candidates=8)
    data = [Rollouts(latent, torch.zeros(64, 4), actions, latents)]
    distil(student, data, config, generator=generator, report=seen.append)
    assert [row["step"] for row in seen] == list(range(1, 361))
    with torch.no_grad():
        hat = latent[:, None].expand(-1, 8, -1)
        for t in range(4):
            hat = student(hat, actions[:, :, t])
    error = (hat - latents[:, :, -1]).square().mean()
    still = (latent[:, None] - latents[:, :, -1]).square().mean()
    assert error < 0.1 * still


def test_sets_are_taken_by_turns_and_judge_for_themselves() -> None:
    """Sets of different sizes, with costs of their own."""
    draw = torch.Generator().manual_seed(0)
    judged: list[tuple[str, int]] = []

    def records(name: str, samples: int) -> Rollouts:
        latent, actions = torch.randn(6, 4, generator=draw), torch.randn(6, samples, 5, 2, generator=draw)
        path = latent[:, None, None] + torch.randn(6, samples, 5, 4, generator=draw)

        def judge(picked: Tensor, latents_BSHD: Tensor, actions_BSHA: Tensor) -> Tensor:
            judged.append((name, latents_BSHD.shape[1]))
            return latents_BSHD.sum((-1, -2))

        return Rollouts(latent, torch.zeros(6, 4), actions, path, judge)

    config = Distillation(short_steps=2, short_rows=8, steps=4, records=2, candidates=4)
    data = [records("few", 3), records("many", 8)]
    distil(ResidualPredictor(4, 2, (8, 8)), data, config, generator=draw)
    both = [("many", 4), ("many", 4), ("few", 3), ("few", 3)]  # student and teacher; steps count from 3
    assert judged == both + both
    with pytest.raises(UserError, match="no records"):
        distil(ResidualPredictor(4, 2, (8, 8)), [], config, generator=draw)
