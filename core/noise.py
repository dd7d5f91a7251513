"""Integer noise that a neurocore can make: shifts, xors and additions on one 24-bit word a lane.

    draw    x ^= x << 5;  x ^= x >> 9;  x ^= x << 12        mod 2**24: a xorshift (Marsaglia 2003), period 2**24 - 1
    normal  e = sum of the top 8 bits of 4 draws - 510      Irwin-Hall: mean 0, variance 4 (2**16 - 1) / 12 = 147.8**2
    lane    x = hash(seed, lane)                            Jenkins' one-at-a-time hash mod 2**24; 0 becomes 1

A lane is one number of one candidate; a host injects one seed a plan. xorshift is linear over bits, so lanes that differ by
an xor would stay tied to each other: the hash's additions carry and break the tie. The triple (5, 9, 12) was searched for:
its matrix over GF(2) has order 2**24 - 1 (tested).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WORD_BITS = 24
MASK = (1 << WORD_BITS) - 1
SHIFTS = (5, 9, 12)
DRAWS = 4
TOP_BITS = 8
CENTRE = DRAWS * ((1 << TOP_BITS) - 1) // 2  # 510
STD = (DRAWS * ((1 << 2 * TOP_BITS) - 1) / 12) ** 0.5  # 147.8

Words = NDArray[np.int64]  # 24-bit words; int64 so that sums and shifts do not wrap before they are masked


def hash_lanes(seed_N: NDArray[np.integer], lanes: int) -> Words:
    """Initial words (N, lanes) of N plans. seeds in [0, 2**24)."""
    seed = np.asarray(seed_N, np.int64)
    if seed.ndim != 1 or ((seed < 0) | (seed > MASK)).any():
        raise ValueError(f"noise: seeds of shape {seed.shape} must be a vector of {WORD_BITS}-bit numbers")
    lane = np.arange(lanes, dtype=np.int64)
    x = np.zeros((len(seed), lanes), np.int64)
    for byte in (seed[:, None] & 255, (seed[:, None] >> 8) & 255, seed[:, None] >> 16, lane & 255, lane >> 8):
        x = (x + byte) & MASK
        x = (x + (x << 10)) & MASK
        x ^= x >> 6
    x = (x + (x << 3)) & MASK
    x ^= x >> 11
    x = (x + (x << 15)) & MASK
    return np.where(x == 0, np.int64(1), x)


def draw(x: Words) -> Words:
    """The next word of every lane."""
    left, right, last = SHIFTS
    x = x ^ ((x << left) & MASK)
    x = x ^ (x >> right)
    return x ^ ((x << last) & MASK)


def normal(x: Words) -> tuple[NDArray[np.int32], Words]:
    """(noise, next words); noise in [-510, 510] with standard deviation `STD`."""
    total = np.full(x.shape, -CENTRE, np.int32)
    for _ in range(DRAWS):
        x = draw(x)
        total += (x >> (WORD_BITS - TOP_BITS)).astype(np.int32)
    return total, x


def candidate_noise(seed_N: NDArray[np.integer], samples: int, variables: int, actions: int) -> NDArray[np.int32]:
    """(N, S, V, A) for one plan a seed; candidate 0 is the mean itself. Lane = ((s * V) + v) * A + a."""
    noise, _ = normal(hash_lanes(seed_N, samples * variables * actions))
    noise = noise.reshape(-1, samples, variables, actions)
    noise[:, 0] = 0
    return noise
