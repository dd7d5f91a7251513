"""What can be measured on the machine at hand: Joules from RAPL where it can be read, and the CPU's peak rates.

RAPL is a counter in microjoules per package under /sys/class/powercap that wraps at `max_energy_range_uj`. It is root's
alone on most kernels and absent in most virtual machines: then the reading is None, never a guess. It counts the whole
package, whatever else runs on it, and one wrap at most between two readings.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from energy.charge import CpuPeak

POWERCAP = Path("/sys/class/powercap")


@dataclass
class Reading:
    """Filled when the `with` block ends. `joules` is None where RAPL cannot be read."""

    joules: float | None = None
    seconds: float = 0.0


@contextmanager
def measure_joules(root: Path = POWERCAP) -> Iterator[Reading]:
    """Package energy of a block: `with measure_joules() as reading: ...; reading.joules`."""
    reading = Reading()
    before, start = read_packages(root), time.perf_counter()
    try:
        yield reading
    finally:
        reading.seconds = time.perf_counter() - start
        after = read_packages(root)
        if before is not None and after is not None and before.keys() == after.keys():
            reading.joules = sum(used(before[name], after[name]) for name in before) * 1e-6


def measure_peak(
    *, size: int = 768, repeats: int = 5, copy_bytes: int = 64 << 20, power_w: float | None = None
) -> CpuPeak:
    """Best of `repeats`: fp32 matmul of `size` (2 size^3 FLOP) and a copy of `copy_bytes` (read and written).

    The best, not the mean: a roofline needs the peak. The matmul is numpy's BLAS, so the rate is that of its threads.
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


def read_packages(root: Path) -> dict[str, tuple[int, int]] | None:
    """Package -> (counter, range) in microjoules; None unless every package can be read.

    Top-level zones only (intel-rapl:0, amd too): their subzones (intel-rapl:0:0) are parts of them, and psys, the
    platform, and the mmio twin would count the package twice.
    """
    found = {}
    try:
        for zone in sorted(root.glob("intel-rapl:*")):
            if zone.name.count(":") != 1 or not (zone / "name").read_text().startswith("package"):
                continue
            counter = int((zone / "energy_uj").read_text())
            found[zone.name] = (counter, int((zone / "max_energy_range_uj").read_text()))
    except (OSError, ValueError):
        return None
    return found or None


def used(before: tuple[int, int], after: tuple[int, int]) -> int:
    gone = after[0] - before[0]
    return gone if gone >= 0 else gone + before[1]
