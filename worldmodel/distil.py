"""Distil a predictor into a narrower dense one, with the loss and the effort that the spiking networks get.

    1. short  mean |z_hat[k] - z[k]|^2, k = 1..3, from any step of a recorded rollout, large batches
    2. long   mean |z_hat - z|^2 + c mean (J_hat - J)^2 / mean var_s J, over whole rollouts

The narrow network is the opponent that spends fewer MACs honestly, so it must not be trained any less. From scratch the
long loss alone trains badly (method, width 64: .45 success on validation against .97 after the short one).
Shapes: N records, S candidates, H steps, D latent, A action.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeplan.core.descent import descend
from spikeplan.worldmodel.predictor import ResidualPredictor


@dataclass(frozen=True, kw_only=True)
class Distillation:
    short_steps: int = 12_000
    short_rows: int = 512
    steps: int = 1000
    records: int = 16
    candidates: int = 16
    cost_weight: float = 0.5
    short_rate: float = 2e-3
    rate: float = 5e-4


def distil(
    net: ResidualPredictor,
    latent_ND: Tensor,
    goal_ND: Tensor,
    candidates_NSHA: Tensor,
    latents_NSHD: Tensor,
    config: Distillation,
    *,
    generator: torch.Generator,
    report: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Train `net` in place on a teacher's rollouts: first on spans of three steps, then on whole rollouts and their costs.

    Args:
        net: the student; it ends in evaluation mode.
        latent_ND, goal_ND: N recorded plans' starts and goals.
        candidates_NSHA: their S candidates of H actions, in the task's units.
        latents_NSHD: what the teacher imagined from `latent_ND` under these candidates.
        generator: draws the batches.
        report: gets a dict per step.

    >>> distil(student, latent_ND, goal_ND, candidates_NSHA, latents_NSHD, Distillation(), generator=generator)
    """
    tell = report or (lambda row: None)
    net.train()
    _short(net, latent_ND, candidates_NSHA, latents_NSHD, config, generator, tell)
    optimizer = torch.optim.AdamW(net.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.steps, pct_start=0.1)
    n, samples, horizon, _ = candidates_NSHA.shape

    def losses(step: int) -> dict[str, Tensor]:
        pick = torch.randint(n, (config.records,), generator=generator)
        some = torch.randperm(samples, generator=generator)[: config.candidates]
        actions, teacher = candidates_NSHA[pick][:, some], latents_NSHD[pick][:, some]
        goal = goal_ND[pick][:, None, None]
        z = latent_ND[pick][:, None].expand(-1, len(some), -1)
        path = []
        for t in range(horizon):
            z = net(z, actions[:, :, t])
            path.append(z)
        student = torch.stack(path, 2)
        cost, target = ((x - goal).abs().sum((-1, -2)) for x in (student, teacher))
        error = (student - teacher).square().mean()
        ranking = (cost - target).square().mean() / target.var(1).mean().clamp_min(1e-6)
        loss = error + config.cost_weight * ranking
        return {"total": loss, "prediction": error, "ranking": ranking}

    descend(
        range(config.short_steps + 1, config.short_steps + config.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=lambda: nn.utils.clip_grad_norm_(net.parameters(), 1.0),
        progress=lambda step, row: tell({"step": step, "prediction": row["prediction"], "ranking": row["ranking"]}),
    )
    net.eval()


def _short(
    net: ResidualPredictor,
    latent_ND: Tensor,
    candidates_NSHA: Tensor,
    latents_NSHD: Tensor,
    config: Distillation,
    generator: torch.Generator,
    tell: Callable[[dict[str, float]], None],
    span: int = 3,
) -> None:
    n, samples, horizon, _ = candidates_NSHA.shape
    start = latent_ND[:, None, None].expand(-1, samples, 1, -1)
    path = torch.cat([start, latents_NSHD], 2).flatten(0, 1)
    action = candidates_NSHA.flatten(0, 1)
    span = min(span, horizon)
    optimizer = torch.optim.AdamW(net.parameters(), config.short_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.short_rate, total_steps=config.short_steps)

    def losses(step: int) -> dict[str, Tensor]:
        pick = torch.randint(n * samples, (config.short_rows,), generator=generator)
        begin = torch.randint(horizon + 1 - span, (config.short_rows,), generator=generator)
        z, loss = path[pick, begin], latent_ND.new_zeros(())
        for k in range(span):
            z = net(z, action[pick, begin + k])
            loss = loss + (z - path[pick, begin + k + 1]).square().mean()
        return {"total": loss}

    descend(
        range(1, config.short_steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=None,
        progress=lambda step, row: tell({"step": step, "prediction": row["total"] / span}),
    )
