"""Tornado: which constants move the ratio of the best spiking system over the best dense one, the widest first."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikeplan.experiments.report import style

MOST_BARS = 8  # a task; those that move less are left out
MOST_RATES = 4  # panels side by side
LOW, HIGH = style.SKY, style.ORANGE


def tornado_figure(found: dict[str, Any]) -> Figure | None:
    """Of the JSON of `energy systems`: a row of panels a task, one a control rate, all with the bars in one order.

    A bar goes from the ratio with a quantity at its low end to that at its high end, all others nominal; a quantity is one figure
    or several that move together. The widest over the rates stands first. A frame marks those that turn the order.
    """
    tasks = {task: part["sensitivity"][:MOST_RATES] for task, part in found["tasks"].items()}
    tasks = {task: rows for task, rows in tasks.items() if any(row["sensitivity"] for row in rows)}
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


def bars(rows: list[dict[str, Any]]) -> list[str]:
    """Names of the quantities of a task that move the ratio most, the widest over its rates first."""
    widest: dict[str, float] = {}
    for row in rows:
        for swing in row["sensitivity"]:
            ends = swing["at_low"], swing["at_high"]
            widest[swing["figure"]] = max(widest.get(swing["figure"], 1.0), max(ends) / min(ends))
    return sorted(widest, key=lambda name: (-widest[name], name))[:MOST_BARS]


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
    style.plain_ticks(axes.xaxis)
    axes.set_title(f"{row['rate_hz']:g} Hz: {row['spiking']}\nover {row['dense']}: {nominal:.3g}")


def _label(name: str, rows: list[dict[str, Any]]) -> str:
    """With the figures that move together, those that move the other way with a minus."""
    moves = next(swing["moves"] for row in rows for swing in row["sensitivity"] if swing["figure"] == name)
    figures = list(dict.fromkeys(f"{'-' if move[0] == '-' else ''}{move.split('.', 1)[1]}" for move in moves))
    return name if len(moves) < 2 else f"{name}\n({', '.join(figures)})"
