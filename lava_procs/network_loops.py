"""A layer's neurons of lava_procs/network.py in machine code (numba), in int64 and in place; numpy twins are beside their caller.

This module imports numba at its top: it is imported only where `compiled()` in spikeplan.core.compiled finds numba.
Shapes: N neurons of a layer, K that send to it. `lost`: states wrap at 32 bits; else they saturate at 24.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.spike_loops import gather, machine_code

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WORD = 32  # bits of a state in Lava's stock processes
TOP = (1 << 23) - 1  # of a state of ours


@machine_code()
def dense(s_K: Floats, weight_KN: Floats, zero_N: Floats, a_N: Floats) -> None:
    """a = W s over the spikes that are not zero."""
    gather(s_K, weight_KN, zero_N, np.empty(len(s_K), np.int64), a_N)


@machine_code()
def _wrapped(x: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return ((x + half) & ((half << 1) - 1)) - half


@machine_code()
def _fit(x: int, lost: bool) -> int:
    return _wrapped(x, WORD) if lost else min(max(x, -TOP), TOP)


@machine_code()
def integrate(a_N: Floats, sigma_N: Ints, exponent: int, bits: int, lost: bool) -> int:
    """sigma += a << exponent; how many values did not fit. bits: what Lava's synapse sums in."""
    over = 0
    for n in range(len(sigma_N)):
        a = np.int64(a_N[n])
        if lost:
            summed = _wrapped(a, bits)
            over += summed != a
            a = summed
        a = a << exponent if exponent >= 0 else a >> -exponent
        reached = sigma_N[n] + a
        kept = _fit(reached, lost)
        over += kept != reached
        sigma_N[n] = kept
    return over


@machine_code()
def activate(sigma_N: Ints, bias_N: Ints, lost: bool, target_N: Ints) -> int:
    """target = relu(sigma + bias); how many values did not fit."""
    over = 0
    for n in range(len(sigma_N)):
        biased = sigma_N[n] + bias_N[n]
        kept = _fit(biased, lost)
        over += kept != biased
        target_N[n] = max(kept, 0)
    return over


@machine_code()
def send(target_N: Ints, ref_N: Ints, theta: int, shift: int, most: int, lost: bool, s_N: Floats) -> tuple[int, int]:
    """Messages for the change of target since ref; how many values did not fit, and how many messages are not zero.

    most: the largest message; 0: any. theta: in state LSB.
    """
    over = sent = 0
    for n in range(len(target_N)):
        owed = target_N[n] - ref_N[n]
        message = np.int64(0)
        if lost:
            kept = _wrapped(owed, WORD)
            over += kept != owed
            if abs(kept) >= theta and kept > -(1 << (WORD - 1)):  # numpy's int32 has no magnitude for -2^31
                message = kept >> shift
                ref_N[n] = target_N[n]
        elif abs(owed) >= theta:
            message = owed >> shift if owed >= 0 else -(-owed >> shift)
            if most:
                kept = min(max(message, -most), most)
                over += kept != message
                message = kept
            ref_N[n] += message << shift
        sent += message != 0
        s_N[n] = message
    return over, sent
