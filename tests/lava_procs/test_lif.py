"""Our LIF processes fire exactly as Lava's own, in both precisions, on silent, busy and overflowing input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import LIF, Input, chain
from spikeplan.core.ir.graph.reference import Running
from spikeplan.lava_procs.lif import LIFParams, LIFState, lif_fixed, lif_float
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


@pytest.mark.parametrize("case", CASES)
def test_the_processs_arithmetic_is_the_graphs(case: Case) -> None:
    """`LIF` computes with lif_fixed and lif_float; the graph's neurons are what is held against Lava's own above."""
    fixed = isinstance(case.du, int)
    kind = np.int64 if fixed else np.float64
    one = {key: np.full(3, getattr(case, key), kind) for key in ("du", "dv", "vth", "bias")}
    graph = chain([Input(name="x", shape=(3,)), LIF(name="s", bias_exp=case.bias_exp, **one)])
    p = LIFParams(du=one["du"], dv=one["dv"], vth=one["vth"], bias_mant=one["bias"], bias_exp=case.bias_exp)
    running, state, fired_ever = Running(graph), LIFState(np.zeros(3, kind), np.zeros(3, kind)), 0
    for a in np.random.default_rng(0).integers(-2 * case.top, 2 * case.top, (300, 3)).astype(kind):
        running.step({"x": a})
        fired, state = (lif_fixed if fixed else lif_float)(a, state, p)
        assert (running.sent["s"] == fired).all() and (running.state["s"]["u"] == state.u).all()
        assert (running.state["s"]["v"] == state.v).all()
        fired_ever += int(fired.sum())
    assert 20 < fired_ever < 880
