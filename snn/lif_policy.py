"""The LIF network as a planner's policy: T binary time steps from [z, told] to an action.

    a = limit * clip(W3 (1/T) sum_t s2[t] + b3, -1, 1)         s2 as in snn/lif.py

Initialised from a dense policy by threshold balancing, then fine-tuned to its actions. Every action starts from rest.
Shapes: B episodes, S copies, N pairs, D latent, A action; actions in the task's units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spikeplan.core.counts.operations import POLICY_PREFIX, LayerCounts
from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError
from spikeplan.snn.lif import LIFNetwork
from spikeplan.snn.lif_on_chip import LIFOnChip


class LIFPolicy(LIFOnChip):
    """`action_limit`: actions are clipped to plus and minus this, in the task's units. `places`: it is told where not to go, too.
    `prefix`: of its layers' names; that of a cost-to-go makes it one, whose limit is a cost.

    Raises UserError for a limit that is not above 0 and for a network that takes no such latents.

    >>> action_BSA, counts = LIFPolicy(network, action_limit=0.08).act(latent_BSD, told_BG)
    """

    def __init__(
        self, network: LIFNetwork, *, action_limit: float, places: bool = False, prefix: str = POLICY_PREFIX
    ) -> None:
        if not (math.isfinite(action_limit) and action_limit > 0):
            raise UserError(f"policy: action limit {action_limit} must be finite and above 0")
        if network.w1.in_features % (2 + places):
            what = "latent, goal and mean of places" if places else "latent and goal"
            raise UserError(f"policy: {network.w1.in_features} inputs are no {what} of one width")
        super().__init__(network, prefix=prefix)
        self.action_limit, self.places = action_limit, places

    @torch.no_grad()
    def act(self, latent_BSD: Tensor, told_BG: Tensor) -> tuple[Tensor, list[LayerCounts]]:
        """Real latents in, real actions out, clipped; the operations of each layer."""
        run, counts = self.infer(torch.cat([latent_BSD, told_BG[:, None].expand(-1, latent_BSD.shape[1], -1)], -1))
        return self.action_limit * run.change_RD.clamp(-1.0, 1.0), counts


@dataclass(frozen=True, kw_only=True)
class LIFPolicyTraining:
    """`rate_weight`: of the mean spikes of a neuron and time step, beside an L1 loss in action limits."""

    steps: int = 3000
    rows: int = 256
    rate: float = 2e-3
    rate_weight: float = 0.05

    def __post_init__(self) -> None:
        if min(self.steps, self.rows) < 1 or not self.rate > 0 or not self.rate_weight >= 0:
            raise UserError(
                f"lif policy: steps {self.steps} and rows {self.rows} must be at least 1, rate {self.rate} above 0 and "
                f"rate_weight {self.rate_weight} at least 0"
            )


def finetune_lif_policy(
    net: LIFNetwork,
    latent_ND: Tensor,
    told_NG: Tensor,
    target_NA: Tensor,
    config: LIFPolicyTraining,
    *,
    generator: torch.Generator,
    report: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Surrogate-gradient fine-tuning to the dense policy's actions: `target_NA` in action limits, within plus and minus 1.

    L = mean |net([z, told]) - a| + rate_weight * mean spikes per neuron and time step
    """
    optimizer = torch.optim.AdamW(net.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.steps, pct_start=0.1)
    x_NI = torch.cat([latent_ND, told_NG], -1)

    def losses(step: int) -> dict[str, Tensor]:
        pick = torch.randint(len(x_NI), (config.rows,), generator=generator)
        run = net(x_NI[pick])
        error = (run.change_RD - target_NA[pick]).abs().mean()
        rate = torch.stack([spikes.mean() for spikes in run.spikes]).mean() / net.config.time_steps
        return {"total": error + config.rate_weight * rate, "error": error, "rate": rate}

    descend(
        range(1, config.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=lambda: nn.utils.clip_grad_norm_(net.parameters(), 1.0),
        progress=lambda step, row: (
            report({"step": step, "error": row["error"], "rate": row["rate"]}) if report else None
        ),
    )
