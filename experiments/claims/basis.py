"""What a claim is recomputed from: the counter on the real architecture, the catalogue, energy/claims.toml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch

from spikeplan.core.errors import UserError
from spikeplan.energy.band import Band
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.claims import Claim, Claims
from spikeplan.worldmodel.mac_counter import MacCount, count_macs
from spikeplan.worldmodel.vjepa2_ac import VJEPA2ACConfig, VJEPA2ACPredictor

VERDICTS = ("holds", "fails", "unsupported", "depends", "not found")
CLOSE = 0.005  # of the stated value: it was rounded to three digits


class Answer(NamedTuple):
    computed: float | None
    verdict: str
    working: str


@dataclass(frozen=True)
class Basis:
    """What a claim is recomputed from. Counts are taken when first asked for."""

    catalogue: Catalogue
    claims: Claims

    def figure(self, name: str) -> Band:
        """A figure of claims.toml in SI units."""
        found = self.claims.figures.get(name)
        if found is None:
            raise UserError(f"claims.toml: figures.{name} is missing; the claims are checked with it")
        return found.band

    def value(self, name: str) -> float:
        return self.figure(name).nominal

    @cached_property
    def one_frame(self) -> MacCount:
        return count_vjepa2_ac(1)

    @cached_property
    def step_flop(self) -> float:
        return 2.0 * self.one_frame.macs.total

    @cached_property
    def evaluations(self) -> float:
        return self.value("cem_samples") * self.value("cem_iterations")

    @cached_property
    def action_macs(self) -> float:
        return self.one_frame.macs.total * self.evaluations


@lru_cache(maxsize=8)
def count_vjepa2_ac(frames: int) -> MacCount:
    """The counter on the real architecture, on the meta device: one candidate, one step, `frames` of context."""
    config = VJEPA2ACConfig()
    with torch.device("meta"):
        latent = torch.zeros(1, frames, config.patches, config.encoder_width)
        action = torch.zeros(1, frames, config.action_dim)
        return count_macs(VJEPA2ACPredictor(config).eval(), latent, action, action)


def agrees(claim: Claim, computed: float, tolerance: float = CLOSE) -> str:
    return "holds" if abs(computed - claim.stated) <= tolerance * claim.stated else "fails"
