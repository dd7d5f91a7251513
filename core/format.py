"""Numbers as a reader sees them: SI prefixes and shares, three digits."""

from __future__ import annotations

DASH = "-"


def joule(value: float | None) -> str:
    """With an SI prefix, three digits."""
    return quantity(value, "J")


def quantity(value: float | None, unit: str) -> str:
    if value is None:
        return DASH
    for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p")):
        if abs(value) >= scale:
            return f"{value / scale:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def percent(value: float | None) -> str:
    """A share of draws: none of them is no certainty, and neither are all."""
    if value is None:
        return DASH
    return "< 1 %" if value < 0.01 else "> 99 %" if value > 0.99 else f"{100 * value:.0f} %"
