"""A rate-coded network as a planner's predictor. Every prediction starts from rest, so its only reference is `zero`.

Shapes: B episodes, S candidates, H steps, D latent, A action; real units in and out.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.groups import NeuronGroups, lif_network
from spikeplan.snn.rate_net import CODE, OUT, RateNet, Wire, WiredNet

N = TypeVar("N", bound=WiredNet)


class WiredPredictor(Generic[N]):
    """What a network that starts every prediction from rest says of itself. `code`: the word for it in an error; `state_bytes`:
    of a neuron. Its output is added to the latent where it is `residual`, else it is the next latent."""

    references = ("zero",)
    spiking = True
    precision = "int8"
    code: ClassVar[str]
    state_bytes: ClassVar[int]

    def __init__(self, net: N, *, latent_dim: int, residual: bool) -> None:
        self.net, self.latent_dim, self.residual = net, latent_dim, residual

    @property
    def layers(self) -> tuple[str, ...]:
        return (*self.net.groups, OUT)

    def memory(self) -> dict[str, tuple[int, int]]:
        """Layer -> (bytes of weights, bytes of states): 8-bit weights, and 24-bit words of each neuron."""
        sizes = self.net.sizes
        return {
            name: (sum(w.numel() for w in self.net.fan_in(name)), self.state_bytes * sizes[name])
            for name in self.layers
        }

    def weights_left(self) -> dict[str, int]:
        return {name: sum(int(w.count_nonzero()) for w in self.net.fan_in(name)) for name in self.layers}

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str = "zero", previous: Any = None) -> None:
        """Nothing to prepare. Raises UserError for a reference that is not "zero"."""
        if reference not in self.references:
            raise UserError(f"reference {reference!r} is not offered by {self.code}; use zero")


class RatePredictor(WiredPredictor[RateNet]):
    """Adds the network's output to the latent (`residual`), or takes it for the next latent.

    >>> predictor = RatePredictor(net, latent_dim=32, residual=True)
    >>> after_BSD, _, counts = predictor.step(latent_BSD, action_BSA, predictor.begin(latent_BD, candidates_BSHA))
    """

    code = "a rate code"
    state_bytes = 3  # of 24 bits

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        """A prediction takes T steps; the layers start one after the other."""
        steps = self.net.settings.time_steps
        return steps + len(self.net.groups) + 1, steps

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None:
        """Of a chain; a network with skips is placed by nobody yet."""
        order = (CODE, *self.layers)
        chain = {Wire(before, after) for before, after in pairwise(order)}
        if set(self.net.wires) != chain:
            return None
        return lif_network(tuple(self.net.sizes.values()), self.net.settings.time_steps, chip)

    @torch.no_grad()
    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: None) -> tuple[Tensor, None, list[LayerCounts]]:
        """One prediction of B x S latents: the next latents, no state, and the operations of each layer."""
        run = self.net(torch.cat([latent_BSD, action_BSA], -1))
        after = latent_BSD + run.out if self.residual else run.out
        rows = latent_BSD.shape[0] * latent_BSD.shape[1]
        own = LayerCounts(layer="z", state_restores=latent_BSD.numel())  # each candidate's own z, as other methods'
        return after, None, [*self._counts(rows, {name: int(s.sum()) for name, s in run.counts.items()}), own]

    def _counts(self, rows: int, sent: dict[str, int]) -> list[LayerCounts]:
        steps, sizes = self.net.settings.time_steps, self.net.sizes
        fan_out = {
            name: sum(sizes[wire.dst] for wire in self.net.wires if wire.src == name)
            for name in (CODE, *self.net.groups)
        }
        inputs = rows * sizes[CODE]
        counts = [
            LayerCounts(  # injected once per prediction as graded currents
                layer=CODE,
                synops=inputs * fan_out[CODE],
                updates=steps * inputs,
                updates_active=inputs,
                messages=inputs,
                message_bits=8 * inputs,
                calls=rows,
            )
        ]
        for name in self.layers:
            spikes = sent.get(name, 0)
            counts.append(
                LayerCounts(
                    layer=name,
                    synops=spikes * fan_out.get(name, 0),
                    updates=rows * steps * sizes[name],
                    updates_active=spikes if name in sent else rows * sizes[name],
                    messages=spikes,
                    message_bits=spikes,
                    dense_macs=rows * sum(w.numel() for w in self.net.fan_in(name)),
                    calls=rows,
                )
            )
        resting = rows * sum(sizes[name] for name in self.net.groups)
        return [*counts, LayerCounts(layer="rest", state_restores=resting)]
