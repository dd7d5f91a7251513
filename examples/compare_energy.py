"""What does your own network cost on each machine, beside its spiking twin?

    python examples/compare_energy.py --calls 64 --machines loihi2 orin_nano h100

Replace `Dynamics` and `recorded` by your own. Any torch module can be profiled. A module of the form z + net(z, a), with a
chain of Linear and ReLU as `net`, can also be converted. Counts are simulated and energy is an estimate with a band.

The price is that of one call alone: a GPU reads all weights for each call. In a planner, a batch of candidates shares that
read, which favours the GPU by far (docs/results.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import tyro
from torch import Tensor, nn

import spikeplan as sp
from spikeplan.conversion import SigmaDelta


@dataclass(frozen=True)
class Settings:
    latent: int = 32
    action: int = 4
    hidden: int = 256
    calls: int = 256  # inputs that the operation counts are averaged over
    threshold: float = 0.1  # of the spiking twin, in standard deviations of each layer
    machines: tuple[str, ...] = ("loihi2", "orin_nano", "h100")
    seed: int = 0
    csv: Path | None = None


class Dynamics(nn.Module):
    """z' = z + net(z, a): your network goes here."""

    def __init__(self, latent: int, action: int, hidden: int) -> None:
        super().__init__()
        self.latent_dim, self.action_dim = latent, action
        self.net = nn.Sequential(
            nn.Linear(latent + action, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, latent),
        )

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        change: Tensor = self.net(torch.cat([latent, action], -1))
        return latent + change


def recorded(settings: Settings) -> tuple[Tensor, Tensor]:
    """What your network sees in use. Densities, and so the spiking twin's cost, depend on it."""
    return torch.randn(settings.calls, settings.latent), torch.randn(settings.calls, settings.action)


def main(settings: Settings) -> dict[str, Any]:
    torch.manual_seed(settings.seed)
    network = Dynamics(settings.latent, settings.action, settings.hidden)
    latent, action = recorded(settings)

    dense = sp.profile(network, (latent, action), precision="int8")
    converted = sp.convert(network, (latent, action), SigmaDelta(thresholds=settings.threshold))
    spiking = sp.profile(converted, (latent, action))
    print(f"dense:   {dense}\nspiking: {spiking}")
    print("error of the spiking output (nmse):", round(converted.report.output_nmse, 4))

    table = sp.compare({"dense": dense, "spiking": spiking}, machines=settings.machines)
    print(table)
    if settings.csv is not None:
        table.to_pandas().to_csv(settings.csv, index=False)
    return {"dense": dense, "spiking": spiking, "report": converted.report, "table": table}


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
