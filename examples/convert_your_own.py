"""Convert a predictor of your own: any torch module called as module(latent, action) that returns the next latent.

    python examples/convert_your_own.py --threshold 0.05 --keep-dense head

This one has a norm, a gate and a recurrent cell. The recipe sigma_delta takes ReLUs and affine maps alone, and says in one line
what it does not take; delta_transformer codes the layers of weights and computes the rest anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import tyro
from torch import Tensor, nn

import spikeplan as sp
from spikeplan.conversion import DeltaTransformer
from spikeplan.core.errors import UserError


@dataclass(frozen=True)
class Settings:
    latent: int = 32
    action: int = 2
    hidden: int = 64
    rows: int = 512  # of calibration: what your network sees in use
    threshold: float = 0.05  # in standard deviations of what each layer receives
    keep_dense: tuple[str, ...] = ()  # modules that stay dense on a host
    steps: int = 6  # of a rollout with one action, to see what changes from step to step
    seed: int = 0


class Gated(nn.Module):
    """z + gate * change, both of a norm and a recurrent cell that takes the action."""

    def __init__(self, latent: int, action: int, hidden: int) -> None:
        super().__init__()
        self.norm, self.take = nn.LayerNorm(latent), nn.Linear(latent, hidden)
        self.cell, self.gate = nn.GRUCell(action, hidden), nn.Linear(hidden, latent)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, latent))

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        x = self.cell(action, self.take(self.norm(latent)))
        after: Tensor = latent + 0.2 * torch.sigmoid(self.gate(x)) * self.head(x)
        return after


def main(settings: Settings) -> dict[str, Any]:
    torch.manual_seed(settings.seed)
    network = Gated(settings.latent, settings.action, settings.hidden)
    latents = torch.randn(settings.rows, settings.latent)
    actions = torch.rand(settings.rows, settings.action) - 0.5

    try:
        sp.convert(network, (latents, actions), recipe="sigma_delta")
        refused = ""
    except UserError as error:
        refused = str(error)
    print(f"sigma_delta: {refused}")

    recipe = DeltaTransformer(thresholds=settings.threshold, keep_dense=settings.keep_dense)
    spiking = sp.convert(network, (latents, actions), recipe)
    print(f"\ndelta_transformer:\n{spiking.report}")

    # It plans like any predictor; here, one rollout that is told only of changes from step to step.
    predictor = spiking.predictor()
    z, a = latents[:8, None], actions[:8, None]
    state = predictor.begin(z[:, 0], a[:, :, None], "previous_step")
    density = []
    for step in range(settings.steps):
        z, state, counts = predictor.step(z, a, state)
        density.append(sum(c.synops for c in counts) / sum(c.dense_macs - c.macs for c in counts))
        print(f"step {step}: {density[-1]:.2f} of the dense synaptic operations")
    return {
        "refused": refused,
        "report": spiking.report,
        "density": density,
        "profile": sp.profile(spiking, (latents, actions)),
    }


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
