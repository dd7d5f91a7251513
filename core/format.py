"""Numbers as a reader sees them, on a page and in a terminal: three significant digits, SI prefixes, a dash for none."""

from __future__ import annotations

import math
from typing import Any

DASH = "–"
Interval = tuple[float, float]  # low, high


def number(value: float | None, digits: int = 3) -> str:
    """Three significant digits; SI prefixes from ten thousand on."""
    if value is None or not math.isfinite(value):
        return DASH
    if value == 0:
        return "0"
    if value < 0:
        return "−" + number(-value, digits)
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor and value >= 1e4:
            return f"{_significant(value / factor, digits)} {prefix}"
    return f"{value:.0f}" if value >= 1000 or (value == int(value) and value >= 1) else _significant(value, digits)


def _significant(value: float, digits: int) -> str:
    if abs(value) < 1e-3:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def count(value: float | None) -> str:
    """An integer with its thousands apart."""
    return DASH if value is None else f"{value:,.0f}".replace(",", "\u2009")


def several(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> several(1, "replica"), several(2000, "step")
    ('1 replica', '2,000 steps')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def quantity(value: float | None, unit: str) -> str:
    """With an SI prefix.

    >>> quantity(5.5e-4, "J")
    '550 µJ'
    """
    if value is None or not math.isfinite(value):
        return DASH
    for factor, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p")):
        if abs(value) >= factor:
            return f"{_significant(value / factor, 3)} {prefix}{unit}"
    return f"0 {unit}" if value == 0 else f"{value:.2e} {unit}"


def joule(value: float | None) -> str:
    return quantity(value, "J")


def percent(value: float | None) -> str:
    """A share of draws: none of them is no certainty, and neither are all."""
    if value is None:
        return DASH
    return "< 1 %" if value < 0.01 else "> 99 %" if value > 0.99 else f"{100 * value:.0f} %"


def share(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def between(interval: Interval | None) -> str:
    return DASH if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"


def points(interval: Interval | None) -> str:
    """A paired difference in percentage points: its middle and its 95 % interval."""
    if interval is None:
        return DASH
    low, high = (100 * v for v in interval)
    return f"{(low + high) / 2:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "\u2212")


def plain(value: Any) -> str:
    """Whatever a file holds, for a table cell; a setting such as 1.5 gets no digits that it does not have."""
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, float) and 1e-3 <= abs(value) < 1e4:
        return f"{value:.4g}".replace("-", "−")
    return number(value) if isinstance(value, int | float) else str(value)
