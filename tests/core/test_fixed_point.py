"""Rounding toward zero and symmetric saturation, against Python's exact integers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spikeplan.core.fixed_point import limit, saturate, trunc_shift

NUMBERS = arrays(np.int64, 17, elements=st.integers(-(2**40), 2**40))


@given(x=NUMBERS, k=st.integers(0, 30))
def test_trunc_shift_rounds_toward_zero(x, k):
    expected = [abs(v) // 2**k * (1 if v >= 0 else -1) for v in x.tolist()]
    assert trunc_shift(x, k).tolist() == expected
    assert (trunc_shift(-x, k) == -trunc_shift(x, k)).all()


def test_an_arithmetic_shift_would_not_do():
    assert int(trunc_shift(np.array([-1]), 1)[0]) == 0 != -1 >> 1


def test_negative_shift_is_refused():
    with pytest.raises(ValueError, match="shift -1"):
        trunc_shift(np.array([1]), -1)


@given(x=NUMBERS, bits=st.integers(2, 24))
def test_saturation_is_symmetric_and_counted(x, bits):
    top = 2 ** (bits - 1) - 1
    clipped, count = saturate(x, bits)
    assert limit(bits) == top
    assert clipped.tolist() == [max(-top, min(top, v)) for v in x.tolist()]
    assert count == sum(abs(v) > top for v in x.tolist())
    assert (saturate(-x, bits)[0] == -clipped).all()
