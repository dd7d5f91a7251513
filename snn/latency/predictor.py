"""A latency-coded network as a planner's predictor. Every prediction starts from rest, so its only reference is `zero`.

Neurons are updated in every step from a prediction to the next, also while nothing reaches them. Layers work one after the
other: a hidden neuron of a chain takes two windows, its senders' and its own, so a prediction begins every 2T steps at best.
Shapes: B episodes, S candidates, H steps, D latent, A action; real units in and out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.fixed_point import MESSAGE_BITS
from spikeplan.core.groups import NeuronGroups
from spikeplan.snn.latency.net import LatencyNet
from spikeplan.snn.rate_net import CODE, OUT
from spikeplan.snn.rate_predictor import WiredPredictor


class LatencyPredictor(WiredPredictor[LatencyNet]):
    """Adds the network's output to the latent (`residual`), or takes it for the next latent.

    >>> predictor = LatencyPredictor(net, latent_dim=32, residual=True)
    >>> after_BSD, _, counts = predictor.step(latent_BSD, action_BSA, predictor.begin(latent_BD, candidates_BSHA))
    """

    code = "a latency code"
    state_bytes = 6  # a membrane and a current, 24 bits each

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        """Of a prediction alone, with a step for the last spike to arrive; and from one prediction to the next."""
        steps = self.net.settings.time_steps
        graded = self.net.settings.graded_inputs
        return steps * self.net.depths[OUT] + 1 + graded, steps * self.net.windows

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None:
        """None: layers that take turns are placed by nobody yet."""
        return None

    @torch.no_grad()
    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: None) -> tuple[Tensor, None, list[LayerCounts]]:
        """One prediction of B x S latents: the next latents, no state, and the operations of each layer."""
        run = self.net(torch.cat([latent_BSD, action_BSA], -1))
        after = latent_BSD + run.out if self.residual else run.out
        rows = latent_BSD.shape[0] * latent_BSD.shape[1]
        spikes = {name: int(left.count_nonzero()) for name, left in {CODE: run.inputs, **run.counts}.items()}
        own = LayerCounts(layer="z", state_restores=latent_BSD.numel())  # each candidate's own z, as other methods'
        return after, None, [*self._counts(rows, spikes), own]

    def _counts(self, rows: int, spikes: dict[str, int]) -> list[LayerCounts]:
        sizes, (_, each) = self.net.sizes, self.pipeline_steps
        graded = self.net.settings.graded_inputs
        counts = []
        for name, size in sizes.items():
            sent = spikes.get(name, 0)
            counts.append(
                LayerCounts(
                    layer=name,
                    synops=sent * sum(sizes[wire.dst] for wire in self.net.wires if wire.src == name),
                    updates=rows * each * size,
                    updates_active=sent if name in spikes else rows * size,
                    messages=sent,
                    message_bits=sent * (MESSAGE_BITS if graded and name == CODE else 1),
                    dense_macs=0 if name == CODE else rows * sum(w.numel() for w in self.net.fan_in(name)),
                    calls=rows,
                )
            )
        resting = rows * sum(sizes[name] for name in self.net.groups)
        return [*counts, LayerCounts(layer="rest", state_restores=resting)]
