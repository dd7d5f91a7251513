"""Event-rate fine-tuning of a ReLU chain for one reference, with learned thresholds.

    L     = mean |z_hat - z|^2 + mean (J_hat - J)^2 / mean var_s J
            + lambda sum_l fan_out_l rate_l / sum_l fan_in_l fan_out_l

z and J are latents and costs of the dense teacher on rollouts recorded from real planning; z_hat is the chain run the way the
chip runs it on the reference (`zero`: ref = 0; `previous_step`: what the candidate sent one step before; `mean_candidate`: what
the mean candidate sent at the same step, its own passes compared with each other). rate_l is the number of messages of layer l in
one pass, the mean's own pass included.
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
from spikeplan.snn.delta_chain import DeltaChain
from spikeplan.snn.sparse_training import Part, Pruner, SparseTraining

Judge = Callable[[Tensor, Tensor, Tensor], Tensor]

TRAINED = ("zero", "previous_step", "mean_candidate")


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
        if self.reference not in TRAINED:
            raise UserError(f"fine-tuning on reference {self.reference!r} is not offered; use {', '.join(TRAINED)}")
        if min(self.steps, self.records, self.candidates) < 1:
            raise UserError(
                f"fine-tuning: steps {self.steps}, records {self.records}, candidates {self.candidates} must be >= 1"
            )


def finetune_delta(
    chain: DeltaChain,
    data: Sequence[Rollouts],
    config: DeltaTraining,
    *,
    generator: torch.Generator,
    report: Callable[[dict[str, float]], None] | None = None,
    sparse: SparseTraining | None = None,
) -> None:
    """Train `chain` in place, on the sets of records by turns. `sparse`: what is taken out meanwhile; synops are then those of
    the weights that are left. Raises UserError without a set."""
    if not data:
        raise UserError("fine-tuning: no records; record plans first")

    def losses(step: int) -> dict[str, Tensor]:
        return delta_losses(chain, data[step % len(data)], config, generator, stored=sparse is not None)

    def tell(step: int, row: dict[str, float]) -> None:
        if report:
            report({"step": step, **{name: row[name] for name in ("prediction", "ranking", "density")}})

    horizon = max(turn.candidates_NSHA.shape[2] for turn in data)
    pruner = None if sparse is None else Pruner([Part(chain, horizon, 1.0)], sparse, config.steps)
    train_chains(chain, losses, config, tell, pruner)


def train_chains(
    chains: nn.Module,
    losses: Callable[[int], dict[str, Tensor]],
    config: DeltaTraining,
    progress: Callable[[int, dict[str, float]], None],
    pruner: Pruner | None = None,
) -> None:
    """Descends the losses of one chain or several: weights at one rate, thresholds at another and without decay.

    `pruner`: takes weights out meanwhile.
    """
    parts: dict[bool, list[nn.Parameter]] = {False: [], True: []}
    for name, parameter in chains.named_parameters():
        parts[name.endswith("log_threshold")].append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {"params": parts[False], "lr": config.rate},
            {"params": parts[True], "lr": config.threshold_rate, "weight_decay": 0.0},
        ]
    )
    rates = [config.rate, config.threshold_rate]

    def clip() -> None:
        if pruner is not None:
            pruner.see_gradients()
        nn.utils.clip_grad_norm_(chains.parameters(), 1.0)

    def stepped(step: int, row: dict[str, float]) -> None:
        if pruner is not None:
            pruner.prune(step)
        progress(step, row)

    descend(
        range(1, config.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.OneCycleLR(optimizer, rates, total_steps=config.steps, pct_start=0.1),
        clip=clip,
        progress=stepped,
    )


def delta_losses(
    chain: DeltaChain,
    turn: Rollouts,
    config: DeltaTraining,
    generator: torch.Generator,
    *,
    stored: bool = False,
) -> dict[str, Tensor]:
    """The terms of one step on some of a set's records and candidates; `total` is their weighted sum. `stored`: weights of zero
    take part in no synop."""
    n, s_all = turn.candidates_NSHA.shape[:2]
    pick = torch.randint(n, (config.records,), generator=generator)
    some = torch.randperm(s_all, generator=generator)[: config.candidates]
    candidates = turn.candidates_NSHA[pick]
    teacher = turn.latents_NSHD[pick][:, some]
    mean = candidates.mean(1) if config.reference == "mean_candidate" else None
    carried = config.reference == "previous_step"
    z, sent, synops = chain.rollout(turn.latent_ND[pick], candidates[:, some], mean, 1 / s_all, carried=carried)
    prediction = (z - teacher).square().mean()
    cost, target = (turn.costs(pick, x, candidates[:, some]) for x in (z, teacher))
    ranking = (cost - target).square().mean() / target.var(1).mean().clamp_min(1e-6)
    density = (synops if stored else (sent * chain.fan_out).sum()) / chain.macs
    loss = prediction + config.cost_weight * ranking + config.rate_weight * density
    return {"total": loss, "prediction": prediction, "ranking": ranking, "density": density}
