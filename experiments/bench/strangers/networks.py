"""Eight networks that are not ours, as strangers write them: they know nothing of spikeplan.

Each takes module(latent (N, D), action (N, A)) and returns the next latent (N, D); that is all that conversion asks.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikeplan.experiments.bench.strangers.blocks import AdaLN, Mixer, ViT


class Around(nn.Module):
    """z + net([z, a])"""

    def __init__(self, net: nn.Module, residual: bool = True) -> None:
        super().__init__()
        self.net, self.residual = net, residual

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        out: Tensor = self.net(torch.cat([z, a], -1))
        return z + out if self.residual else out


class GRU(nn.Module):
    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.gru = nn.GRU(a, d, batch_first=True)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        after: Tensor = self.gru(a[:, None], z[None].contiguous())[0][:, 0]
        return after


class MinGRU(nn.Module):
    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.gate, self.new = nn.Linear(d + a, d), nn.Linear(d + a, d)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        x = torch.cat([z, a], -1)
        gate = torch.sigmoid(self.gate(x))
        after: Tensor = (1 - gate) * z + gate * self.new(x)
        return after


class Conv(nn.Module):
    """The latent as a row of cells, BatchNorm, and a head that knows the action."""

    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(1, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 4, 3), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(4 * (d - 2) + a, 64), nn.ReLU(), nn.Linear(64, d))

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        after: Tensor = z + self.head(torch.cat([self.conv(z[:, None]).flatten(1), a], -1))
        return after


def networks(d: int, a: int) -> dict[str, Callable[[], nn.Module]]:
    """By name: latents of d numbers, actions of a."""
    deep = [
        nn.Linear(d + a, 50),
        nn.ReLU(),
        nn.Linear(50, 30),
        nn.ReLU(),
        nn.Linear(30, 70),
        nn.ReLU(),
        nn.Linear(70, d),
    ]
    normed = [nn.Linear(d + a, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, d)]
    return {
        "mlp": lambda: Around(nn.Sequential(*deep), residual=False),
        "layernorm-gelu": lambda: Around(nn.Sequential(*normed)),
        "gru": lambda: GRU(d, a),
        "mingru": lambda: MinGRU(d, a),
        "conv": lambda: Conv(d, a),
        "vit": lambda: ViT(d, a),
        "adaln": lambda: AdaLN(d, a),
        "mixer": lambda: Mixer(d, a),
    }
