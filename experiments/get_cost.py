"""stable-worldmodel's planning contract, `get_cost(info, candidates)`, for any predictor of this project.

The package itself is not imported: its solvers only call this method. `info` holds "image" and "goal" (B, C, H, W) (or
(B, 1, C, H, W), one time step); `candidates` is (B, S, H, A), candidate 0 the current mean; the cost is (B, S).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spec.errors import UserError
from worldmodel.planner import LatentDistance
from worldmodel.predictor import Predictor


class CostModel:
    def __init__(
        self, encoder: nn.Module, predictor: Predictor, *, axis: str = "none", evaluator: LatentDistance | None = None
    ) -> None:
        self.encoder, self.predictor, self.axis = encoder.eval(), predictor, axis
        self.evaluator = evaluator or LatentDistance()

    @torch.no_grad()
    def get_cost(self, info: dict[str, Any], candidates: Tensor) -> Tensor:
        if candidates.dim() != 4:
            raise UserError(f"get_cost: candidates have shape {tuple(candidates.shape)}, expected (B, S, H, A)")
        latent, goal = (self.encoder(_image(info, name)) for name in ("image", "goal"))
        state = self.predictor.begin(latent, candidates, self.axis)
        z = latent[:, None].expand(-1, candidates.shape[1], -1)
        path = []
        for t in range(candidates.shape[2]):
            z, state, _ = self.predictor.step(z, candidates[:, :, t], state)
            path.append(z)
        return self.evaluator.cost(torch.stack(path, 2), goal)


def _image(info: dict[str, Any], name: str) -> Tensor:
    if name not in info:
        raise UserError(f"get_cost: info has no {name!r} (found {', '.join(info)}); pass the observation's images")
    image = torch.as_tensor(info[name])
    return image[:, -1] if image.dim() == 5 else image
