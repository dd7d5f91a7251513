"""A transformer predictor of 300 million random weights, converted by delta_transformer; prints seconds and memory as JSON.

python -m spikeplan.experiments.bench.strangers.large
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.conversion import DeltaTransformer, convert

THREADS = 2
ROWS = 16


class Large(nn.Module):
    """Tokens of the latent and one of the action through `depth` blocks: 12 width^2 weights each."""

    def __init__(
        self, width: int = 1024, depth: int = 24, tokens: int = 8, channels: int = 16, action: int = 7
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.take, self.act = nn.Linear(channels, width), nn.Linear(action, width)
        self.place = nn.Parameter(0.02 * torch.randn(1, tokens + 1, width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 16, 4 * width, activation="gelu", batch_first=True, norm_first=True)
            for _ in range(depth)
        )
        self.give = nn.Linear(width, channels)

    def forward(self, z: Tensor, a: Tensor) -> Tensor:
        x = torch.cat([self.take(z.unflatten(-1, (self.tokens, -1))), self.act(a)[:, None]], 1) + self.place
        for block in self.blocks:
            x = block(x)
        after: Tensor = z + self.give(x[:, :-1]).flatten(1)
        return after


def measured(**sizes: int) -> dict[str, Any]:
    """Seconds of `convert` and the peak of this process's memory."""
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    module = Large(**sizes).eval()
    latent, action = module.tokens * module.give.out_features, module.act.in_features
    inputs = torch.randn(ROWS, latent), torch.rand(ROWS, action) - 0.5
    begin = time.perf_counter()
    spiking = convert(module, inputs, DeltaTransformer(thresholds=0.02))
    seconds = time.perf_counter() - begin
    return {
        "seconds": seconds,
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "weights": sum(p.numel() for p in module.parameters()),
        "threads": torch.get_num_threads(),
        "output_nmse": spiking.report.output_nmse,
        "finest_nmse": spiking.report.finest_nmse,
        "layers": len(spiking.report.layers),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measured()) + "\n")
