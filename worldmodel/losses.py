"""JEPA training losses on short clips: predict the next latents, keep the latent from collapsing.

    L = tf + rollout + v var + c cov + s time + i idm
    tf       mean |f(z[t], a[t]) - z[t+1]|^2                      teacher forcing
    rollout  the same, predicted from z[0] through all steps
    var      mean relu(1 - std(z_d))                              VICReg (Bardes 2022, eq. 1)
    cov      sum of squared off-diagonal covariances / D          VICReg (eq. 3)
    time     mean |z[t+1] - z[t]|^2                               slow features
    idm      mean |g(z[t], z[t+1]) - a[t]/limit|^2                inverse dynamics: what the action moved must be in z

Shapes: B clips, T frames, D latent, A action (B, T-1, A).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    variance: float = 16.0
    covariance: float = 8.0
    time: float = 1.0
    inverse: float = 1.0


def jepa_losses(
    latent_BTD: Tensor,
    action_BTA: Tensor,
    predictor: Callable[[Tensor, Tensor], Tensor],
    inverse: nn.Module,
    w: LossWeights,
) -> dict[str, Tensor]:
    """All terms, unweighted, and their weighted sum under `total`. Actions in units of the limit for `idm`."""
    before, after = latent_BTD[:, :-1], latent_BTD[:, 1:]
    teacher = (predictor(before, action_BTA) - after).square().mean()
    z = latent_BTD[:, 0]
    rollout = latent_BTD.new_zeros(())
    steps = action_BTA.shape[1]
    for t in range(steps):
        z = predictor(z, action_BTA[:, t])
        rollout = rollout + (z - latent_BTD[:, t + 1]).square().mean() / steps
    flat = latent_BTD.flatten(0, 1)
    centred = flat - flat.mean(0)
    covariance = centred.T @ centred / (len(flat) - 1)
    variance_loss = torch.relu(1 - covariance.diagonal().clamp_min(1e-6).sqrt()).mean()
    off_diagonal = covariance - torch.diag(covariance.diagonal())
    covariance_loss = off_diagonal.square().sum() / flat.shape[1]
    time = (after - before).square().mean()
    idm = (inverse(torch.cat([before, after], -1)) - action_BTA).square().mean()
    total = (
        teacher
        + rollout
        + w.variance * variance_loss
        + w.covariance * covariance_loss
        + w.time * time
        + w.inverse * idm
    )
    return {
        "total": total,
        "teacher": teacher,
        "rollout": rollout,
        "variance": variance_loss,
        "covariance": covariance_loss,
        "time": time,
        "inverse": idm,
    }
