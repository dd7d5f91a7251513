"""Event-rate fine-tuning of a ReLU chain for one reference, with learned thresholds.

    x_hat = ref + g q,   d = x - ref,   g = 1[|d| >= theta_l],   q = M trunc(d / M)
    L     = mean |z_hat - z|^2 + mean (J_hat - J)^2 / mean var_s J
            + lambda sum_l fan_out_l rate_l / sum_l fan_in_l fan_out_l

z and J are latents and costs of the dense teacher on rollouts recorded from real planning; z_hat is the chain run the
way the chip runs it on the reference (`none`: ref = 0; `mean`: candidates compared with the mean candidate at the same step,
the mean with itself one step before). The gate is hard forward and a sigmoid of width theta/3 backward; trunc passes
its gradient straight through. rate_l is the number of messages of layer l in one pass, the mean's own pass included;
its gradient is that of |d| / (|d| + theta), which reaches neurons far above the threshold too.
Shapes: B records, S candidates, H steps, D latent, A action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact

Judge = Callable[[Tensor, Tensor, Tensor], Tensor]


class Rollouts(NamedTuple):
    """Recorded planning: start latents, goals, all candidates and the dense teacher's latents after each step.

    `judge(records, latents_BSHD, actions_BSHA)` -> costs (B, S), where a plan was for more than its goal; None: the L1 distance
    to the goal, summed over steps.
    """

    latent_ND: Tensor
    goal_ND: Tensor
    candidates_NSHA: Tensor
    latents_NSHD: Tensor
    judge: Judge | None = None

    def costs(self, records: Tensor, latents_BSHD: Tensor, actions_BSHA: Tensor) -> Tensor:
        """Of imagined futures of these records."""
        if self.judge is not None:
            return self.judge(records, latents_BSHD, actions_BSHA)
        return (latents_BSHD - self.goal_ND[records][:, None, None]).abs().sum((-1, -2))


@dataclass(frozen=True, kw_only=True)
class DeltaTraining:
    steps: int = 700
    records: int = 16
    candidates: int = 16
    rate_weight: float = 0.5
    cost_weight: float = 0.5
    rate: float = 7e-4
    threshold_rate: float = 2e-2
    reference: str = "zero"

    def __post_init__(self) -> None:
        if self.reference not in ("zero", "mean_candidate"):
            raise UserError(f"fine-tuning on reference {self.reference!r} is not offered; use none or mean")
        if min(self.steps, self.records, self.candidates) < 1:
            raise UserError(
                f"fine-tuning: steps {self.steps}, records {self.records}, candidates {self.candidates} must be >= 1"
            )


class DeltaChain(nn.Module):
    """Differentiable twin of the integer network: `linears`, log thresholds, fixed message steps."""

    def __init__(self, linears: list[nn.Linear], artifact: Artifact) -> None:
        super().__init__()
        self.linears = nn.ModuleList(linears)
        self.widths = [linear.in_features for linear in linears]
        self.latent_dim = linears[-1].out_features
        scale = artifact.scales["latent"]
        self.stretch = scale / artifact.scales["action"]
        message = [scale * 2 ** artifact.layers[0].shift]
        self.message: list[float] = []
        thresholds: list[float] = []
        for i, layer in enumerate(artifact.layers[:-1]):
            lsb = message[-1] / 2**layer.shift
            self.message.append(message[-1])
            thresholds.append(layer.threshold_lsb * lsb)
            following = artifact.layers[i + 1]
            if following.kind == "sigma_delta":
                real = linears[i].weight.detach().clone()
                if i == 0:
                    real[:, self.latent_dim :] /= self.stretch
                unit = float(real.abs().max()) / 127.0
                message.append(unit * message[-1] * 2**following.shift)
        self.log_threshold = nn.Parameter(torch.tensor(thresholds).log())

    def thresholds(self) -> tuple[float, ...]:
        return tuple(self.log_threshold.detach().exp().tolist())

    def run(self, z: Tensor, action: Tensor, refs: list[Tensor]) -> tuple[Tensor, list[Tensor], Tensor]:
        """One pass from `refs` (broadcastable); returns next z, new refs, messages per pass of each sending layer."""
        x = torch.cat([z, action * self.stretch], -1)
        new, sent = [], []
        for i, linear in enumerate(self.linears):
            theta = self.log_threshold[i].exp()
            d = x - refs[i]
            size = d.abs()
            soft = torch.sigmoid((size - theta) * (3.0 / theta.detach()))
            gate = (size >= theta).to(d.dtype) + soft - soft.detach()
            m = self.message[i]
            q = d + ((d / m).trunc() * m - d).detach()
            ref = refs[i] + gate * q
            new.append(ref)
            reach = size / (size + theta)
            sent.append(((size >= theta).to(d.dtype) + reach - reach.detach()).sum(-1).mean())
            y = ref
            if i == 0:
                y = torch.cat([ref[..., : self.latent_dim], ref[..., self.latent_dim :] / self.stretch], -1)
            x = linear(y)
            if i + 1 < len(self.linears):
                x = x.relu()
        return z + x, new, torch.stack(sent)

    def rollout(
        self, z_BD: Tensor, actions_BSHA: Tensor, mean_BHA: Tensor | None, mean_share: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Latents (B, S, H, D) and messages per candidate pass (layers,). `mean_BHA` None: reference zero; else reference
        `mean`, its own pass counted with weight `mean_share` = 1 / S."""
        b, s, horizon, _ = actions_BSHA.shape
        refs = [z_BD.new_zeros(b, 1, n) for n in self.widths]
        z, zm = z_BD[:, None].expand(-1, s, -1), z_BD[:, None]
        path, total = [], z_BD.new_zeros(len(self.widths))
        for t in range(horizon):
            if mean_BHA is not None:
                zm, refs, mean_sent = self.run(zm, mean_BHA[:, None, t], refs)
                total = total + mean_share * mean_sent
            z, _, sent = self.run(z, actions_BSHA[:, :, t], refs)
            path.append(z)
            total = total + sent
        return torch.stack(path, 2), total / horizon


