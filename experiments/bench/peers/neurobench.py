"""NeuroBench's SynapticOperations on the networks that we count: what its hooks see and what our operation counts is charged.

NeuroBench counts a layer call as accumulates (AC) only if all of its inputs are -1, 0 or 1, else as MACs, and leaves weights of
zero out of its "effective" operations. A chip processes every stored synapse, so the zeros are what explains the difference.
Shapes: R rows, T predictions, I inputs, N neurons.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.experiments.bench.peers.rows import Row, need, row
from spikeplan.snn.delta_predictor import DeltaPredictor
from spikeplan.snn.lif import LIFNetwork
from spikeplan.snn.lif_predictor import LIFPredictor


class SpikeBySpike(nn.Module):
    """The LIF network as a chip runs it: the output weights take each step's spikes, not their mean."""

    def __init__(self, net: LIFNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, x_RI: Tensor) -> Tensor:
        net = self.net
        current, value = net.w1(x_RI), x_RI.new_zeros(len(x_RI), net.w3.out_features)
        u1, u2 = torch.zeros_like(current), x_RI.new_zeros(len(x_RI), net.w2.out_features)
        for _ in range(net.config.time_steps):
            s1, u1 = net.lif1(current, u1)
            s2, u2 = net.lif2(net.w2(s1), u2)
            value = value + net.w3(s2)
        return value / net.config.time_steps


class Messages(nn.Module):
    """Linear layers that are fed recorded messages, so that a tool with hooks can watch them."""

    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(w.shape[1], w.shape[0], bias=False) for w in weights])
        with torch.no_grad():
            for layer, weight in zip(self.layers, weights, strict=True):
                assert isinstance(layer, nn.Linear)
                layer.weight.copy_(weight)

    def forward(self, sent: list[Tensor]) -> Tensor:
        out: Tensor
        for layer, s in zip(self.layers, sent, strict=True):
            out = layer(s)
        return out


def neurobench_counts(module: nn.Module, batches: Iterable[Any]) -> tuple[int, int]:
    """(MACs, ACs) that NeuroBench's SynapticOperations counts while `module` runs over `batches`."""
    metrics, models = need("neurobench.metrics.workload", "neurobench.models")
    metric, model = metrics.SynapticOperations(), models.TorchModel(module)
    model.register_hooks()
    with torch.no_grad():
        for batch in batches:
            out = model(batch)
            metric(model, out, (out, out))
            model.reset_hooks()
    model.cleanup_hooks()
    return int(metric.MAC), int(metric.AC)


def neurobench_lif(predictor: LIFPredictor, x_RI: Tensor) -> list[Row]:
    """The shipped LIF network, its counts from the Predictor contract."""
    module = SpikeBySpike(predictor.network)
    mac, ac = neurobench_counts(module, [x_RI])
    d = predictor.network.w3.out_features
    ours = {c.layer: c for c in predictor.step(x_RI[None, :, :d], x_RI[None, :, d:], None)[2]}
    spikes = _spikes(predictor.network, x_RI)
    net = predictor.network
    zero = sum(
        int((s.sum(0) * (layer.weight == 0).sum(0)).sum()) for s, layer in zip(spikes, (net.w2, net.w3), strict=True)
    )
    code_zero = len(x_RI) * int((net.w1.weight == 0).sum())
    sent = ours["h1"].synops + ours["h2"].synops
    return [
        row(
            "neurobench_lif_spikes",
            sent,
            ac,
            explained=zero,
            holds=sent - zero == ac,
            note="ACs; explained: weights of zero",
        ),
        row(
            "neurobench_lif_input",
            ours["code"].synops,
            mac,
            explained=code_zero,
            holds=ours["code"].synops - code_zero == mac,
            note="the graded input: MACs there, synops here; explained: weights of zero",
        ),
    ]


def _spikes(net: LIFNetwork, x_RI: Tensor) -> list[Tensor]:
    """Spikes of both hidden layers summed over time, (R, N) each."""
    with torch.no_grad():
        return list(net(x_RI).spikes)


def neurobench_delta(predictor: DeltaPredictor, x_TRI: Tensor) -> list[Row]:
    """The shipped sigma-delta network over predictions that follow one another (rollout reference). x in state LSB."""
    network, state = predictor.network, None
    weights = [w.T for w in network.weight_t[1:]]
    sent, ours = [], 0
    for x_RI in x_TRI:
        done, state = network.run(x_RI.to(network.dtype), state)
        sent.append([s.float() for s in done.messages[:-1]])
        ours += sum(c.synops for c in network.counts(done, rows=len(x_RI), restored_rows=0, dense_rows=len(x_RI)))
    mac, ac = neurobench_counts(Messages(weights), sent)
    zero = sum(
        int(((s != 0).sum(0) * (w == 0).sum(0)).sum()) for step in sent for s, w in zip(step, weights, strict=True)
    )
    values = torch.cat([s.flatten() for step in sent for s in step])
    graded = float((values.abs() > 1).sum() / (values != 0).sum())
    return [
        row(
            "neurobench_delta",
            ours,
            mac + ac,
            explained=zero,
            holds=ours - zero == mac + ac,
            note=f"explained: weights of zero. Of the operations NeuroBench calls {mac} MACs and {ac} ACs: one message beyond "
            f"-1, 0, 1 makes a whole layer call MACs, and {graded:.0%} of the messages are beyond",
        ),
    ]
