"""What a predictor's module is, for training, checkpoints and planning."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PredictorKind:
    """A module z[t+1] = f(z[t], a[t]) by name.

    `make(latent_dim, action_dim, hidden)` returns an nn.Module with the attributes `latent_dim`, `action_dim` and `hidden`
    (a tuple of widths, free to be read as the module likes) and `forward(latent (..., D), action (..., A)) -> (..., D)`.
    Its layers may have any names: they are counted as the module runs.

    >>> PREDICTOR = PredictorKind(name="gru", make=GRUPredictor)
    """

    name: str
    make: Callable[..., Any]  # an nn.Module
