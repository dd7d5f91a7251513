"""Intervals by hand and by their properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeplan.evaluation.intervals import paired, success_interval, wilson


@given(st.integers(0, 50), st.integers(1, 50))
@settings(max_examples=30)
def test_wilson_holds_the_share(successes: int, more: int) -> None:
    low, high = wilson(successes, successes + more)
    assert 0 <= low <= successes / (successes + more) <= high <= 1


def test_paired_interval_by_hand() -> None:
    """Differences 0, 1, 0, 1 over four episodes. Agresti and Min: b = 2.5, c = .5, N = 6: mean 2/6, variance
    3/6 - (2/6)^2 = .3889, half width 1.96 sqrt(.3889 / 6) = .4990."""
    low, high = paired(np.array([[0.0, 1, 1, 1]]), np.array([[0.0, 0, 1, 0]]))
    assert low == pytest.approx(1 / 3 - 0.4990, abs=1e-3) and high == pytest.approx(1 / 3 + 0.4990, abs=1e-3)


def test_no_discordant_pair_is_no_proof() -> None:
    """One loss in 100: Agresti-Min gives -.0373; a plain normal interval would stop at -.0296."""
    same, worse = np.ones((1, 100)), np.ones((1, 100))
    worse[0, 3] = 0.0
    assert paired(same, same)[0] == pytest.approx(-0.0192, abs=1e-3)
    assert paired(worse, same)[0] == pytest.approx(-0.0373, abs=1e-3)


def test_seeds_that_agree_do_not_narrow_the_interval() -> None:
    one = (np.random.default_rng(0).random((1, 200)) < 0.8).astype(float)
    alone, thrice = success_interval(one), success_interval(np.repeat(one, 3, 0))
    assert thrice == pytest.approx(alone, abs=2e-3)
    apart = (np.random.default_rng(1).random((3, 200)) < 0.8).astype(float)
    width = np.diff(success_interval(apart))[0]
    assert width < 0.7 * np.diff(alone)[0]
