"""Event encoder: what one window of events says about the change of a latent, as a sigma-delta network.

    z' = z + f([z, e])        e = clip(ON - OFF) / COUNT_SCALE on a grid, f: ReLU MLP

ON minus OFF, summed over a cell, is the change of that cell's log intensity in units of the threshold, so that noise of
both polarities cancels; which edge of the arm a change belongs to follows from where the arm was, hence z in the input.
The form is the predictor's with a window of events for an action: the same converter, artifact, integer reference and
Lava chain serve it. On the chip state is kept from window to window: an empty one costs next to no messages.
Shapes: B rows, D latent, E = H/POOL * W/POOL cells.  Units: counts are events, e is counts / COUNT_SCALE.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from snn.delta import DeltaNetwork, DeltaState
from spec.artifact import Artifact
from spec.errors import UserError
from spec.ledger import LayerCounts

POOL = 2  # pixels a cell on each side
COUNT_TOP = 32  # events a cell and window beyond this tell nothing new
COUNT_SCALE = 8.0


def event_input(counts: Tensor) -> Tensor:
    """Signed counts (..., H/POOL, W/POOL) of a window -> e (..., E)."""
    return counts.flatten(-2).float().clamp(-COUNT_TOP, COUNT_TOP) / COUNT_SCALE


class EventEncoder(nn.Module):
    """The dense twin that is trained and converted. Its layers are `net`, as the converter expects."""

    def __init__(self, latent_dim: int, cells: int, hidden: tuple[int, ...] = (192, 128)) -> None:
        super().__init__()
        self.latent_dim, self.cells, self.hidden = latent_dim, cells, tuple(hidden)
        sizes = (latent_dim + cells, *hidden)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], latent_dim))

    def forward(self, latent_BD: Tensor, event_BE: Tensor) -> Tensor:
        """The change of the latent, (B, D)."""
        return self.net(torch.cat([latent_BD, event_BE], -1))

    def macs(self) -> int:
        return sum(m.weight.numel() for m in self.net if isinstance(m, nn.Linear))


class SpikingEventEncoder:
    """The artifact in integers behind the same call; keeps its sigma-delta state and counts between windows."""

    def __init__(self, artifact: Artifact) -> None:
        self.network = DeltaNetwork(artifact)
        self.latent_dim = artifact.layers[-1].n_out
        self.cells = artifact.layers[0].n_in - self.latent_dim
        if self.cells < 1:
            raise UserError(f"artifact: {artifact.layers[0].n_in} inputs for a latent of {self.latent_dim}; no events")
        self.latent_scale, self.event_scale = artifact.scales["latent"], artifact.scales["action"]
        self.state: list[DeltaState] | None = None
        self.counts: list[LayerCounts] = []

    def reset(self) -> None:
        self.state, self.counts = None, []

    def encode(self, latent_BD: Tensor, event_BE: Tensor) -> Tensor:
        """Input integers in state LSB of the coder, (B, D + E)."""
        x = torch.cat([latent_BD / self.latent_scale, event_BE / self.event_scale], -1)
        return x.round().to(self.network.dtype)

    @torch.no_grad()
    def __call__(self, latent_BD: Tensor, event_BE: Tensor) -> Tensor:
        rows = len(latent_BD)
        done, self.state = self.network.run(self.encode(latent_BD, event_BE), self.state)
        found = self.network.counts(done, rows=rows, restored_rows=0, dense_rows=rows)
        self.counts = [a + b for a, b in zip(self.counts, found, strict=True)] if self.counts else found
        return done.value_RD.float() * self.latent_scale
