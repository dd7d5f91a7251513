"""Figures of success and cost: arms with their intervals, the front, planning admission, cost by phase.

Each function takes the results and a task and returns a Figure, or None where the run holds nothing to draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.report import style
from experiments.report.front import COST, devices, equivalents, families, full_success, joules, pareto, success
from experiments.report.results import Record, Results, finite, interval, mapping, positive, sequence

PHASES = ("encoder", "events", "predictor", "evaluation", "selection", "host")
PHASE_COLOURS = (style.BLACK, style.ORANGE, style.BLUE, style.GREEN, style.SKY, style.LIGHT)


def success_figure(results: Results, task: str) -> Figure | None:
    """Success of every arm with its Wilson interval."""
    rows = [(arm, row) for arm, row in results.arms(task).items() if success(row) is not None]
    return _dots([(arm, row, style.look(style.ARM, arm)) for arm, row in rows], full_success(results, task), "dense")


def admission_figure(results: Results, task: str) -> Figure | None:
    """Does the task need planning? Budgets with their intervals and the line that two of them must stay below."""
    rows = [mapping(r) for r in sequence((results.first("admission", task) or {}).get("rows"))]
    shown = [
        (f"{row.get('name')}  {row.get('budget') or ''}".strip(), row, (style.BLUE, "o"))
        for row in rows
        if success(row) is not None
    ]
    full = next((success(row) for row in rows if str(row.get("name")).startswith("full")), None)
    return _dots(shown, None if full is None else full - 0.2, "full dense − 20 points")


def _dots(rows: Sequence[tuple[str, Record, tuple[str, str]]], line: float | None, name: str) -> Figure | None:
    if not rows:
        return None
    figure, [[axes]] = style.blank(height=0.65 + 0.24 * len(rows), width=5.2)
    for place, (_, row, (colour, marker)) in enumerate(rows):
        _whisker(axes, success(row) or 0.0, place, interval(row.get("ci95")), colour, horizontal=True)
        axes.plot(success(row), place, marker, color=colour, markersize=5)
    if line is not None:
        axes.axvline(line, color=style.GREY, linewidth=0.8, linestyle="--")
        axes.text(line, -0.75, name, color=style.GREY, fontsize=7, ha="center", va="bottom")
    axes.set_yticks(range(len(rows)), [label for label, *_ in rows])
    axes.set_ylim(len(rows) - 0.4, -0.8)
    style.success_axis(axes, horizontal=True)
    axes.set_xlabel("success rate (Wilson 95 % interval)")
    return figure


def _whisker(axes: Axes, x: float, y: float, ends: Any, colour: str, *, horizontal: bool = False) -> None:
    if ends is None:
        return
    if horizontal:
        axes.plot(ends, (y, y), color=colour, linewidth=1.1, solid_capstyle="butt")
    else:
        axes.plot((x, x), ends, color=colour, linewidth=0.6, alpha=0.55, solid_capstyle="butt", zorder=1)


def front_figure(results: Results, task: str) -> Figure | None:
    """Success against the whole loop's synop-equivalents per action; dense and spiking, both schedules."""
    rows = [r for r in results.front(task) if equivalents(r) is not None and success(r) is not None]
    if not rows:
        return None
    figure, [[axes]] = style.blank(height=3.5)
    right = max(equivalents(r) or 0.0 for r in rows) * 1.6
    dense, spikes = families(rows)
    _stairs(axes, pareto(dense, equivalents), equivalents, right, style.BLUE, "-", "dense family: front")
    for schedule, dash in (("interleaved", "-"), ("sequential", ":")):
        part = [r for r in spikes if (r.get("schedule") or "interleaved") == schedule]
        name = f"spiking, {schedule}: front"
        _stairs(axes, pareto(part, equivalents), equivalents, right, style.VERMILLION, dash, name)
    seen: set[str] = set()
    for row in rows:
        cost, arm = equivalents(row) or 0.0, str(row.get("arm"))
        sequential = row.get("schedule") == "sequential"
        label = f"{arm}, sequential" if sequential else arm
        colour, marker = style.look(style.ARM, arm)
        _whisker(axes, cost, 0.0, interval(row.get("ci95")), colour)
        _point(axes, cost, row, colour, marker, None if label in seen else label)
        seen.add(label)
    _reference(axes, full_success(results, task))
    style.log_cost(axes, "synop-equivalents per action, whole loop (1 MAC = 1; 1 neuron update = 10)")
    style.success_axis(axes)
    _legend(figure)
    return figure


