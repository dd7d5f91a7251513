"""A shipped artifact as a graph: what its chain computes pass by pass, each number, state and message."""

from __future__ import annotations

import numpy as np
import torch

from spikeplan.core.ir.graph.from_artifact import graph_of_artifact
from spikeplan.core.ir.graph.reference import Running
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.snn.delta import DeltaNetwork


def test_the_graph_of_an_artifact_is_its_chain() -> None:
    artifact = load_bundle("two-room").artifact
    network, running = DeltaNetwork(artifact), Running(graph_of_artifact(artifact))
    rng, state, sent = np.random.default_rng(0), None, 0
    x = np.zeros(artifact.layers[0].n_in, np.int64)
    for _ in range(20):
        x = x + rng.integers(-40000, 40001, x.shape) * (rng.random(x.shape) < 0.4)
        done, state = network.run(torch.from_numpy(x)[None].to(network.dtype), state)
        value = running.step({"x": x})[artifact.layers[-1].name]
        assert (done.value_RD[0].numpy() == value).all() and value.any()
        for layer, messages, kept in zip(artifact.layers, done.messages, state, strict=True):
            if layer.kind != "sigma":
                assert (running.sent[layer.name] == messages[0].numpy()).all()
                assert kept.ref is not None and (running.state[layer.name]["ref"] == kept.ref[0].numpy()).all()
                sent += int(messages.count_nonzero())
    assert sent > 2000
