"""HTML from data: text is always escaped, only `Markup` passes as it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from spikeplan.evaluation.results import finite, interval

DASH = "–"
SHORT = 8  # rows of a table that is not folded


class Markup(str):
    """A string that is HTML already."""

    __slots__ = ()


def text(value: object) -> Markup:
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def tag(name: str, *content: object, **attributes: str) -> Markup:
    """<name class="..">content</name>; `class_` stands for class."""
    head = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{head}>{join(content)}</{name}>")


def join(parts: Iterable[object]) -> Markup:
    return Markup("".join(text(part) for part in parts))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], *, words: int = 1, last: int = 0) -> Markup:
    """A table whose first `words` and `last` columns are text and whose others are figures, set to the right."""
    kind = ["word" if i < words or i >= len(head) - last else "number" for i in range(len(head))]
    top = tag("tr", *(tag("th", cell, class_=k) for cell, k in zip(head, kind, strict=True)))
    body = [tag("tr", *(tag("td", cell, class_=k) for cell, k in zip(row, kind, strict=True))) for row in rows]
    whole = tag("div", tag("table", tag("thead", top), tag("tbody", *body)), class_="wide")
    if len(body) <= SHORT:
        return whole
    return tag("details", tag("summary", f"table: {len(body)} rows"), whole)


def not_run(what: str = "") -> Markup:
    return tag("p", f"not run{': ' + what if what else ''}", class_="absent")


def number(value: Any, digits: int = 3) -> str:
    """Three significant digits; SI prefixes from ten thousand on."""
    known = finite(value)
    if known is None:
        return DASH
    if known == 0:
        return "0"
    if known < 0:
        return "−" + number(-known, digits)
    size = known
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= factor and size >= 1e4:
            return f"{_significant(known / factor, digits)} {prefix}"
    return f"{known:.0f}" if size >= 1000 or (known == int(known) and size >= 1) else _significant(known, digits)


def _significant(value: float, digits: int) -> str:
    if abs(value) < 1e-3:
        return f"{value:.{digits - 1}e}"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{places}f}"


def count(value: Any) -> str:
    """An integer with its thousands apart."""
    known = finite(value)
    return DASH if known is None else f"{known:,.0f}".replace(",", "\u2009")


def energy(value: Any) -> str:
    """Joules with an SI prefix."""
    known = finite(value)
    if known is None or known == 0:
        return DASH if known is None else "0 J"
    for factor, prefix in ((1, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p")):
        if abs(known) >= factor:
            return f"{_significant(known / factor, 3)} {prefix}J"
    return f"{known:.2e} J"


def share(value: Any) -> str:
    known = finite(value)
    return DASH if known is None else f"{known:.3f}"


def between(value: Any) -> str:
    ends = interval(value)
    return DASH if ends is None else f"[{ends[0]:.3f}, {ends[1]:.3f}]"


def points(value: Any) -> str:
    """A paired difference in percentage points: its middle and its 95 % interval."""
    ends = interval(value)
    if ends is None:
        return DASH
    low, high = (100 * v for v in ends)
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
