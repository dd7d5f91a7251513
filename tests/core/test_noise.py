"""Integer noise: full period, uniform words, independent lanes, the stated spread."""

from __future__ import annotations

import numpy as np
import pytest

from spikeplan.core import noise


def gf2_power(columns: list[int], exponent: int) -> list[int]:
    def product(left: list[int], right: list[int]) -> list[int]:
        found = []
        for column in right:
            total = 0
            for i in range(noise.WORD_BITS):
                if column >> i & 1:
                    total ^= left[i]
            found.append(total)
        return found

    result = [1 << i for i in range(noise.WORD_BITS)]
    while exponent:
        if exponent & 1:
            result = product(result, columns)
        columns = product(columns, columns)
        exponent >>= 1
    return result


def test_the_period_is_full() -> None:
    """The order of the step's matrix over GF(2) is 2^24 - 1 = 3^2 5 7 13 17 241, and no divisor of it."""
    step = [int(noise.draw(np.array([1 << i], np.int64))[0]) for i in range(noise.WORD_BITS)]
    identity = [1 << i for i in range(noise.WORD_BITS)]
    assert gf2_power(step, noise.MASK) == identity
    assert all(gf2_power(step, noise.MASK // p) != identity for p in (3, 5, 7, 13, 17, 241))


def test_by_hand() -> None:
    """1: ^= << 5 -> 0x21; ^= >> 9 -> 0x21; ^= << 12 -> 0x21021."""
    assert noise.draw(np.array([1], np.int64)).tolist() == [0x21021]


def test_moments_and_bounds() -> None:
    values, words = noise.normal(noise.hash_lanes(np.arange(2000), 512))
    assert words.max() <= noise.MASK and words.min() > 0
    assert abs(values.mean()) < 1.0 and abs(values.std() / noise.STD - 1) < 0.01
    assert np.abs(values).max() <= noise.CENTRE
    inside = (np.abs(values) < noise.STD).mean()
    assert abs(inside - 0.675) < 0.01, "Irwin-Hall of 4 holds .675 within one standard deviation, a normal .683"


def test_lanes_and_seeds_are_independent() -> None:
    """Correlations between neighbouring lanes over seeds, and between neighbouring seeds over lanes."""
    values, _ = noise.normal(noise.hash_lanes(np.arange(4000), 256))
    z = (values - values.mean(0)) / values.std(0)
    for offset in (1, 2, 4, 8, 16, 32, 64, 128):
        lanes = (z[:, :-offset] * z[:, offset:]).mean(0)
        assert np.abs(lanes).max() < 5 / np.sqrt(4000), offset
        seeds = (z[:-offset] * z[offset:]).mean()
        assert abs(seeds) < 5 / np.sqrt(4000 * 256), offset


def test_candidate_zero_is_the_mean() -> None:
    found = noise.candidate_noise(np.array([3, 7]), 64, 4, 2)
    assert found.shape == (2, 64, 4, 2) and (found[:, 0] == 0).all() and (found[0] != found[1]).any()
    assert (noise.candidate_noise(np.array([7]), 64, 4, 2)[0] == found[1]).all(), "a plan's noise is its seed's alone"


def test_seeds_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="24-bit"):
        noise.hash_lanes(np.array([1 << 24]), 4)
