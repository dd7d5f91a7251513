"""Dense encoder: convolutional stem, small ViT, projector. image (N, C, H, W) -> latent (N, D).

The stem (three stride-2 convolutions, GroupNorm, GELU) is what makes thin structures visible to 8-pixel tokens: without
it the arm's second joint is missing from the latent although the prediction loss is lower.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    image_shape: tuple[int, int, int]
    latent_dim: int
    width: int = 64
    depth: int = 2
    heads: int = 4

    def __post_init__(self) -> None:
        if self.width % self.heads or self.image_shape[1] % 8 or self.image_shape[2] % 8:
            raise ValueError(
                f"encoder: width {self.width} must be a multiple of heads {self.heads} and the image "
                f"{self.image_shape[1:]} of 8 pixels"
            )


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, token_NTW: Tensor) -> Tensor:
        n, t, w = token_NTW.shape
        q, k, v = self.qkv(self.norm1(token_NTW)).view(n, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, w)
        token_NTW = token_NTW + self.out(mixed)
        out: Tensor = token_NTW + self.mlp(self.norm2(token_NTW))
        return out


class Encoder(nn.Module):
    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        channels, height, width_px = config.image_shape
        width = config.width
        sizes = (channels, width // 4, width // 2, width)
        self.stem = nn.Sequential(
            *[
                module
                for c_in, c_out in pairwise(sizes)
                for module in (nn.Conv2d(c_in, c_out, 3, 2, 1), nn.GroupNorm(4, c_out), nn.GELU())
            ]
        )
        self.tokens = (height // 8) * (width_px // 8)
        self.position = nn.Parameter(torch.randn(1, self.tokens, width) * 0.02)
        self.blocks = nn.Sequential(*[Block(width, config.heads) for _ in range(config.depth)])
        self.norm = nn.LayerNorm(width)
        self.projector = nn.Sequential(
            nn.Linear(self.tokens * width, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Linear(256, config.latent_dim)
        )

    def forward(self, image: Tensor) -> Tensor:
        token = self.stem(image).flatten(2).transpose(1, 2) + self.position
        latent: Tensor = self.projector(self.norm(self.blocks(token)).flatten(1))
        return latent

    def macs(self) -> int:
        """Multiply-accumulates of one image: convolutions, linears and both attention products."""
        _, height, width_px = self.config.image_shape
        count = 0
        for module in self.stem:
            if isinstance(module, nn.Conv2d):
                height, width_px = height // 2, width_px // 2
                count += module.weight.numel() * height * width_px
        for block in self.blocks:
            linears = [m for m in block.modules() if isinstance(m, nn.Linear)]
            count += sum(m.weight.numel() for m in linears) * self.tokens
            count += 2 * self.tokens**2 * self.config.width
        return count + sum(m.weight.numel() for m in self.projector if isinstance(m, nn.Linear))
