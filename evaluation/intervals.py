"""Intervals. The episode is the independent unit: an episode's planner seeds are averaged before anything else.

Success: Wilson's score interval; with several seeds on the effective number of trials, p (1 - p) / var(mean).
Differences: paired by episode, with Agresti and Min's two pseudo-episodes, half a win and half a loss (Agresti & Min 2005,
Statistics in Medicine 24:729), so that few discordant pairs do not make the interval vanish.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054


def wilson(successes: float, trials: float) -> tuple[float, float]:
    """Wilson score interval, 95 %. `trials` may be an effective number."""
    if trials == 0:
        return 0.0, 1.0
    p, z2 = successes / trials, Z95**2
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2)) / (1 + z2 / trials)
    return round(max(0.0, centre - half), 6), round(min(1.0, centre + half), 6)


def success_interval(success_KN: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of a success rate; (seeds, episodes). Seeds of one episode count as much as they tell apart: between
    N trials (all seeds agree) and K N (as if independent)."""
    seeds, episodes = success_KN.shape
    p = float(success_KN.mean())
    if seeds == 1 or p in (0.0, 1.0):
        return wilson(p * episodes, episodes)
    variance = float(success_KN.mean(0).var(ddof=1)) / episodes if episodes > 1 else 0.0
    effective = p * (1 - p) / variance if variance > 0 else seeds * episodes
    trials = min(max(effective, episodes), seeds * episodes)
    return wilson(p * trials, trials)


def paired(ours_KN: NDArray[np.float64], other_KN: NDArray[np.float64]) -> tuple[float, float]:
    """95 % interval of the mean difference; (seeds, episodes) each."""
    difference = (ours_KN - other_KN).mean(0)
    n = len(difference) + 2
    mean = float(difference.sum()) / n
    variance = (float(np.square(difference).sum()) + 1.0) / n - mean**2
    half = Z95 * math.sqrt(variance / n)
    return mean - half, mean + half
