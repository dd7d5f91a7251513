"""Differentiable twin of a sigma-delta chain: what event-rate fine-tuning trains.

    x_hat = ref + g q,   d = x - ref,   g = 1[|d| >= theta_l],   q = M trunc(d / M)

The gate is hard forward and a sigmoid of width theta/3 backward; trunc passes its gradient straight through. Messages are
counted; their gradient is that of |d| / (|d| + theta), which reaches neurons far above the threshold too. A message of neuron j
costs a synop for each weight that leaves it and is not zero; a neuron that remains is updated whether it sends or not.
Shapes: B records, S candidates, H steps, D latent, A action; N neurons of a layer.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikeplan.core.ir.artifact import Artifact

SMOOTHING = 0.05  # of a neuron's message rate, each pass


class Sent(NamedTuple):
    """One pass: output, the new references of each sending layer, its messages a pass (layers,), and the synops of a pass."""

    out: Tensor
    refs: list[Tensor]
    messages: Tensor
    synops: Tensor


class SendingChain(nn.Module):
    """`linears`, log thresholds, fixed message steps. Inputs from number `plain` on are stretched as the artifact says."""

    def __init__(self, linears: list[nn.Linear], artifact: Artifact, *, plain: int | None = None) -> None:
        super().__init__()
        self.linears = nn.ModuleList(linears)
        self.widths = [linear.in_features for linear in linears]
        scale = artifact.scales["latent"]
        stretch = torch.ones(self.widths[0])
        if plain is not None:
            stretch[plain:] = scale / artifact.scales["action"]
        self.stretch: Tensor
        self.register_buffer("stretch", stretch)
        message = [scale * 2 ** artifact.layers[0].shift]
        self.message: list[float] = []
        thresholds: list[float] = []
        for i, layer in enumerate(artifact.layers[:-1]):
            lsb = message[-1] / 2**layer.shift
            self.message.append(message[-1])
            thresholds.append(layer.threshold_lsb * lsb)
            following = artifact.layers[i + 1]
            if following.kind == "sigma_delta":
                real = linears[i].weight.detach()
                unit = float((real / stretch if i == 0 else real).abs().max()) / 127.0
                message.append(unit * message[-1] * 2**following.shift)
        self.log_threshold = nn.Parameter(torch.tensor(thresholds).log())
        self.rates = [torch.zeros(n) for n in self.widths]  # messages a pass of each neuron, smoothed over passes
        self.awake: list[Tensor] | None = None

    def watch(self) -> None:
        """From now on `awake` tells which neurons of each sending layer ever sent (N,)."""
        self.awake = [torch.zeros(n, dtype=torch.bool) for n in self.widths]

    @property
    def fan_out(self) -> Tensor:
        """Synops of a message of each sending layer (layers,)."""
        return torch.tensor([float(weight.shape[0]) for weight in self._weights])

    @property
    def macs(self) -> float:
        """Of one dense pass."""
        return float(sum(weight.numel() for weight in self._weights))

    def remaining(self) -> Tensor:
        """Neurons that are updated in a pass: inputs, outputs, and hidden ones that both read and are read by a weight.

        Forward a count; backward n / (n + mean n) of each, n = |weights in| |weights out|: one of little use fades.
        """
        weights = self._weights
        total = weights[0].new_tensor(float(self.widths[0] + weights[-1].shape[0]))
        for into, out in pairwise(weights):
            strength = into.square().sum(1).add(1e-12).sqrt() * out.square().sum(0).add(1e-12).sqrt()
            soft = strength / (strength + strength.detach().mean())
            alive = (into != 0).any(1) & (out != 0).any(0)
            total = total + (alive.to(soft.dtype) + soft - soft.detach()).sum()
        return total

    @property
    def _weights(self) -> list[Tensor]:
        return [linear.weight for linear in self.linears if isinstance(linear, nn.Linear)]

    def thresholds(self) -> tuple[float, ...]:
        """Of each sending layer, in real units."""
        return tuple(self.log_threshold.detach().exp().tolist())

    def silent(self, like: Tensor) -> list[Tensor]:
        """The zero references, broadcastable to any rows."""
        return [like.new_zeros(n) for n in self.widths]

    def sent(self, x: Tensor, refs: list[Tensor], charged: Tensor | None = None) -> Sent:
        """One pass of inputs (..., I) from `refs` (broadcastable). `charged`: the share of each input's synops (I,) that this
        pass pays, where others have some of it in common; None: all of them."""
        x = x * self.stretch
        new, sent, synops, weights = [], [], x.new_zeros(()), self._weights
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
            sends = (size >= theta).flatten(0, -2)
            rate = (sends.to(d.dtype) + (reach - reach.detach()).flatten(0, -2)).mean(0)
            sent.append(rate.sum())
            leaving = weights[i].ne(0).sum(0)
            synops = synops + (rate * (leaving if i or charged is None else leaving * charged)).sum()
            self.rates[i].lerp_(rate.detach(), SMOOTHING)
            if self.awake is not None:
                self.awake[i] |= sends.any(0)
            x = linear(ref / self.stretch if i == 0 else ref)
            if i + 1 < len(self.linears):
                x = x.relu()
        return Sent(x, new, torch.stack(sent), synops)


class DeltaChain(SendingChain):
    """Of a residual predictor: [z, a] in, the next z out."""

    def __init__(self, linears: list[nn.Linear], artifact: Artifact) -> None:
        super().__init__(linears, artifact, plain=linears[-1].out_features)

    def run(self, z: Tensor, action: Tensor, refs: list[Tensor]) -> Sent:
        """One prediction from `refs`."""
        done = self.sent(torch.cat([z, action], -1), refs)
        return done._replace(out=z + done.out)

    def rollout(
        self,
        z_BD: Tensor,
        actions_BSHA: Tensor,
        mean_BHA: Tensor | None,
        mean_share: float = 0.0,
        *,
        carried: bool = False,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latents (B, S, H, D), messages per candidate pass (layers,) and its synops. `mean_BHA` None: reference zero, or the
        candidate's own step before where `carried`; else the mean's, its own pass counted with weight `mean_share` = 1 / S."""
        s, horizon = actions_BSHA.shape[1:3]
        refs = self.silent(z_BD)
        z, zm = z_BD[:, None].expand(-1, s, -1), z_BD[:, None]
        path, total, paid = [], z_BD.new_zeros(len(self.widths)), z_BD.new_zeros(())
        for t in range(horizon):
            if mean_BHA is not None:
                zm, refs, mean_sent, mean_synops = self.run(zm, mean_BHA[:, None, t], refs)
                total, paid = total + mean_share * mean_sent, paid + mean_share * mean_synops
            z, new, sent, synops = self.run(z, actions_BSHA[:, :, t], refs)
            refs = new if carried else refs
            path.append(z)
            total, paid = total + sent, paid + synops
        return torch.stack(path, 2), total / horizon, paid / horizon
