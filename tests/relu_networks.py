"""Small networks of affine maps and ReLUs, and inputs for them, as tests of codes that convert such networks share them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeplan.worldmodel.predictor import ResidualPredictor


class Skipping(nn.Module):
    """Not residual, action first, with a way around the second hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = nn.Linear(8, 24), nn.Linear(24, 20), nn.Linear(44, 6)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        one = self.first(torch.cat([a, z], -1)).relu()
        found: Tensor = self.out(torch.cat([one, self.second(one).relu()], -1))
        return found


def data(rows: int = 600, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 6, generator=generator), torch.rand(rows, 2, generator=generator) - 0.5


def module(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return Skipping() if kind == "skips" else ResidualPredictor(6, 2, (32, 32))
