"""One of the two networks over all copies, with what it sent and clipped in a plan."""

from __future__ import annotations

import numpy as np

from spikeplan.core.guided_params import GuidedParams
from spikeplan.core.ir.artifact import Artifact
from spikeplan.lava_procs.fused import FusedNetwork
from spikeplan.lava_procs.guided.arithmetic import Ints


class CountedNetwork:
    """`sent`: messages of each layer since `begin`, which also forgets the stored state."""

    def __init__(self, artifact: Artifact, p: GuidedParams, reference: str) -> None:
        self.network = FusedNetwork(artifact, samples=p.samples, reference=reference, fixed=True)
        self.sent = np.zeros(len(artifact.layers), np.int64)

    def begin(self) -> None:
        self.network.reset()
        self.network.count_anew()
        self.sent[:] = 0

    def run(self, left: Ints, right: Ints) -> Ints:
        """One pass of all copies on [left, right]."""
        value = self.network.run(np.concatenate([left, right], axis=1))
        self.sent += self.network.messages()
        return value

    def counts(self, offset: int, length: int) -> Ints:
        """A row of the record: messages from `offset` on, clipped states and messages at the end, all else 0."""
        row = np.zeros(length, np.int64)
        row[offset : offset + len(self.sent)] = self.sent
        row[-1] = self.network.saturated.sum() + self.network.clipped
        return row
