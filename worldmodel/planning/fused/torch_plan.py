"""The same plan in torch operations without a branch on a value: what a CUDA graph can hold, and what eager torch runs.

CEMPlanner looks at its costs (a diverged predictor is an error there), which makes the host wait in the midst of a plan.
Nothing here does: on the same noise the actions are CEMPlanner's, bit for bit.
Shapes: B plans, S candidates, V variables, H steps, A action, D latent.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from spikeplan.core.planning import CEMConfig
from spikeplan.worldmodel.planning.costs import LatentDistance
from spikeplan.worldmodel.planning.rollout import unroll


@torch.no_grad()
def torch_plan(
    predict: Callable[[Tensor, Tensor], Tensor],
    config: CEMConfig,
    latent_BD: Tensor,
    goal_BD: Tensor,
    noise_BSVA: Tensor,
    *,
    action_limit: float,
    spread: str = "std",
) -> Tensor:
    """The mean (B, V, A) after the last iteration; its first variable is the action.

    `predict(latent_BSD, action_BSA)` gives the next latents. Nothing is checked: a diverged predictor gives NaN.

    >>> mean_BVA = torch_plan(model.predictor, model.planner, latent_BD, goal_BD, noise_BSVA, action_limit=0.1)
    """
    start_BSD = latent_BD[:, None].expand(-1, config.samples, -1)
    mean = torch.zeros_like(noise_BSVA[:, 0])
    width = torch.full_like(mean, config.sigma * action_limit)
    for _ in range(config.iterations):
        variables = (mean[:, None] + width[:, None] * noise_BSVA).clamp(-action_limit, action_limit)
        held = variables[:, :, :, None].expand(-1, -1, -1, config.chunk, -1)
        actions = held.flatten(2, 3)[:, :, : config.horizon]
        latents = unroll(lambda z, a, state: (predict(z, a), state, []), start_BSD, actions, None).latents_BSHD
        best = LatentDistance.of(config).cost(latents, None, goal_BD).topk(config.elites, dim=1, largest=False).indices
        elite = variables.gather(1, best[..., None, None].expand(-1, -1, *variables.shape[2:]))
        mean = elite.mean(1)
        if spread == "std":
            width = elite.std(1, correction=0)
        else:
            width = (elite - mean[:, None]).abs().mean(1) * math.sqrt(math.pi / 2)
        width = width.clamp_min(config.sigma_floor * action_limit)
    return mean
