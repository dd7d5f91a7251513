"""HTML from data: text is always escaped, only `Markup` passes as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

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