def joules_figure(results: Results, task: str) -> Figure | None:
    """The same in Joules, ledger C: nominal points, and the band from low to high for the points of each front."""
    rows = [r for r in results.front(task) if devices([r]) and success(r) is not None]
    if not rows:
        return None
    figure, [[axes]] = style.blank(height=3.5)
    names = devices(rows)
    right = max((joules(d)(r) or 0.0 for d in names for r in rows), default=0.0) * 1.6
    for place, device in enumerate(names):
        cost, (colour, marker) = joules(device), style.SPARE[place % len(style.SPARE)]
        chosen = [r for r in rows if cost(r) is not None]
        best = pareto(chosen, cost)
        kind = "spiking" if families(chosen)[1] else "dense"
        _stairs(axes, best, cost, right, colour, "-", None)
        for row in best:
            band = mapping(mapping(row.get("joules")).get(device))
            low, high = positive(band.get("low")), positive(band.get("high"))
            if low is not None and high is not None:
                axes.plot((low, high), (success(row),) * 2, color=colour, linewidth=3, alpha=0.22, zorder=1)
        for order, row in enumerate(chosen):
            _whisker(axes, cost(row) or 0.0, 0.0, interval(row.get("ci95")), colour)
            _point(axes, cost(row) or 0.0, row, colour, marker, None if order else f"{device} ({kind})")
    _reference(axes, full_success(results, task))
    style.log_cost(axes, "energy per action, whole loop, ledger C, nominal; bands low to high (estimate)", "J")
    style.success_axis(axes)
    _legend(figure)
    return figure


def _point(axes: Axes, cost: float, row: Record, colour: str, marker: str, label: str | None) -> None:
    hollow = row.get("schedule") == "sequential"
    face = "white" if hollow else colour
    axes.plot(cost, success(row), marker, color=colour, markerfacecolor=face, markeredgewidth=0.9, label=label)


def _stairs(
    axes: Axes, best: Sequence[Record], cost: COST, right: float, colour: str, dash: str, label: str | None
) -> None:
    if not best:
        return
    x, y = [cost(r) or 0.0 for r in best], [success(r) or 0.0 for r in best]
    axes.step([*x, right], [*y, y[-1]], dash, where="post", color=colour, linewidth=0.9, alpha=0.8, label=label)


def _reference(axes: Axes, full: float | None) -> None:
    if full is not None:
        axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="dense, full budget")


def _legend(figure: Figure) -> None:
    figure.legend(loc="outside right upper", handlelength=1.6)


def phase_figure(results: Results, task: str) -> Figure | None:
    """Where the operations of one action go; the floor is what neuron updates cost if no message were ever sent."""
    rows = [r for r in results.of("arm", task) if any(positive(v) for v in mapping(r.get("by_phase")).values())]
    if not rows:
        return None
    figure, [[axes]] = style.blank(height=1.05 + 0.27 * len(rows))
    for place, row in enumerate(rows):
        left = 0.0
        for phase, colour in zip(PHASES, PHASE_COLOURS, strict=True):
            share = finite(mapping(row.get("by_phase")).get(phase)) or 0.0
            axes.barh(place, share, left=left, height=0.6, color=colour, label=phase if place == 0 else None)
            left += share
        floor = positive(row.get("floor"))
        if floor is not None and row.get("arm") in ("delta", "lif"):
            axes.plot((floor, floor), (place - 0.42, place + 0.42), color=style.VERMILLION, linewidth=1.8)
        whole = positive(mapping(row.get("equivalents")).get("sequential"))
        if whole is not None:
            axes.plot(whole, place, "o", color=style.VERMILLION, markerfacecolor="white")
    axes.plot([], [], color=style.VERMILLION, linewidth=1.8, label="update floor, interleaved")
    axes.plot([], [], "o", color=style.VERMILLION, markerfacecolor="white", label="total, sequential")
    axes.set_yticks(range(len(rows)), [label_of(r) for r in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(style.EngFormatter(sep=" "))
    axes.set_xlabel("synop-equivalents per action")
    _legend(figure)
    return figure


def label_of(row: Record) -> str:
    """Arm, and axis where it says something."""
    axis = row.get("axis")
    return (
        f"{row.get('arm')}, {axis}" if axis and (axis != "none" or row.get("arm") == "delta") else str(row.get("arm"))
    )
