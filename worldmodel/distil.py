"""Distil a predictor into a narrower or another dense one, with the loss and the effort that the spiking networks get.

    1. short  mean |z_hat[k] - z[k]|^2, k = 1..3, from any step of a recorded rollout, large batches
    2. long   mean |z_hat - z|^2 + c mean (J_hat - J)^2 / mean var_s J, over whole rollouts; J as the records judge a future

The narrow network is the opponent that spends fewer MACs honestly, so it must not be trained any less. From scratch the
long loss alone trains badly (method, width 64: .45 success on validation against .97 after the short one).
Shapes: N records, S candidates, H steps, D latent, A action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError


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


class Records(Protocol):
    """N recorded plans of a teacher: start latents, S candidates of H actions in the task's units, the latents it imagined."""

    @property
    def latent_ND(self) -> Tensor: ...
    @property
    def candidates_NSHA(self) -> Tensor: ...
    @property
    def latents_NSHD(self) -> Tensor: ...
    def costs(self, records: Tensor, latents_BSHD: Tensor, actions_BSHA: Tensor) -> Tensor:
        """(B, S), of imagined futures of these records."""
        ...


def distil(
    net: nn.Module,
    data: Sequence[Records],
    config: Distillation,
    *,
    generator: torch.Generator,
    report: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Train `net` in place on a teacher's rollouts: first on spans of three steps, then on whole rollouts and their costs.

    Args:
        net: the student, called as net(latent (..., D), action (..., A)); it ends in evaluation mode.
        data: sets of records, taken by turns.
        generator: draws the batches.
        report: gets a dict per step.

    Raises UserError without a set.

    >>> distil(student, [plans.rollouts()], Distillation(), generator=generator)
    """
    if not data:
        raise UserError("distillation: no records; record plans first")
    tell = report or (lambda row: None)
    net.train()
    _short(net, data, config, generator, tell)
    optimizer = torch.optim.AdamW(net.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.steps, pct_start=0.1)

    def losses(step: int) -> dict[str, Tensor]:
        turn = data[step % len(data)]
        n, samples, horizon, _ = turn.candidates_NSHA.shape
        pick = torch.randint(n, (config.records,), generator=generator)
        some = torch.randperm(samples, generator=generator)[: config.candidates]
        actions, teacher = turn.candidates_NSHA[pick][:, some], turn.latents_NSHD[pick][:, some]
        z = turn.latent_ND[pick][:, None].expand(-1, len(some), -1)
        path = []
        for t in range(horizon):
            z = net(z, actions[:, :, t])
            path.append(z)
        student = torch.stack(path, 2)
        cost, target = (turn.costs(pick, x, actions) for x in (student, teacher))
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
    net: nn.Module,
    data: Sequence[Records],
    config: Distillation,
    generator: torch.Generator,
    tell: Callable[[dict[str, float]], None],
    longest: int = 3,
) -> None:
    paths = [_path(turn) for turn in data]
    span = min(longest, *(turn.candidates_NSHA.shape[2] for turn in data))
    optimizer = torch.optim.AdamW(net.parameters(), config.short_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.short_rate, total_steps=config.short_steps)

    def losses(step: int) -> dict[str, Tensor]:
        path, action = paths[step % len(data)], data[step % len(data)].candidates_NSHA.flatten(0, 1)
        pick = torch.randint(len(path), (config.short_rows,), generator=generator)
        begin = torch.randint(path.shape[1] - span, (config.short_rows,), generator=generator)
        z, loss = path[pick, begin], path.new_zeros(())
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


def _path(records: Records) -> Tensor:
    """(N S, H + 1, D): each candidate's latents, the start in front."""
    start = records.latent_ND[:, None, None].expand(-1, records.candidates_NSHA.shape[1], 1, -1)
    return torch.cat([start, records.latents_NSHD], 2).flatten(0, 1)
