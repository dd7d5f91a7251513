"""Layers of spiking neurons in machine code (numba): one sweep over a layer's rows, in place.

    gather      a = base + sum_k s[k] W[k]       over the spikes that are not zero: event-driven
    encode      s = msg(x - ref)                                                   the input coder
    hidden      sigma = sat(sigma + a);  s = msg(act(sigma + b) - ref)             a hidden layer
    readout     sigma = sat(sigma + a);  value = trunc((sigma + b) / 2^k)          the output layer
    fire        u = beta u + a;  s = 1[u > 1];  u = 0 where it fired               LIF, T steps

msg and sat are those of snn/delta.py. `a` holds W s_in (or is filled by gather) and is replaced by messages or values. A state
row is shared by `share` consecutive rows of `a`: row r starts from state row r // share. With `write` it also leaves its state
there, so that rows of one state row are passes in turn.

The delta kernels hold integers in floats, exact in any order, so they may reassociate sums (which lets their counts vectorise);
LIF's membranes are real numbers, and its kernels may not. This module imports numba at its top: only `compiled()` in
spikeplan.core.compiled imports it.
Shapes: R rows, S state rows, K inputs, N neurons, T time steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]


def machine_code(**options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Kept on disk beside the package or in the user's cache; where neither can be written, compiled anew each run."""

    def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
        try:
            made: Callable[..., Any] = numba.njit(cache=True, nogil=True, **options)(function)
        except RuntimeError:
            made = numba.njit(nogil=True, **options)(function)
        return made

    return compiled


INTEGERS = {"reassoc", "nsz"}  # sums of integers are exact in any order; -0 is 0


@machine_code()
def _copy(from_N: Floats, to_N: Floats) -> None:
    """Numba's own slice assignment is not vectorised."""
    for n in range(len(to_N)):
        to_N[n] = from_N[n]


@machine_code()
def gather(s_K: Floats, weight_KN: Floats, base_N: Floats, index_K: NDArray[np.int64], a_N: Floats) -> None:
    """a = base + sum over k with s[k] != 0. Four rows of W at a time: a is loaded and stored once for them."""
    number = a_N.dtype.type
    busy = 0
    for k in range(len(s_K)):
        index_K[busy] = k
        busy += s_K[k] != 0
    _copy(base_N, a_N)
    i = 0
    while i + 4 <= busy:
        k0, k1, k2, k3 = index_K[i], index_K[i + 1], index_K[i + 2], index_K[i + 3]
        s0, s1, s2, s3 = number(s_K[k0]), number(s_K[k1]), number(s_K[k2]), number(s_K[k3])
        w0, w1, w2, w3 = weight_KN[k0], weight_KN[k1], weight_KN[k2], weight_KN[k3]
        for n in range(len(a_N)):
            a_N[n] += s0 * w0[n] + s1 * w1[n] + s2 * w2[n] + s3 * w3[n]
        i += 4
    while i < busy:
        k0 = index_K[i]
        s0, w0 = number(s_K[k0]), weight_KN[k0]
        for n in range(len(a_N)):
            a_N[n] += s0 * w0[n]
        i += 1


