"""LIF predictor in snnTorch: T binary time steps per prediction.

    u1[t] = beta u1[t-1] + W1 [z, a] + b1          constant input current (graded, injected once per prediction)
    s1[t] = 1[u1[t] > 1], then u1 <- 0
    u2[t] = beta u2[t-1] + W2 s1[t] + b2;  s2 likewise
    z'    = z + W3 (1/T) sum_t s2[t] + b3

Reset to zero without delay of the following input: the form that snnTorch, Norse (`lif_box_feed_forward_step`) and Lava
share. Initialised from a dense ReLU chain by threshold balancing (weights scaled by the layers' activation ranges).
Shapes: R rows, N neurons, T time steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import snntorch
import torch
from snntorch import surrogate
from torch import Tensor, nn

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import WEIGHT_BITS, limit
from spikeplan.core.groups import NeuronGroups, lif_network

WEIGHT_TOP = limit(WEIGHT_BITS)


@dataclass(frozen=True, kw_only=True)
class LIFConfig:
    time_steps: int = 4
    beta: float = 0.9

    def __post_init__(self) -> None:
        if self.time_steps < 1 or not 0 < self.beta <= 1:
            raise UserError(f"lif: time_steps {self.time_steps} must be >= 1 and beta {self.beta} in (0, 1]")


class LIFRun(NamedTuple):
    """Change of z (R, D) and spikes per hidden layer, summed over T (R, N)."""

    change_RD: Tensor
    spikes: tuple[Tensor, Tensor]


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
def infer(net: LIFNetwork, x_RI: Tensor) -> LIFRun:
    """`net(x)` spike by spike, 2.5 times as fast: the same recurrence in place, and W2 applied to all T steps at once
    (layer 1 does not look back at layer 2)."""
    t, beta = net.config.time_steps, net.config.beta
    current = net.w1(x_RI)
    spikes1 = _fire([current] * t, beta)
    current2 = net.w2(torch.stack(spikes1))
    count2 = torch.stack(_fire(list(current2), beta)).sum(0)
    return LIFRun(net.w3(count2 / t), (torch.stack(spikes1).sum(0), count2))


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


class LIFPredictor:
    """The LIF network as a planner's predictor; no reference but `zero`: every prediction starts from rest.

    Shapes: B episodes, S candidates, D latent, A action; real units in and out.

    >>> predictor = LIFPredictor(network)
    >>> latent_BSD, _, counts = predictor.step(latent_BSD, action_BSA, predictor.begin(latent_BD, candidates_BSHA))
    """

    references = ("zero",)
    spiking = True
    precision = "int8"

    def __init__(self, network: LIFNetwork) -> None:
        """Weights are rounded to 8 bits per tensor, as a chip would hold them; membrane arithmetic stays floating."""
        first, second, out = network.w1, network.w2, network.w3
        sizes = (first.out_features, second.out_features)
        self.network = LIFNetwork(first.in_features, sizes, out.out_features, network.config).eval()
        with torch.no_grad():
            ours = (self.network.w1, self.network.w2, self.network.w3)
            for mine, theirs in zip(ours, (first, second, out), strict=True):
                unit = theirs.weight.abs().max().clamp_min(1e-12) / WEIGHT_TOP
                mine.weight.copy_((theirs.weight / unit).round() * unit)
                mine.bias.copy_(theirs.bias)

    @property
    def _linears(self) -> dict[str, nn.Linear]:
        return {"h1": self.network.w1, "h2": self.network.w2, "out": self.network.w3}

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        """A prediction takes T steps; the layers start one after the other."""
        t = self.network.config.time_steps
        return t + len(self._linears), t

    def memory(self) -> dict[str, tuple[int, int]]:
        """Layer -> (bytes of weights, bytes of states): 8-bit weights, one 24-bit state a neuron."""
        return {name: (m.weight.numel(), 3 * m.out_features) for name, m in self._linears.items()}

    def weights_left(self) -> dict[str, int]:
        """Weights that are not zero, by layer."""
        return {name: int(m.weight.count_nonzero()) for name, m in self._linears.items()}

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups:
        """u and v in every neuron; a LIF network keeps no contexts."""
        sizes = (self.network.w1.in_features, *(m.out_features for m in self._linears.values()))
        return lif_network(sizes, self.network.config.time_steps, chip)

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str = "zero", previous: Any = None) -> None:
        """Nothing to prepare. Raises UserError for a reference that is not "zero"."""
        if reference not in self.references:
            raise UserError(f"reference {reference!r} is not offered by the LIF predictor; use zero")

    @torch.no_grad()
    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: None) -> tuple[Tensor, None, list[LayerCounts]]:
        """One prediction of B x S latents in real units: the next latents, no state, and the operations of each layer."""
        net = self.network
        x = torch.cat([latent_BSD, action_BSA], -1)
        run = infer(net, x)
        rows, t = x.shape[0] * x.shape[1], net.config.time_steps
        sent = [int(spikes.sum()) for spikes in run.spikes]
        layers = (net.w1, net.w2, net.w3)
        common = [
            LayerCounts(  # the input is injected once per prediction as graded currents
                layer="code",
                synops=rows * net.w1.weight.numel(),
                updates=rows * t * net.w1.in_features,
                updates_active=rows * net.w1.in_features,
                messages=rows * net.w1.in_features,
                message_bits=8 * rows * net.w1.in_features,
                calls=rows,
            ),
        ]
        for i, (layer, out) in enumerate(zip(layers, (net.w2, net.w3, None), strict=True)):
            spikes = sent[i] if i < 2 else 0
            common.append(
                LayerCounts(
                    layer=f"h{i + 1}" if i < 2 else "out",
                    synops=spikes * (out.out_features if out is not None else 0),
                    updates=rows * t * layer.out_features,
                    updates_active=spikes if i < 2 else rows * layer.out_features,
                    messages=spikes,
                    message_bits=spikes,
                    dense_macs=rows * layer.weight.numel(),
                    calls=rows,
                )
            )
        # Rest before every prediction, and each candidate's own z: charged like the other methods' stored states.
        for name, neurons in (("rest", net.w1.out_features + net.w2.out_features), ("z", net.w3.out_features)):
            common.append(LayerCounts(layer=name, state_restores=rows * neurons))
        return latent_BSD + run.change_RD, None, common


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
