"""Networks whose multiply-accumulates are published, counted by `spikeplan.profile` on the meta device.

The architectures are written out here, layer by layer, so that no weights and no model library are needed. ResNet-50 and ViT-B/16
(224 x 224) are stated by torchvision's model pages in units of 1e9 multiply-adds to three decimals; V-JEPA 2-AC's predictor in
energy/claims.toml.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikeplan.evaluation.profiles import profile
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.worldmodel.vjepa2_ac import VJEPA2ACConfig, VJEPA2ACPredictor

SIDE, CLASSES = 224, 1000
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # of ResNet-50: width, blocks, stride


class Bottleneck(nn.Module):
    """ResNet's block with the stride in its 3 x 3 convolution, as torchvision has it."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(inputs, width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, 4 * width, 1, bias=False),
            nn.BatchNorm2d(4 * width),
        )
        same = stride == 1 and inputs == 4 * width
        self.skip = nn.Identity() if same else nn.Conv2d(inputs, 4 * width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.path(x) + self.skip(x))


def resnet50() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    inputs = 64
    for width, blocks, stride in STAGES:
        for number in range(blocks):
            layers.append(Bottleneck(inputs, width, stride if number == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES))


class ViTB16(nn.Module):
    """12 blocks of width 768 and 12 heads over 196 patches of 16 x 16 and a class token."""

    def __init__(self, width: int = 768, heads: int = 12, blocks: int = 12, patch: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.place = nn.Parameter(torch.zeros(1, (SIDE // patch) ** 2 + 1, width))
        block = nn.TransformerEncoderLayer(
            width, heads, 4 * width, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(block, blocks, nn.LayerNorm(width), enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), patches], 1) + self.place
        out: Tensor = self.head(self.blocks(x)[:, 0])
        return out


def vjepa2_ac() -> tuple[nn.Module, tuple[Tensor, ...]]:
    config = VJEPA2ACConfig()
    latent = torch.zeros(1, 1, config.patches, config.encoder_width)
    action = torch.zeros(1, 1, config.action_dim)
    return VJEPA2ACPredictor(config), (latent, action, action)


def image(make: Callable[[], nn.Module]) -> Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]:
    return lambda: (make(), (torch.zeros(1, 3, SIDE, SIDE),))


# name -> the network with its inputs, published 1e9 MACs to as many decimals, source
PUBLISHED: dict[str, tuple[Callable[[], tuple[nn.Module, tuple[Tensor, ...]]], str, str]] = {
    "resnet50": (image(resnet50), "4.089", "torchvision, ResNet50_Weights: 4.089 GFLOPS, a multiply-add each"),
    "vit_b_16": (image(ViTB16), "17.564", "torchvision, ViT_B_16_Weights: 17.564 GFLOPS, a multiply-add each"),
    "vjepa2_ac": (vjepa2_ac, "81.9", "energy/claims.toml: 24 layers of width 1024 over 258 tokens"),
}


def macs_of(name: str) -> float:
    """MACs of one call."""
    with torch.device("meta"):
        network, inputs = PUBLISHED[name][0]()
        return profile(network, inputs, calls=1).macs


def published_rows() -> list[BenchRow]:
    """A row a network, and how many differ in the last published digit."""
    rows = []
    for name, (_, stated, source) in PUBLISHED.items():
        ours = macs_of(name) / 1e9
        decimals = len(stated.partition(".")[2])
        rows.append(
            BenchRow(
                name=f"published_macs_{name}",
                ours=ours,
                other=float(stated),
                ratio=ours / float(stated),
                unit=f"1e9 MACs; {source}",
                goal=f"equal to {decimals} decimals",
                holds=f"{ours:.{decimals}f}" == stated,
            )
        )
    different = sum(not row.holds for row in rows)
    return [
        BenchRow(
            name="published_macs_different",
            ours=different,
            unit=f"of {len(rows)} networks",
            goal="0",
            holds=different == 0,
        ),
        *rows,
    ]
