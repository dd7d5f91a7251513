"""Blocks of attention, of norms that the action steers, and of mixing, as strangers write them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ViT(nn.Module):
    """Latent tokens and an action token through a transformer block."""

    def __init__(self, d: int, a: int, tokens: int = 4, width: int = 32) -> None:
        super().__init__()
        self.tokens, self.take, self.act = tokens, nn.Linear(d // tokens, width), nn.Linear(a, width)
        self.block = nn.TransformerEncoderLayer(
            width, 4, 64, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.give = nn.Linear(width, d // tokens)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        x = torch.cat([self.take(z.unflatten(-1, (self.tokens, -1))), self.act(a)[:, None]], 1)
        after: Tensor = z + self.give(self.block(x)[:, :-1]).flatten(1)
        return after


class AdaLN(nn.Module):
    """The action scales, shifts and gates what a norm lets through, as in diffusion transformers."""

    def __init__(self, d: int, a: int) -> None:
        super().__init__()
        self.norm, self.from_action = nn.LayerNorm(d, elementwise_affine=False), nn.Linear(a, 3 * d)
        self.net = nn.Sequential(nn.Linear(d, 64), nn.SiLU(), nn.Linear(64, d))

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        scale, shift, gate = self.from_action(a).chunk(3, -1)
        after: Tensor = z + gate * self.net(self.norm(z) * (1 + scale) + shift)
        return after


class Mixer(nn.Module):
    """Residual blocks that mix tokens and channels in turn, with ReLUs."""

    def __init__(self, d: int, a: int, tokens: int = 4) -> None:
        super().__init__()
        self.tokens, width = tokens, d // tokens
        self.act = nn.Linear(a, d)
        self.across = nn.Sequential(nn.Linear(tokens, 16), nn.ReLU(), nn.Linear(16, tokens))
        self.along = nn.Sequential(nn.Linear(width, 24), nn.ReLU(), nn.Linear(24, width))

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        x = (z + self.act(a)).unflatten(-1, (self.tokens, -1))
        x = x + self.across(x.transpose(1, 2)).transpose(1, 2)
        after: Tensor = (x + self.along(x)).flatten(1)
        return after
