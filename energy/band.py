"""Low, nominal and high of one quantity: what every figure and every estimate is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Band:
    """Low, nominal and high of one quantity, added bound by bound.

    The fields are floats; a Monte-Carlo run puts arrays of draws there, so the models use numpy's maximum on them.

    >>> (Band(1.0, 2.0, 4.0) + Band(1.0, 1.0, 1.0)).nominal
    3.0
    """

    low: float = 0.0
    nominal: float = 0.0
    high: float = 0.0

    def __add__(self, other: Band) -> Band:
        return Band(self.low + other.low, self.nominal + other.nominal, self.high + other.high)

    def __mul__(self, other: float | Band) -> Band:
        by = other if isinstance(other, Band) else Band(other, other, other)
        return Band(self.low * by.low, self.nominal * by.nominal, self.high * by.high)

    def bounds(self) -> tuple[float, float, float]:
        """(low, nominal, high)."""
        return self.low, self.nominal, self.high

    def to_json(self) -> dict[str, float]:
        """{"low", "nominal", "high"}, as numbers of Python."""
        return {"low": float(self.low), "nominal": float(self.nominal), "high": float(self.high)}


ZERO = Band()