@machine_code(fastmath=INTEGERS)
def encode(
    x_RN: Floats,
    ref_SN: Floats,
    share: int,
    write: bool,
    gate: float,
    inverse: float,
    step: float,
    most: float,
    s_RN: Floats,
) -> tuple[int, int]:
    """How many messages were clipped, and how many are not zero. gate: threshold - 1/2; inverse: 1 / step."""
    number = s_RN.dtype.type
    zero, one = number(0), number(1)
    clipped = sent = 0
    for r in range(len(x_RN)):
        x, s, ref = x_RN[r], s_RN[r], ref_SN[r // share]
        over, busy = zero, zero
        for n in range(len(s)):
            d = x[n] - ref[n]
            wanted = number(np.int32(d * inverse)) if abs(d) > gate else zero  # the cast truncates
            message = min(max(wanted, -most), most)
            over += one if message != wanted else zero
            busy += one if message != zero else zero
            s[n] = message
        if write:
            for n in range(len(s)):
                ref[n] += s[n] * step
        clipped += int(over)
        sent += int(busy)
    return clipped, sent


@machine_code(fastmath=INTEGERS)
def _row(
    a_N: Floats,
    sigma_N: Floats,
    ref_N: Floats,
    bias_N: Floats,
    floor: float,
    top: float,
    gate: float,
    inverse: float,
    step: float,
    most: float,
) -> tuple[float, float, float]:
    number = a_N.dtype.type
    zero, one = number(0), number(1)
    full, over, busy = zero, zero, zero
    for n in range(len(a_N)):
        reached = a_N[n] + sigma_N[n]
        kept = min(max(reached, -top), top)
        full += one if kept != reached else zero
        sigma_N[n] = kept
        d = max(kept + bias_N[n], floor) - ref_N[n]
        wanted = number(np.int32(d * inverse)) if abs(d) > gate else zero
        message = min(max(wanted, -most), most)
        over += one if message != wanted else zero
        busy += one if message != zero else zero
        a_N[n] = message
        ref_N[n] += message * step
    return full, over, busy


@machine_code(fastmath=INTEGERS)
def hidden(
    s_RK: Floats,
    weight_KN: Floats,
    gathers: bool,
    a_RN: Floats,
    sigma_SN: Floats,
    ref_SN: Floats,
    bias_N: Floats,
    zero_N: Floats,
    share: int,
    write: bool,
    floor: float,
    top: float,
    gate: float,
    inverse: float,
    step: float,
    most: float,
) -> tuple[int, int, int]:
    """How many sigmas saturated, how many messages were clipped, how many are not zero. floor: 0 for ReLU, else -infinity."""
    index_K = np.empty(weight_KN.shape[0], np.int64)
    spare_sigma_N, spare_ref_N = np.empty_like(bias_N), np.empty_like(bias_N)
    saturated = clipped = sent = 0
    for r in range(len(a_RN)):
        a, sigma, ref = a_RN[r], sigma_SN[r // share], ref_SN[r // share]
        if gathers:
            gather(s_RK[r], weight_KN, zero_N, index_K, a)
        if not write:
            _copy(sigma, spare_sigma_N)
            _copy(ref, spare_ref_N)
            full, over, busy = _row(a, spare_sigma_N, spare_ref_N, bias_N, floor, top, gate, inverse, step, most)
        else:
            full, over, busy = _row(a, sigma, ref, bias_N, floor, top, gate, inverse, step, most)
        saturated += int(full)
        clipped += int(over)
        sent += int(busy)
    return saturated, clipped, sent


@machine_code(fastmath=INTEGERS)
def readout(
    s_RK: Floats,
    weight_KN: Floats,
    gathers: bool,
    a_RN: Floats,
    sigma_SN: Floats,
    bias_N: Floats,
    zero_N: Floats,
    share: int,
    write: bool,
    top: float,
    inverse: float,
) -> int:
    """How many sigmas saturated."""
    number = a_RN.dtype.type
    zero, one = number(0), number(1)
    index_K = np.empty(weight_KN.shape[0], np.int64)
    saturated = 0
    for r in range(len(a_RN)):
        a, sigma = a_RN[r], sigma_SN[r // share]
        if gathers:
            gather(s_RK[r], weight_KN, zero_N, index_K, a)
        full = zero
        for n in range(len(a)):
            reached = a[n] + sigma[n]
            kept = min(max(reached, -top), top)
            full += one if kept != reached else zero
            a[n] = kept
        if write:
            _copy(a, sigma)
        for n in range(len(a)):
            a[n] = number(np.int32((a[n] + bias_N[n]) * inverse))
        saturated += int(full)
    return saturated


@machine_code()
def _step(u_N: Floats, a_N: Floats, beta: float, s_N: NDArray[np.uint8]) -> None:
    number = u_N.dtype.type
    zero, one = number(0), number(1)
    for n in range(len(u_N)):
        u = u_N[n] * beta + a_N[n]
        fired = u > one
        u_N[n] = zero if fired else u
        s_N[n] = fired


@machine_code()
def _add(count_N: Floats, s_N: NDArray[np.uint8]) -> int:
    number = count_N.dtype.type
    sent = 0
    for n in range(len(s_N)):
        count_N[n] += number(s_N[n])
        sent += s_N[n]
    return sent


@machine_code()
def fire(a_TRN: Floats, beta: float, spikes_TRN: NDArray[np.uint8], count_RN: Floats) -> int:
    """Spikes of every step, their sum over T, and how many there are. One step in `a_TRN`: a constant current."""
    steps, rows, neurons = spikes_TRN.shape
    constant = len(a_TRN) == 1
    u_N = np.empty(neurons, a_TRN.dtype)
    sent = 0
    for r in range(rows):
        u_N[:] = 0
        count_RN[r] = 0
        for t in range(steps):
            _step(u_N, a_TRN[0 if constant else t, r], beta, spikes_TRN[t, r])
            sent += _add(count_RN[r], spikes_TRN[t, r])
    return sent


@machine_code()
def fire_gathered(
    spikes_TRK: NDArray[np.uint8], weight_KN: Floats, bias_N: Floats, beta: float, count_RN: Floats
) -> int:
    """`fire` of a layer whose currents are gathered from the spikes that reach it; only the sum over T is kept."""
    steps, rows, inputs = spikes_TRK.shape
    index_K = np.empty(inputs, np.int64)
    u_N, a_N = np.empty_like(bias_N), np.empty_like(bias_N)
    s_N = np.empty(len(bias_N), np.uint8)
    sent = 0
    for r in range(rows):
        u_N[:] = 0
        count_RN[r] = 0
        for t in range(steps):
            gather(spikes_TRK[t, r], weight_KN, bias_N, index_K, a_N)
            _step(u_N, a_N, beta, s_N)
            sent += _add(count_RN[r], s_N)
    return sent
