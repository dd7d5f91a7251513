"""A shipped artifact as a graph: what its chain computes pass by pass, each number, state and message."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from spikeplan.conversion import convert
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.graph.from_artifact import graph_of_artifact
from spikeplan.core.ir.graph.reference import Running
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.snn.delta import DeltaNetwork


class Skips(torch.nn.Module):
    """Two hidden layers and a way around them: three sources meet in the output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.out = torch.nn.Linear(9, 24), torch.nn.Linear(24, 24), torch.nn.Linear(57, 6)

    def forward(self, z: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
        x = torch.cat([z, a], -1)
        one = self.first(x).relu()
        two = self.second(one).relu()
        out: torch.Tensor = self.out(torch.cat([two, one, x], -1))
        return out


def skipping() -> Artifact:
    torch.manual_seed(0)
    return convert(Skips(), (torch.randn(400, 6), torch.rand(400, 3) - 0.5)).artifact


@pytest.mark.parametrize("make", [lambda: load_bundle("two-room").artifact, skipping])
def test_the_graph_of_an_artifact_computes_its_passes(make: Callable[[], Artifact]) -> None:
    artifact = make()
    assert artifact.is_chain == (make is not skipping)
    network, running = DeltaNetwork(artifact), Running(graph_of_artifact(artifact))
    rng, state, sent = np.random.default_rng(0), None, 0
    x, top = np.zeros(artifact.layers[0].n_in, np.int64), 20 << artifact.layers[0].shift
    for _ in range(20):
        x = x + rng.integers(-top, top + 1, x.shape) * (rng.random(x.shape) < 0.4)
        done, state = network.run(torch.from_numpy(x)[None].to(network.dtype), state)
        value = running.step({"x": x})[artifact.layers[-1].name]
        assert (done.value_RD[0].numpy() == value).all() and value.any()
        for layer, messages, kept in zip(artifact.layers, done.messages, state, strict=True):
            if layer.kind != "sigma":
                assert (running.sent[layer.name] == messages[0].numpy()).all()
                assert kept.ref is not None and (running.state[layer.name]["ref"] == kept.ref[0].numpy()).all()
                sent += int(messages.count_nonzero())
    assert sent > 300
