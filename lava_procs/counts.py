"""Operation counts of a replay, from what the Lava processes sent and did: the same as the reference books for the same run.

A message costs as many synops as the next layer has neurons; every neuron updates once a pass (the interleaved rate, at which
`spikeplan.core.counts.operations` keeps updates); a pass that does not go on from the working state restores every neuron's.
The output layer's
value is read every pass, so all its neurons send. A network that keeps no state (reference zero) restores nothing.
"""

from __future__ import annotations

import numpy as np

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.ir.artifact import Artifact
from spikeplan.core.ir.contexts import KEEP
from spikeplan.core.ir.trace import Passes, Trace


def counts_of(artifact: Artifact, passes: Passes, trace: Trace, *, reference: str) -> list[LayerCounts]:
    """One entry a layer, in order."""
    rows = len(passes)
    restored = 0 if reference == "zero" else int((passes.load != KEEP).sum())
    counts = []
    for layer, after in zip(artifact.layers, (*artifact.layers[1:], None), strict=True):
        sent = int(np.count_nonzero(trace.messages[layer.name])) if layer.name in trace.messages else rows * layer.n_out
        counts.append(
            LayerCounts(
                layer=layer.name,
                synops=0 if after is None else sent * after.n_out,
                updates=rows * layer.n_out,
                updates_active=sent,
                state_restores=restored * layer.n_out,
                messages=sent,
                message_bits=sent * layer.message_bits,
                calls=rows,
            )
        )
    return counts
