"""A comparison as text and as HTML: the systems where a rate was named, else the machines; then who draws least."""

from __future__ import annotations

from html import escape
from typing import Any, Protocol

from spikeplan.core.format import DASH, joule, quantity

MACHINES = ("name", "machine", "schedule", "energy an action", "low .. high", "time")
SYSTEMS = ("system", "Hz", "least with", "W", "low .. high", "over the least", "time, high end")
ENDING = "estimates from counts, nothing was measured"
MEASURED = "estimates from counts, but for the rows that say measured"


class Rows(Protocol):
    @property
    def rows(self) -> list[dict[str, Any]]: ...
    @property
    def refused(self) -> list[dict[str, Any]]: ...
    @property
    def systems(self) -> list[dict[str, Any]]: ...
    @property
    def by_system(self) -> list[dict[str, Any]]: ...
    @property
    def winner(self) -> dict[str, Any]: ...


def tables(comparison: Rows) -> list[list[tuple[str, ...]]]:
    """Each with its head first."""
    found = [[MACHINES, *_machines(comparison)]]
    if comparison.systems:
        found.append([SYSTEMS, *_systems(comparison)])
    return found


def ending(comparison: Rows) -> str:
    """Who is ahead, and how far behind the other side is."""
    best = comparison.winner
    ending = MEASURED if any(row["mark"] == "measured" for row in comparison.rows) else ENDING
    if not comparison.systems:
        bound = f" ({best['mark']})" if best["mark"] else ""
        return f"least: {best['name']} on {best['machine']}{bound}; {ending}"
    words = []
    for rate in dict.fromkeys(row["rate_hz"] for row in comparison.by_system):
        rows = [row for row in comparison.by_system if row["rate_hz"] == rate]
        first = rows[0]
        other = next((row for row in rows if row["side"] != first["side"]), None)
        said = f"{rate:g} Hz: least is {first['name']} on {first['title']} ({quantity(first['watts'], 'W')})"
        if other is not None:
            said += (
                f"; the best {other['side']} system, {other['title']}, draws {other['ratio']:.3g} times as much "
                f"({other['ratio_low']:.2g} .. {other['ratio_high']:.3g})"
            )
        words.append(said)
    if any(map(late, comparison.by_system)):
        words.append("!: late at the high end of the constants")
    return "; ".join([*words, *left_out(comparison), ending])


def late(row: dict[str, Any]) -> bool:
    """Whether the plan misses the rate where every constant is at its slow end."""
    return bool(row["seconds_high"] * row["rate_hz"] > 1)


def left_out(comparison: Rows) -> list[str]:
    """Networks that no system of their kind could run, each with the first reason."""
    drawn = {row["name"] for row in comparison.systems}
    asked = {row["name"] for row in comparison.rows}
    said = []
    for name in sorted(asked - drawn):
        why = next((one["reason"] for one in comparison.refused if one["name"] == name and one["of"] == "system"), "")
        said.append(f"{name} is on none: {why or 'no system of its kind was named'}")
    return said


def as_text(comparison: Rows) -> str:
    parts = []
    for table in tables(comparison)[-1:]:
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        parts.append(
            "\n".join(
                "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
                for line in table
            )
        )
    return "\n\n".join(parts) + f"\n{ending(comparison)}"


def as_html(comparison: Rows) -> str:
    found = ""
    for head, *lines in tables(comparison)[-1:]:
        top = "".join(f"<th>{name}</th>" for name in head)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
        found += f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return found


def _machines(comparison: Rows) -> list[tuple[str, ...]]:
    return [
        (
            row["name"],
            row["machine"] + (f" ({row['mark']})" if row["mark"] else ""),
            row["schedule"],
            joule(row["joules"]),
            f"{joule(row['low'])} .. {joule(row['high'])}",
            DASH if row["seconds"] is None else quantity(row["seconds"], "s"),
        )
        for row in comparison.rows
    ]


def _systems(comparison: Rows) -> list[tuple[str, ...]]:
    return [
        (
            row["title"],
            f"{row['rate_hz']:g}",
            row["name"],
            f"{row['watts']:.3g}",
            f"{row['low']:.2g} .. {row['high']:.3g}",
            f"{row['ratio']:.3g}",
            f"{quantity(row['seconds'], 's')}, {quantity(row['seconds_high'], 's')}" + ("!" if late(row) else ""),
        )
        for row in comparison.by_system
    ]
