"""Our LIF processes fire exactly as Lava's own, in both precisions, on silent, busy and overflowing input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.lava_procs.lif import LIFParams, LIFState, lif_fixed
from spikeplan.lava_procs.lif_bench import CASES, Case, spikes_of

WRONG = """
import numpy as np
from spikeplan.core.errors import UserError
from spikeplan.lava_procs.lif import LIFParams
from spikeplan.lava_procs.python311 import import_lava
import_lava()
from spikeplan.lava_procs.processes.lif import LIF
try:
    LIF(shape=(3,), params=LIFParams(du=np.full(5, 4095)))
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize("case", CASES)
@pytest.mark.slow
def test_spikes_equal_lavas_own(case: Case, tmp_path: Path) -> None:
    ours, stock = (spikes_of(case, tmp_path / form, form=form, steps=1000) for form in ("readable", "stock"))
    assert ours.shape == stock.shape == (1000, 9) and (ours == stock).all()
    assert 0.02 < (ours != 0).mean() < 0.98, "neither silent nor always on"


def test_a_current_beyond_24_bits_wraps_once() -> None:
    """2^23 + 64 wraps to -2^23 + 64, a voltage saturates instead."""
    p = LIFParams(du=4095, dv=0, vth=10**9)
    fired, state = lif_fixed(np.array([(1 << 17) + 1]), LIFState(np.zeros(1, np.int64), np.zeros(1, np.int64)), p)
    assert state.u.tolist() == [-(1 << 23) + 64] and not fired.any()
    _, state = lif_fixed(
        np.array([0]),
        LIFState(np.zeros(1, np.int64), np.array([8_000_000])),
        LIFParams(du=4095, vth=10**9, bias_mant=1, bias_exp=22),
    )
    assert state.v.tolist() == [(1 << 23) - 1]


def test_fixed_parameters_are_integers() -> None:
    with pytest.raises(UserError, match=r"du 0.2 must be an integer in \[0, 4096\)"):
        LIFParams(du=0.2).check_fixed()


def test_parameters_of_another_shape_are_refused_before_lava_waits_for_them() -> None:
    five = np.full(5, 4095)
    with pytest.raises(UserError, match=r"du of shape \(5,\) does not fit neurons of shape \(3,\)"):
        LIFParams(du=five).check_shape((3,))
    with pytest.raises(UserError, match="vth of shape"):
        LIFParams(vth=np.ones((3, 1))).check_shape((3,))  # would make nine of three
    LIFParams(du=five).check_shape((2, 5))
    done = subprocess.run([sys.executable, "-c", WRONG], text=True, capture_output=True, timeout=120)
    assert done.stdout.startswith("LIF: du of shape (5,)") and not done.stderr, done.stderr[-500:]
