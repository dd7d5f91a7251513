"""What a LIF network says of itself to whoever counts, places or plans with it: predictor and policy alike.

Shapes: R rows, N neurons, T time steps.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.fixed_point import WEIGHT_BITS, limit
from spikeplan.core.groups import NeuronGroups, lif_network
from spikeplan.snn.lif import LIFNetwork, LIFRun, infer

WEIGHT_TOP = limit(WEIGHT_BITS)


class LIFOnChip:
    """A LIF network with weights rounded to 8 bits per tensor, as a chip would hold them; membrane arithmetic stays floating.

    `prefix`: of its layers' names, which tells a policy from the predictor that it acts in. The network given is not changed.
    """

    spiking = True
    precision = "int8"

    def __init__(self, network: LIFNetwork, *, prefix: str = "") -> None:
        self.prefix = prefix
        first, second, out = network.w1, network.w2, network.w3
        sizes = (first.out_features, second.out_features)
        self.network = LIFNetwork(first.in_features, sizes, out.out_features, network.config).eval()
        with torch.no_grad():
            ours = (self.network.w1, self.network.w2, self.network.w3)
            for mine, theirs in zip(ours, (first, second, out), strict=True):
                unit = theirs.weight.abs().max().clamp_min(1e-12) / WEIGHT_TOP
                mine.weight.copy_((theirs.weight / unit).round() * unit)
                mine.bias.copy_(theirs.bias)
            self._weight2_t = self.network.w2.weight.T.contiguous()

    @property
    def _linears(self) -> dict[str, nn.Linear]:
        net, of = self.network, self.prefix
        return {f"{of}h1": net.w1, f"{of}h2": net.w2, f"{of}out": net.w3}

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
        return lif_network(sizes, self.network.config.time_steps, chip, prefix=self.prefix)

    def infer(self, x_BSI: Tensor) -> tuple[LIFRun, list[LayerCounts]]:
        """The network's run on B x S inputs, and the operations of each layer, ready for the next run included."""
        run = infer(self.network, x_BSI, weight2_t=self._weight2_t)
        sent = [int(spikes.sum()) for spikes in run.spikes] if run.sent is None else list(run.sent)
        return run, self._counts(x_BSI.shape[0] * x_BSI.shape[1], sent)

    def _counts(self, rows: int, sent: list[int]) -> list[LayerCounts]:
        net, t = self.network, self.network.config.time_steps
        inputs = rows * net.w1.in_features
        counts = [
            LayerCounts(  # the input is injected once per prediction as graded currents
                layer=f"{self.prefix}code",
                synops=rows * net.w1.weight.numel(),
                updates=t * inputs,
                updates_active=inputs,
                messages=inputs,
                message_bits=8 * inputs,
                calls=rows,
            ),
        ]
        sends = zip(self._linears.items(), [*sent, None], (net.w2.out_features, net.w3.out_features, 0), strict=True)
        for (name, layer), spikes, fan_out in sends:
            counts.append(
                LayerCounts(
                    layer=name,
                    synops=(spikes or 0) * fan_out,
                    updates=rows * t * layer.out_features,
                    updates_active=rows * layer.out_features if spikes is None else spikes,
                    messages=spikes or 0,
                    message_bits=spikes or 0,
                    dense_macs=rows * layer.weight.numel(),
                    calls=rows,
                )
            )
        # Rest before every run: charged like the other methods' stored states.
        neurons = net.w1.out_features + net.w2.out_features
        return [*counts, LayerCounts(layer=f"{self.prefix}rest", state_restores=rows * neurons)]