def finetune_delta(
    chain: DeltaChain,
    data: Sequence[Rollouts],
    config: DeltaTraining,
    *,
    generator: torch.Generator,
    report: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Train `chain` in place, on the sets of records by turns. Raises UserError without a set."""
    if not data:
        raise UserError("fine-tuning: no records; record plans first")
    linears = [linear for linear in chain.linears if isinstance(linear, nn.Linear)]
    fan_out = torch.tensor([float(linear.out_features) for linear in linears])
    dense = float(sum(linear.weight.numel() for linear in linears))
    optimizer = torch.optim.AdamW(
        [
            {"params": chain.linears.parameters(), "lr": config.rate},
            {"params": [chain.log_threshold], "lr": config.threshold_rate, "weight_decay": 0.0},
        ]
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [config.rate, config.threshold_rate], total_steps=config.steps, pct_start=0.1
    )

    def losses(step: int) -> dict[str, Tensor]:
        turn = data[step % len(data)]
        n, s_all = turn.candidates_NSHA.shape[:2]
        pick = torch.randint(n, (config.records,), generator=generator)
        some = torch.randperm(s_all, generator=generator)[: config.candidates]
        candidates = turn.candidates_NSHA[pick]
        teacher = turn.latents_NSHD[pick][:, some]
        mean = candidates.mean(1) if config.reference == "mean_candidate" else None
        z, sent = chain.rollout(turn.latent_ND[pick], candidates[:, some], mean, 1 / s_all)
        prediction = (z - teacher).square().mean()
        cost, target = (turn.costs(pick, x, candidates[:, some]) for x in (z, teacher))
        ranking = (cost - target).square().mean() / target.var(1).mean().clamp_min(1e-6)
        density = (sent * fan_out).sum() / dense
        loss = prediction + config.cost_weight * ranking + config.rate_weight * density
        return {"total": loss, "prediction": prediction, "ranking": ranking, "density": density}

    def tell(step: int, row: dict[str, float]) -> None:
        if report:
            report({"step": step, **{name: row[name] for name in ("prediction", "ranking", "density")}})

    descend(
        range(1, config.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=lambda: nn.utils.clip_grad_norm_(chain.parameters(), 1.0),
        progress=tell,
    )
