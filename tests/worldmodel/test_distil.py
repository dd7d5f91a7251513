"""A narrow predictor learns its teacher: both stages run, and the error falls far below that of standing still."""

from __future__ import annotations

import torch

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
    distil(student, latent, torch.zeros(64, 4), actions, latents, config, generator=generator, report=seen.append)
    assert [row["step"] for row in seen] == list(range(1, 361))
    with torch.no_grad():
        hat = latent[:, None].expand(-1, 8, -1)
        for t in range(4):
            hat = student(hat, actions[:, :, t])
    error = (hat - latents[:, :, -1]).square().mean()
    still = (latent[:, None] - latents[:, :, -1]).square().mean()
    assert error < 0.1 * still
