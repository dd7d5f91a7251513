"""How many synapses a message sets off: the fan-out of each neuron that feeds a Linear or Conv node, exact at the borders.

    linear  n_out
    conv    C_out / groups x rows(y) x columns(x),    rows(y) = |{(o, k): y = o stride + k dilation - padding}|

Every synapse of the kernel counts, weights of zero too: a chip that stores them processes them. Strides can leave neurons
without any synapse. Shapes: (C, H, W) or (n,), as in core/ir/graph.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph import Conv, Linear, Shape


def fan_out(synapse: Linear | Conv, before: Shape) -> NDArray[np.int64]:
    """Synapses of each neuron of a layer of shape `before` into `synapse`."""
    after = synapse.shape_after((before,))
    if isinstance(synapse, Linear):
        return np.full(before, after[0], dtype=np.int64)
    rows, columns = (
        _along(
            before[i + 1],
            after[i + 1],
            synapse.weight.shape[i + 2],
            synapse.stride[i],
            synapse.padding[i],
            synapse.dilation[i],
        )
        for i in (0, 1)
    )
    each = after[0] // synapse.groups * np.outer(rows, columns)
    return np.broadcast_to(each, before).copy()


def synops(messages: NDArray[np.generic], synapse: Linear | Conv, before: Shape) -> int:
    """Synaptic operations of messages (..., *before): a message counts once, whatever value it carries."""
    sent = (messages != 0).reshape(-1, *before).sum(0)
    return int((sent * fan_out(synapse, before)).sum())


def _along(n_in: int, n_out: int, kernel: int, stride: int, padding: int, dilation: int) -> NDArray[np.int64]:
    """(n_in,): pairs of output and kernel position that meet each input position, along one axis."""
    at = np.arange(n_out)[:, None] * stride + np.arange(kernel)[None, :] * dilation - padding
    return np.bincount(at[(at >= 0) & (at < n_in)], minlength=n_in)
