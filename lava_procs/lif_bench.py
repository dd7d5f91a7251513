"""Spikes that our LIF and Lava's own fire differently on the same random train, fixed and floating."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from lava_procs import child
from lava_procs.child import LavaError

CASES: tuple[tuple[str, dict[str, Any], int], ...] = (  # precision, parameters, largest weight
    ("fixed_pt", {"du": 700, "dv": 300, "vth": 90, "bias_mant": 3, "bias_exp": 5}, 60),
    ("fixed_pt", {"du": 0, "dv": 0, "vth": 2000, "bias_mant": -7, "bias_exp": -1}, 120),
    ("floating_pt", {"du": 0.2, "dv": 0.07, "vth": 90.0, "bias_mant": 0.5}, 60),
)
TIMEOUT_S = 120.0


def spikes_of(
    folder: Path, *, stock: bool, precision: str, params: dict[str, Any], top: int, steps: int
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Output spikes (steps, 9) of two layers with random even weights, in a worker of its own."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    np.save(folder / "in.npy", rng.random((steps, 12)) < 0.3)
    np.savez(folder / "w.npz", w0=2 * rng.integers(-top, top, (16, 12)), w1=2 * rng.integers(-top // 2, top, (9, 16)))
    job = {"spikes": str(folder / "in.npy"), "weights": str(folder / "w.npz"), "params": params, "precision": precision,
           "stock": stock, "out": str(folder / "out.npy")}  # fmt: skip
    (folder / "job.json").write_text(json.dumps(job))
    worker = child.start("lava_procs.lif_worker", folder / "job.json", folder / "log.txt")
    try:
        worker.wait(TIMEOUT_S)
    finally:
        code = child.end(worker)
    if code != 0:
        raise LavaError(f"LIF worker: {child.how(code)}\n{child.tail(folder / 'log.txt')}")
    return np.load(folder / "out.npy")


def stock_difference(folder: Path, steps: int = 1000) -> int:
    different = 0
    for number, (precision, params, top) in enumerate(CASES):
        ours, theirs = (
            spikes_of(
                folder / f"{number}-{stock}", stock=stock, precision=precision, params=params, top=top, steps=steps
            )
            for stock in (False, True)
        )
        different += int((ours != theirs).sum())
    return different
