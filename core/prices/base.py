"""What an integer price is, and how a plan's settings name one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError

Ints = NDArray[np.int64]


class IntegerGoal(NamedTuple):
    """In latent LSB: the goal (D,), and K places to keep out of (K, D); K may be 0. Where rows are of several episodes, of each
    row: (S, D) and (S, K, D)."""

    goal_D: Ints
    places_KD: Ints


class Price(Protocol):
    """`step(z_SD, action_SA, goal)` -> (S,), whole and >= 0: of having come to z by this action. z and goal in latent LSB, action
    in action LSB, all int64. It keeps no state. `most`: the largest that it can be, at most 2^23 - 1; sums beyond saturate."""

    @property
    def most(self) -> int: ...
    def step(self, z_SD: Ints, action_SA: Ints, goal: IntegerGoal) -> Ints: ...


@dataclass(frozen=True, kw_only=True)
class PriceKind:
    """A price by name; `make(**settings)` returns a Price from whole numbers.

    >>> PRICE = PriceKind(name="mine", make=MyPrice)
    """

    name: str
    make: Callable[..., Price]


@dataclass(frozen=True, kw_only=True)
class Priced:
    """One term of a cost as settings that travel as JSON: which price, its weight (whole, >= 1) and its own settings."""

    name: str
    weight: int = 1
    settings: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Priced:
        return cls(name=values["name"], weight=values["weight"], settings=dict(values["settings"]))


def whole(name: str, answer: object, rows: int) -> Ints:
    """What a price's `step` answered, as int64. Raises UserError where that is not one whole number >= 0 a row."""
    prices = np.asarray(answer)
    if prices.shape != (rows,) or prices.dtype.kind not in "iu" or (prices < 0).any():
        raise UserError(f"price {name}: step returned {prices.dtype}{prices.shape}; expected {rows} whole numbers >= 0")
    return prices.astype(np.int64)
