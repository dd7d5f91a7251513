"""Stored contexts: what lets one chain of neurons serve several streams of passes (references) in turn.

Every pass carries a token (number, load, save) that travels down the pipe with the data:

    number  1, 2, ...; 0 is a bubble: no pass is in this layer at this time step, its state stays as it is
    load    KEEP the working state, RESET it to zero, or k >= 0: copy slot k into it, before the pass
    save    KEEP, or k >= 0: copy the working state into slot k, after the pass

State is (sigma, ref) stacked to shape (2, n); slots have shape (K, 2, n) and start at zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KEEP = -1
RESET = -2
TOKEN = 3  # width of a token: number, load, save


def enter(state: NDArray[Any], slots: NDArray[Any], load: int) -> NDArray[Any]:
    """The state that a pass starts from."""
    if load == KEEP:
        return state
    return np.zeros_like(state) if load == RESET else slots[load].copy()


def leave(state: NDArray[Any], slots: NDArray[Any], save: int) -> None:
    """Store what a pass ends with, in place."""
    if save != KEEP:
        slots[save] = state
