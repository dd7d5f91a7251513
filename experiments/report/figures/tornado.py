"""Tornado: which constants move the ratio of a spiking system over a dense one, the widest first.

Two rows of panels a task, one control rate each: the best system of both sides, and the pair that is least decided.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from spikeplan.experiments.report import style

MOST_BARS = 8  # a row; those that move less are left out
LEAST_WIDTH = 1.01  # high over low; narrower ones cannot be seen
MOST_RATES = 4  # panels side by side
LOW, HIGH = style.SKY, style.ORANGE


def tornado_figure(found: dict[str, Any]) -> Figure | None:
    """Of the JSON of `energy systems`; None where it compares no two systems.

    A bar goes from the ratio with a quantity at its low end to that at its high end, all others nominal; a quantity is one figure
    or several that move together. The widest over the rates of a row stands first. A frame marks those that turn the order.
    """
    tasks = {what: rows for task, part in found["tasks"].items() for what, rows in _rows(task, part).items()}
    if not tasks:
        return None
    names = {task: bars(rows) for task, rows in tasks.items()}
    columns, most = max(map(len, tasks.values())), max(map(len, names.values()))
    height = 0.5 + len(tasks) * (0.9 + 0.24 * most)
    figure, panels = style.blank(len(tasks), columns, height=height, sharey="row")
    for line, (task, rows) in zip(panels, tasks.items(), strict=True):
        for axes, row in zip(line, rows, strict=False):
            _panel(axes, row, names[task])
        for axes in line[len(rows) :]:
            axes.set_visible(False)
        line[0].set_yticks(range(len(names[task])), [_label(name, rows) for name in names[task]])
        line[0].set_ylim(len(names[task]) - 0.5, -0.5)
        line[0].set_ylabel(task)
    for axes in panels[-1]:
        axes.set_xlabel("watts, spiking / dense")
    panels[0][0].plot([], [], color=LOW, linewidth=5, label="at its low end")
    panels[0][0].plot([], [], color=HIGH, linewidth=5, label="at its high end")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _rows(task: str, part: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The first of each rate is the best pair; the least decided one is left out where it is the best, too."""
    best: dict[float, dict[str, Any]] = {}
    for row in part["sensitivity"]:
        best.setdefault(row["rate_hz"], row)
    open_ones = (row for row in part["decide"] if row["right_now"] is not None and row["right_now"] < 1)
    least = min(open_ones, key=lambda row: row["right_now"], default=None)
    rows = {task: list(best.values())}
    if least is not None:
        pair = least["spiking"], least["dense"]
        rows[f"{task},\nleast decided"] = [
            row for row in part["sensitivity"] if (row["spiking"], row["dense"]) == pair and row not in rows[task]
        ]
    kept = {what: [row for row in some if row["sensitivity"]][:MOST_RATES] for what, some in rows.items()}
    return {what: some for what, some in kept.items() if some}


def bars(rows: list[dict[str, Any]]) -> list[str]:
    """Names of the quantities of a task that move the ratio most, the widest over its rates first."""
    widest: dict[str, float] = {}
    for row in rows:
        for swing in row["sensitivity"]:
            ends = swing["at_low"], swing["at_high"]
            widest[swing["figure"]] = max(widest.get(swing["figure"], 1.0), max(ends) / min(ends))
    seen = [name for name in widest if widest[name] >= LEAST_WIDTH]
    return sorted(seen, key=lambda name: (-widest[name], name))[:MOST_BARS]


def _panel(axes: Axes, row: dict[str, Any], names: list[str]) -> None:
    nominal = row["ratio"]
    for swing in row["sensitivity"]:
        if swing["figure"] not in names:
            continue
        place = names.index(swing["figure"])
        for end, colour in (("low", LOW), ("high", HIGH)):
            value = swing[f"at_{end}"]
            bar = axes.barh(
                place,
                value - nominal,
                left=nominal,
                height=0.7,
                color=colour,
                edgecolor=style.BLACK,
                linewidth=1.2 if swing["turns"] else 0.0,
            )
            turns = ", the order turns" if swing["turns"] else ""
            style.say(bar.patches, f"{swing['figure']} {end}: {value:.3g} times the dense system{turns}")
    axes.axvline(nominal, color=style.GREY, linewidth=0.8)
    axes.axvline(1.0, color=style.BLACK, linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5) if high / low < 20 else (1,), numticks=5))
    style.plain_ticks(axes.xaxis)
    ratio = f"{nominal:,.0f}" if nominal >= 100 else f"{nominal:.2f}"
    axes.set_title(f"{row['rate_hz']:g} Hz: {row['spiking']}\nover {row['dense']}: {ratio}")


def _label(name: str, rows: list[dict[str, Any]]) -> str:
    """With the figures that move together, those that move the other way with a minus."""
    moves = next(swing["moves"] for row in rows for swing in row["sensitivity"] if swing["figure"] == name)
    figures = list(dict.fromkeys(f"{'-' if move[0] == '-' else ''}{move.split('.', 1)[1]}" for move in moves))
    return name if len(moves) < 2 else f"{name}\n({', '.join(figures)})"
