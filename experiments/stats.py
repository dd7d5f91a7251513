"""Intervals. Success with Wilson's interval; differences paired by episode, seeds averaged within an episode first."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054


def wilson(successes: int, trials: int) -> list[float]:
    """Wilson score interval, 95 %."""
    if trials == 0:
        return [0.0, 1.0]
    p, z2 = successes / trials, Z95**2
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return [round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6)]


def paired(ours_KN: NDArray[np.float64], other_KN: NDArray[np.float64]) -> list[float]:
    """95 % interval of the mean difference; (seeds, episodes) each. Episodes are the independent unit: an episode's seeds
    are averaged before the normal interval is taken over episodes."""
    difference = (ours_KN - other_KN).mean(0)
    half = Z95 * float(difference.std(ddof=1)) / math.sqrt(len(difference)) if len(difference) > 1 else 1.0
    mean = float(difference.mean())
    return [mean - half, mean + half]
