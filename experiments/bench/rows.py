"""The row of a benchmark, the same for all of them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class BenchRow:
    """`ours` beside `other`, in `unit`. None: not measured, or nothing to hold it against; `unit` then says why.

    `goal`: what is asked, in words. `holds`: whether that is so; None where nothing is asked or measured. `detail`: left out of
    the documentation's table.
    """

    name: str
    ours: float | None
    other: float | None = None
    ratio: float | None = None
    unit: str
    goal: str | None = None
    holds: bool | None = None
    detail: bool = False

    def to_json(self) -> dict[str, Any]:
        """Its seven words, and `detail` where it is true."""
        return {key: value for key, value in asdict(self).items() if key != "detail" or value}


def quotient(ours: float | None, other: float | None) -> float | None:
    """None where a side is missing or is zero."""
    return ours / other if ours is not None and other else None
