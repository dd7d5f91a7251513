"""What stands between a noisy frame and the frozen encoder: a small residual CNN that knows how much light there was.

    image' = image + g(image, log electrons)      g: three 3 x 3 convolutions

Trained through the frozen encoder: its latent of image' is to be that of the clean, unblurred view. Without it the
encoder, which never saw noise, fails in dim light, and events would win over a frame camera that nobody would use.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Denoiser(nn.Module):
    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(2, width, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.ReLU(),
            nn.Conv2d(width, 1, 3, 1, 1),
        )
        last = self.net[-1]
        assert isinstance(last, nn.Conv2d)
        nn.init.zeros_(last.weight)  # starts as: the frame as it is
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, image_N1HW: Tensor, light_N: Tensor) -> Tensor:
        """light: log of the electrons that radiance 1 gives."""
        plane = (light_N / 4 - 1)[:, None, None, None].expand_as(image_N1HW)
        clean: Tensor = image_N1HW + self.net(torch.cat([image_N1HW, plane], 1))
        return clean

    def macs(self, height: int, width: int) -> int:
        return sum(m.weight.numel() for m in self.net if isinstance(m, nn.Conv2d)) * height * width
