"""The peak rates of the CPU at hand, for its roofline. Joules are in energy/meter.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

from spikeplan.energy.charge import CpuPeak


def measure_peak(
    *, size: int = 768, repeats: int = 5, copy_bytes: int = 64 << 20, power_w: float | None = None
) -> CpuPeak:
    """Peak rates of this CPU: fp32 matmul of `size` (2 size^3 FLOP) and a copy of `copy_bytes` (read and written).

    The best of `repeats`, not the mean: a roofline needs the peak. The matmul is numpy's BLAS, so the rate is that of its
    threads. `power_w`: watts of the busy CPU, where known. Raises ValueError for fewer than one repeat.

    >>> measure_peak(power_w=15.0).flop_per_s
    """
    a = np.full((size, size), 0.5, dtype=np.float32)
    out = np.empty_like(a)
    source = np.zeros(copy_bytes, dtype=np.uint8)
    target = np.ones_like(source)
    matmul_s = _best(lambda: np.matmul(a, a, out=out), repeats)
    copy_s = _best(lambda: np.copyto(target, source), repeats)
    return CpuPeak(
        flop_per_s=2.0 * size**3 / matmul_s,
        bytes_per_s=2.0 * copy_bytes / copy_s,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        power_w=power_w,
    )


def _best(work: Callable[[], object], repeats: int) -> float:
    if repeats < 1:
        raise ValueError(f"{repeats} repeats: at least one is needed")
    work()  # warm caches and BLAS threads
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return max(min(taken), 1e-9)
