"""LIF network in snnTorch: T binary time steps per prediction; x is [z, a] for a predictor, [z, told] for a policy.

    u1[t] = beta u1[t-1] + W1 x + b1               constant input current (graded, injected once per prediction)
    s1[t] = 1[u1[t] > 1], then u1 <- 0
    u2[t] = beta u2[t-1] + W2 s1[t] + b2;  s2 likewise
    out   = W3 (1/T) sum_t s2[t] + b3              a change of z, or an action

Reset to zero without delay of the following input: the form that snnTorch, Norse (`lif_box_feed_forward_step`) and Lava
share. Initialised from a dense ReLU chain by threshold balancing (weights scaled by the layers' activation ranges).
Shapes: R rows, N neurons, T time steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import NamedTuple

import numpy as np
import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from spikeplan.core.compiled import compiled
from spikeplan.core.delta_pass import break_even
from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class LIFConfig:
    time_steps: int = 4
    beta: float = 0.9

    def __post_init__(self) -> None:
        if self.time_steps < 1 or not 0 < self.beta <= 1:
            raise UserError(f"lif: time_steps {self.time_steps} must be >= 1 and beta {self.beta} in (0, 1]")


class LIFRun(NamedTuple):
    """Output, a predictor's change of z (R, D), spikes per hidden layer, summed over T (R, N), and how many these are, where the
    pass counted them."""

    change_RD: Tensor
    spikes: tuple[Tensor, Tensor]
    sent: tuple[int, int] | None = None


def _leaky(beta: float) -> snntorch.Leaky:
    return snntorch.Leaky(beta=beta, threshold=1.0, reset_mechanism="zero", spike_grad=surrogate.atan())


class LIFNetwork(nn.Module):
    def __init__(self, n_in: int, hidden: tuple[int, int], n_out: int, config: LIFConfig) -> None:
        super().__init__()
        self.config = config
        self.w1, self.w2 = nn.Linear(n_in, hidden[0]), nn.Linear(hidden[0], hidden[1])
        self.w3 = nn.Linear(hidden[1], n_out)
        self.lif1, self.lif2 = _leaky(config.beta), _leaky(config.beta)

    @classmethod
    def from_dense(cls, linears: list[nn.Linear], tops: list[float], config: LIFConfig) -> LIFNetwork:
        """`tops`: activation range of each hidden layer; a neuron at its range should fire every step."""
        if len(linears) != 3:
            raise UserError(f"lif: {len(linears)} linear layers; the LIF predictor has exactly 3")
        first, second, last = linears
        net = cls(first.in_features, (first.out_features, second.out_features), last.out_features, config)
        with torch.no_grad():
            for mine, theirs, before, after in zip(
                (net.w1, net.w2, net.w3), linears, (1.0, tops[0], tops[1]), (tops[0], tops[1], 1.0), strict=True
            ):
                mine.weight.copy_(theirs.weight * (before / after))
                mine.bias.copy_(theirs.bias / after)
        return net

    def forward(self, x_RI: Tensor) -> LIFRun:
        current = self.w1(x_RI)
        u1 = torch.zeros_like(current)
        u2 = current.new_zeros(*current.shape[:-1], self.w2.out_features)
        count1, count2 = torch.zeros_like(u1), torch.zeros_like(u2)
        for _ in range(self.config.time_steps):
            s1, u1 = self.lif1(current, u1)
            s2, u2 = self.lif2(self.w2(s1), u2)
            count1, count2 = count1 + s1, count2 + s2
        return LIFRun(self.w3(count2 / self.config.time_steps), (count1, count2))


@torch.no_grad()
def infer(net: LIFNetwork, x_RI: Tensor, *, weight2_t: Tensor | None = None) -> LIFRun:
    """`net(x)` spike by spike: the same recurrence in place, and layer 2's currents of all T steps at once (layer 1 does not look
    back at layer 2).

    Where numba is installed a layer is one sweep of machine code, and W2's rows are gathered where few neurons fire; a gather
    sums in another order than a product, so membranes differ in their last bits. `weight2_t`: W2 transposed and contiguous, for
    callers that ask often.
    """
    loops = compiled()
    if loops is not None:
        return _infer_compiled(loops, net, x_RI, weight2_t)
    t, beta = net.config.time_steps, net.config.beta
    current = net.w1(x_RI)
    spikes1 = _fire([current] * t, beta)
    current2 = net.w2(torch.stack(spikes1))
    count2 = torch.stack(_fire(list(current2), beta)).sum(0)
    return LIFRun(net.w3(count2 / t), (torch.stack(spikes1).sum(0), count2))


def _infer_compiled(loops: ModuleType, net: LIFNetwork, x_RI: Tensor, weight2_t: Tensor | None) -> LIFRun:
    t, lead = net.config.time_steps, x_RI.shape[:-1]
    current = net.w1(x_RI)
    current_1RN = current.reshape(1, -1, current.shape[-1]).numpy()
    _, rows, hidden1 = current_1RN.shape
    hidden2, number = net.w2.out_features, current_1RN.dtype
    beta = number.type(net.config.beta)
    spikes1_TRN = np.empty((t, rows, hidden1), np.uint8)
    count1, count2 = np.empty((rows, hidden1), number), np.empty((rows, hidden2), number)
    sent1 = loops.fire(current_1RN, beta, spikes1_TRN, count1)
    if sent1 < break_even(t * rows, hidden2) * spikes1_TRN.size:
        weight = net.w2.weight.T.contiguous() if weight2_t is None else weight2_t
        sent2 = loops.fire_gathered(spikes1_TRN, weight.numpy(), net.w2.bias.numpy(), beta, count2)
    else:
        current2 = net.w2(torch.from_numpy(spikes1_TRN).to(current.dtype))
        sent2 = loops.fire(current2.numpy(), beta, np.empty((t, rows, hidden2), np.uint8), count2)
    counts = tuple(torch.from_numpy(count).view(*lead, count.shape[-1]) for count in (count1, count2))
    return LIFRun(net.w3(counts[1] / t), (counts[0], counts[1]), (sent1, sent2))


def _fire(currents: list[Tensor], beta: float) -> list[Tensor]:
    """Spikes of one layer: u <- beta u + current; s = 1[u > 1]; u <- u (1 - s)."""
    u = torch.zeros_like(currents[0])
    spikes = []
    for current in currents:
        u.mul_(beta).add_(current)
        s = (u > 1.0).to(u.dtype)
        u.addcmul_(u, s, value=-1.0)
        spikes.append(s)
    return spikes


@dataclass(frozen=True, kw_only=True)
class LIFTraining:
    steps: int = 1500
    rows: int = 256
    rollout: int = 3
    rate_weight: float = 0.05
    rate: float = 1e-3


def finetune_lif(
    net: LIFNetwork,
    latents_NTD: Tensor,
    actions_NTA: Tensor,
    config: LIFTraining,
    *,
    generator: torch.Generator,
    report: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Surrogate-gradient fine-tuning on real rollouts: latents (N, H+1, D) of the dense teacher and actions (N, H, A).

    L = sum_k |z_hat[k] - z[k]|^2 / |z[1] - z[0]|^2 + rate_weight * mean spikes per neuron and time step
    """
    optimizer = torch.optim.AdamW(net.parameters(), config.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.rate, total_steps=config.steps, pct_start=0.1)
    scale = (latents_NTD[:, 1:] - latents_NTD[:, :-1]).square().mean()
    n, frames = latents_NTD.shape[:2]

    def losses(step: int) -> dict[str, Tensor]:
        pick = torch.randint(n, (config.rows,), generator=generator)
        start = torch.randint(frames - config.rollout, (config.rows,), generator=generator)
        z = latents_NTD[pick, start]
        error, rate = z.new_zeros(()), z.new_zeros(())
        for k in range(config.rollout):
            run = net(torch.cat([z, actions_NTA[pick, start + k]], -1))
            z = z + run.change_RD
            error = error + (z - latents_NTD[pick, start + k + 1]).square().mean() / scale
            rate = rate + sum(s.mean() for s in run.spikes) / (2 * net.config.time_steps * config.rollout)
        loss = error / config.rollout + config.rate_weight * rate
        return {"total": loss, "error": error, "rate": rate}

    def tell(step: int, row: dict[str, float]) -> None:
        if report:
            report({"step": step, "error": row["error"] / config.rollout, "rate": row["rate"]})

    descend(
        range(1, config.steps + 1),
        losses,
        optimizer=optimizer,
        schedule=schedule,
        clip=lambda: nn.utils.clip_grad_norm_(net.parameters(), 1.0),
        progress=tell,
    )
