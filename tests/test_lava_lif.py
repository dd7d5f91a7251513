"""Our LIF processes fire exactly as Lava's own, in both precisions, on silent, busy and overflowing input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lava_procs import child
from lava_procs.lif import LIFParams, LIFState, lif_fixed
from spec.errors import UserError


def spikes_of(stock: bool, precision: str, params: dict[str, Any], folder: Path, steps: int, top: int) -> np.ndarray:
    folder.mkdir()
    rng = np.random.default_rng(3)
    np.save(folder / "in.npy", rng.random((steps, 12)) < 0.3)
    np.savez(folder / "w.npz", w0=2 * rng.integers(-top, top, (16, 12)), w1=2 * rng.integers(-top // 2, top, (9, 16)))
    job = {"spikes": str(folder / "in.npy"), "weights": str(folder / "w.npz"), "params": params, "precision": precision,
           "stock": stock, "out": str(folder / "out.npy")}  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    worker = child.start("lava_procs.lif_worker", folder / "job.json", folder / "log.txt")
    try:
        worker.wait(120)
    finally:
        code = child.end(worker)
    assert code == 0, child.tail(folder / "log.txt")
    return np.load(folder / "out.npy")


@pytest.mark.parametrize(
    ("precision", "params", "top"),
    [
        ("fixed_pt", {"du": 700, "dv": 300, "vth": 90, "bias_mant": 3, "bias_exp": 5}, 60),
        ("fixed_pt", {"du": 0, "dv": 0, "vth": 2000, "bias_mant": -7, "bias_exp": -1}, 120),
        ("floating_pt", {"du": 0.2, "dv": 0.07, "vth": 90.0, "bias_mant": 0.5}, 60),
    ],
)
def test_spikes_equal_lavas_own(precision: str, params: dict[str, Any], top: int, tmp_path: Path) -> None:
    ours = spikes_of(False, precision, params, tmp_path / "ours", 1000, top)
    stock = spikes_of(True, precision, params, tmp_path / "stock", 1000, top)
    assert (ours == stock).all()
    assert 0.02 < ours.mean() < 0.98, "neither silent nor always on"


def test_a_current_beyond_24_bits_wraps_once() -> None:
    """2^23 + 64 wraps to -2^23 + 64, a voltage saturates instead."""
    p = LIFParams(du=4095, dv=0, vth=10**9)
    fired, state = lif_fixed(np.array([(1 << 17) + 1]), LIFState(np.zeros(1, np.int64), np.zeros(1, np.int64)), p)
    assert state.u.tolist() == [-(1 << 23) + 64] and not fired.any()
    _, state = lif_fixed(np.array([0]), LIFState(np.zeros(1, np.int64), np.array([8_000_000])), LIFParams(
        du=4095, vth=10**9, bias_mant=1, bias_exp=22))  # fmt: skip
    assert state.v.tolist() == [(1 << 23) - 1]


def test_fixed_parameters_are_integers() -> None:
    with pytest.raises(UserError, match=r"du 0.2 must be an integer in \[0, 4096\)"):
        LIFParams(du=0.2).check_fixed()
