"""What it is worth to know one quantity, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from spikeplan.energy.worth import binned, resolution, right, right_now, variance_share

DRAWS = 20_000


@pytest.fixture(scope="module")
def uniform() -> np.ndarray:
    return np.random.default_rng(0).random((3, DRAWS))


def test_variance_shares_of_a_sum_are_those_of_its_terms(uniform: np.ndarray) -> None:
    # y = 3 a + b: Var = (9 + 1) / 12, so a has 0.9 and b 0.1; c is in no term
    a, b, c = uniform
    y = 3 * a + b
    shares = [variance_share(binned(quantile, y)) for quantile in (a, b, c)]
    assert shares == pytest.approx([0.9, 0.1, 0.0], abs=0.01)
    assert shares[2] < resolution(binned(c, y)) < shares[1]
    assert variance_share(np.full((4, 20), 2.0)) == 0.0 and variance_share(np.ones((1, 5))) == 0.0


def test_what_matters_only_with_another_has_no_share(uniform: np.ndarray) -> None:
    a, b, _ = uniform - 0.5
    assert variance_share(binned(a, a * b)) < 0.01


def test_who_knows_calls_it_rightly(uniform: np.ndarray) -> None:
    # y = a - 1/2 + e: its sign is that of a - 1/2 where |e| is small; with e in +-1/4 the call is right in 7 of 8 draws
    a, b, c = uniform
    y = a - 0.5 + (b - 0.5) / 2
    assert right_now(y) == pytest.approx(0.5, abs=0.01)
    assert right(binned(a, y)) == pytest.approx(7 / 8, abs=0.01)
    assert right(binned(c, y)) == pytest.approx(0.5, abs=0.01), "knowing nothing does not look like knowing something"
    assert right(binned(a, a - 0.5)) == pytest.approx(1.0, abs=0.01)
    assert right(np.array([[-1.0], [1.0], [1.0]])) == pytest.approx(2 / 3), "one draw a row: nothing to judge it by"


def test_bins_follow_the_quantile_and_keep_the_order_of_the_draws() -> None:
    quantile = np.array([0.9, 0.1] * 20)
    table = binned(quantile, np.arange(40.0))
    assert table.shape == (2, 20)
    assert table[0].tolist() == list(range(1, 40, 2)) and table[1].tolist() == list(range(0, 40, 2))
    assert binned(np.zeros(5), np.arange(5.0)).shape == (1, 5)
