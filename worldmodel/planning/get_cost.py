"""stable-worldmodel's planning contract, `get_cost(info, candidates)`, for any predictor of this project.

The package itself is not imported. Its solvers ask a model for `parameters()` (for their dtype) and for costs: `info` holds
"pixels" (or "image") and "goal", every entry repeated over the S candidates: (B, S, C, H, W), or (B, S, T, C, H, W) with a
time axis, of which the last frame counts; images that are not repeated, (B, C, H, W), are taken too. `candidates` is
(B, S, H, A), candidate 0 the current mean; the cost is (B, S).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.planning.costs import LatentDistance
from spikeplan.worldmodel.planning.rollout import rollout
from spikeplan.worldmodel.predictor import Predictor


class CostModel(nn.Module):
    def __init__(
        self,
        encoder: nn.Module,
        predictor: Predictor,
        *,
        reference: str = "zero",
        evaluator: LatentDistance | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.predictor, self.reference = encoder.eval(), predictor, reference
        self.evaluator = evaluator or LatentDistance()

    @torch.no_grad()
    def get_cost(self, info: dict[str, Any], candidates: Tensor) -> Tensor:
        if candidates.dim() != 4:
            raise UserError(f"get_cost: candidates have shape {tuple(candidates.shape)}, expected (B, S, H, A)")
        latent, goal = self.encoder(_image(info, ("pixels", "image"))), self.encoder(_image(info, ("goal",)))
        return self.evaluator.cost(
            rollout(self.predictor, latent, candidates, reference=self.reference).latents_BSHD, None, goal
        )


def _image(info: dict[str, Any], names: tuple[str, ...]) -> Tensor:
    """(B, C, H, W); a sample reference holds one image S times, so its last is its first."""
    name = next((name for name in names if name in info), None)
    if name is None:
        raise UserError(f"get_cost: info has no {' or '.join(map(repr, names))} (found {', '.join(info)})")
    image = torch.as_tensor(info[name])
    if image.dim() not in (4, 5, 6):
        raise UserError(f"get_cost: {name!r} has shape {tuple(image.shape)}, expected (B[, S][, T], C, H, W)")
    return image[:, 0, -1] if image.dim() == 6 else image[:, -1] if image.dim() == 5 else image
