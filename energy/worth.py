"""What would have to be measured to decide? What it is worth to know one quantity, the others left to chance.

A table has a row for each value that the quantity might turn out to have, and in a row what chance leaves of the rest.

    variance share    Var(E[y | quantity]) / Var(y): Sobol's first-order index; bins' means vary by chance too, which is taken off
    right             share of draws that are called rightly if the call may depend on the row: expected value of perfect
                      information, in draws. Half of a row makes the call and the other half judges it, so it is not flattered

y is the logarithm of a ratio: below 0 the first side takes less. Two quantities that matter only together have no share alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
MOST_BINS, LEAST_IN_BIN = 20, 20


def binned(quantile: Reals, values: Reals) -> Reals:
    """Values (draws,) as a table (bins, draws in it), one bin for each stretch of the quantile; what is left over is dropped.

    >>> binned(np.arange(80.0), np.arange(80.0)).shape
    (4, 20)
    """
    bins = min(MOST_BINS, max(1, len(values) // LEAST_IN_BIN))
    each = len(values) // bins
    ordered = np.argsort(quantile, kind="stable")[: bins * each].reshape(bins, each)
    return np.asarray(values[np.sort(ordered, axis=1)])  # in a bin as they were drawn, so that its halves are alike


def variance_share(table: Reals) -> float:
    """0 .. 1 of the variance; 0 where nothing varies.

    >>> variance_share(np.array([[1.0, 1.0], [3.0, 3.0]]))
    1.0
    """
    rows, each = table.shape
    total = float(table.var())
    if rows < 2 or each < 2 or total == 0:
        return 0.0
    chance = float(table.var(1, ddof=1).mean()) / each * (rows - 1) / rows
    between = float(table.mean(1).var()) - chance
    return float(np.clip(between / total, 0, 1))


def resolution(table: Reals) -> float:
    """A share of the variance below this may be chance: three standard deviations of one that is none.

    >>> round(resolution(np.zeros((20, 100))), 3)
    0.01
    """
    rows, each = table.shape
    return 3 * float(np.sqrt(2 / max(1, rows - 1))) / float(each)


def right(table: Reals) -> float:
    """Share of the draws whose side is called rightly where the quantity is known. Without a call, of the larger side.

    >>> right(np.array([[-1.0, -1.0], [1.0, 1.0]]))
    1.0
    """
    ahead = table < 0
    first, second = ahead[:, ::2], ahead[:, 1::2]
    if second.shape[1] == 0:
        return right_now(table)
    usual = ahead.mean() >= 0.5
    judged = []
    for ours, other in ((first, second), (second, first)):
        share = ours.mean(1)
        call = np.where(share == 0.5, usual, share > 0.5)
        judged.append(float((other == call[:, None]).mean()))
    return sum(judged) / 2


def right_now(values: Reals) -> float:
    """Of the larger side, which is called in every draw."""
    share = float((values < 0).mean())
    return max(share, 1 - share)
