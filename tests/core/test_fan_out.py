"""Fan-outs against a count of every synapse, one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from tests.networks import convolution, linear

from spikeplan.core.counts.fan_out import fan_out, synops
from spikeplan.core.ir.graph import Conv


def counted(conv: Conv, before: tuple[int, int, int]) -> np.ndarray:
    """Every (output neuron, weight) pair adds one to the input neuron that it reads, if there is one."""
    found = np.zeros(before, dtype=int)
    c_out, c_in, height, width = conv.weight.shape
    _, rows, columns = conv.shape_after((before,))
    for o in range(c_out):
        first = o // (c_out // conv.groups) * c_in
        for y, x, c, i, j in np.ndindex(rows, columns, c_in, height, width):
            at_y = y * conv.stride[0] + i * conv.dilation[0] - conv.padding[0]
            at_x = x * conv.stride[1] + j * conv.dilation[1] - conv.padding[1]
            if 0 <= at_y < before[1] and 0 <= at_x < before[2]:
                found[first + c, at_y, at_x] += 1
    return found


CASES = [
    (convolution(np.ones((6, 2, 3, 3))), (2, 7, 6)),
    (convolution(np.ones((4, 3, 5, 5)), stride=(2, 2), padding=(1, 1)), (3, 9, 8)),
    (convolution(np.ones((4, 2, 3, 3)), dilation=(2, 1), padding=(2, 3)), (2, 8, 5)),
    (convolution(np.ones((8, 2, 3, 2)), stride=(2, 3), padding=(1, 0), groups=2), (4, 9, 9)),
    (convolution(np.ones((2, 1, 1, 1)), stride=(3, 3)), (1, 7, 7)),  # most neurons feed nothing
]


@pytest.mark.parametrize(("conv", "before"), CASES)
def test_conv(conv: Conv, before: tuple[int, int, int]):
    assert np.array_equal(fan_out(conv, before), counted(conv, before))


def test_dense_and_synops():
    dense = linear(np.zeros((5, 12)))  # stored synapses count, zeros too
    assert fan_out(dense, (3, 2, 2)).tolist() == np.full((3, 2, 2), 5).tolist()
    messages = np.zeros((4, 12), dtype=int)
    messages[1, 3], messages[2, 3], messages[3, 0] = -7, 1, 100  # three messages, whatever their value
    assert synops(messages, dense, (12,)) == 15


def test_synops_of_a_conv_by_hand():
    # 3x3 kernel on 4x4, no padding: a corner is read by 1 of 4 outputs, the centre by all 4; 2 output channels
    conv, spikes = convolution(np.ones((2, 1, 3, 3))), np.zeros((1, 4, 4))
    spikes[0, 0, 0] = spikes[0, 1, 1] = 1
    assert synops(spikes, conv, (1, 4, 4)) == 2 * 1 + 2 * 4
