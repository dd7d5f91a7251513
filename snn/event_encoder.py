"""Event encoder: what the events since an instant say about the change of a latent since then, as a sigma-delta network.

    z = a + f([a, e])        e = clip(sum of ON - OFF since a) / COUNT_SCALE on a grid, f: ReLU MLP

ON minus OFF, summed over a cell and since an instant, is the change of that cell's log intensity in units of the threshold:
noise of both polarities cancels, and an event camera is the delta coder of this network's input, each event one change of a
sum. Which edge of the arm a change belongs to follows from where the arm was, hence the anchor a in the input.
The form is the predictor's with a map of events for an action: the same converter, artifact, integer reference and
Lava chain serve it. On the chip state is kept from window to window: an empty one costs next to no messages.
Shapes: B rows, D latent, E = H/POOL * W/POOL cells.  Units: counts are events, e is counts / COUNT_SCALE.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta import DeltaNetwork, DeltaState

POOL = 2  # pixels a cell on each side
COUNT_TOP = 64  # a cell that goes from dark to bright: log(10) / 0.2 events a pixel, 4 pixels, and some noise
COUNT_SCALE = 8.0


def event_input(counts: Tensor) -> Tensor:
    """Signed sums (..., E) -> e."""
    return counts.float().clamp(-COUNT_TOP, COUNT_TOP) / COUNT_SCALE


class EventEncoder(nn.Module):
    """The dense twin of the event encoder, which is trained and converted. Its layers are `net`.

    Args:
        latent_dim: D, of the anchor and of the change that comes out.
        cells: E, of the signed event counts.
        hidden: widths of the hidden layers.

    >>> change_BD = EventEncoder(32, 576)(anchor_BD, count_BE)
    """

    def __init__(self, latent_dim: int, cells: int, hidden: tuple[int, ...] = (256, 192)) -> None:
        super().__init__()
        self.latent_dim, self.cells, self.hidden = latent_dim, cells, tuple(hidden)
        sizes = (latent_dim + cells, *hidden)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], latent_dim))

    def forward(self, anchor_BD: Tensor, count_BE: Tensor) -> Tensor:
        """The change of the latent, (B, D)."""
        change: Tensor = self.net(torch.cat([anchor_BD, event_input(count_BE)], -1))
        return change

    def of_input(self) -> nn.Module:
        """The change as a function of anchor and e, what is converted: a sensor's driver makes e of the counts."""
        return _OfInput(self.net)

    def macs(self) -> int:
        """Multiply-accumulates of one call, a row."""
        return sum(m.weight.numel() for m in self.net if isinstance(m, nn.Linear))


class _OfInput(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, anchor_BD: Tensor, e_BE: Tensor) -> Tensor:
        change: Tensor = self.net(torch.cat([anchor_BD, e_BE], -1))
        return change


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
        """e -> input integers in state LSB of the coder, (B, D + E)."""
        x = torch.cat([latent_BD / self.latent_scale, event_BE / self.event_scale], -1)
        return x.round().to(self.network.dtype)

    @torch.no_grad()
    def __call__(self, anchor_BD: Tensor, count_BE: Tensor) -> Tensor:
        rows = len(anchor_BD)
        done, self.state = self.network.run(self.encode(anchor_BD, event_input(count_BE)), self.state)
        found = self.network.counts(done, rows=rows, restored_rows=0, dense_rows=rows)
        self.counts = [a + b for a, b in zip(self.counts, found, strict=True)] if self.counts else found
        return done.value_RD.float() * self.latent_scale
