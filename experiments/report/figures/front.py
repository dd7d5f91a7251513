"""Figures of success and cost: methods with their intervals, the front, planning admission, cost by phase.

Each function takes the results and a task and returns a Figure, or None where the run holds nothing to draw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from spikeplan.core.format import between, number, share
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import AdmissionRow, AgreementRow, FrontRow, Interval, MethodRow
from spikeplan.experiments.report import style
from spikeplan.experiments.report.front import (
    Cost,
    devices,
    equivalents,
    families,
    full_success,
    joules,
    joules_words,
    pareto,
    point_words,
)
from spikeplan.experiments.report.labels import label_at, write_labels

SHOWN_DEVICES = ("loihi2", "orin_nano", "h100")  # those of the verdict; the table has all
CLOSE = 0.2  # how far below the full dense success the right panel of a front reaches
PHASES = ("encoder", "events", "predictor", "evaluation", "selection", "host")
PHASE_COLOURS = (style.BLACK, style.ORANGE, style.BLUE, style.GREEN, style.SKY, style.LIGHT)


def success_figure(results: Results, task: str) -> Figure | None:
    """Success of every method with its Wilson interval."""
    dots = [
        _Dot(method, row.success, row.ci95, *style.method_look(method))
        for method, row in results.methods(task).items()
        if row.success is not None
    ]
    return _dots(dots, full_success(results, task), "dense")


def admission_figure(results: Results, task: str) -> Figure | None:
    """Does the task need planning? Budgets with their intervals and the line that two of them must stay below."""
    admission = results.first(AdmissionRow, task)
    if admission is None:
        return None
    levels = [
        _Dot(f"{level.name}  {level.budget}", level.success, level.ci95, style.BLUE, "o") for level in admission.rows
    ]
    return _dots(levels, admission.full - 0.2, "full dense − 20 points")


class _Dot(NamedTuple):
    """One success rate with its interval."""

    label: str
    success: float
    ci95: Interval | None
    colour: str
    marker: str


def _dots(rows: Sequence[_Dot], line: float | None, name: str) -> Figure | None:
    if not rows:
        return None
    figure, [[axes]] = style.blank(height=0.65 + 0.24 * len(rows), width=5.2)
    for place, dot in enumerate(rows):
        words = f"{dot.label}: success {share(dot.success)} {between(dot.ci95)}"
        if dot.ci95 is not None:
            line_of = axes.plot(dot.ci95, (place, place), color=dot.colour, linewidth=1.1, solid_capstyle="butt")
            style.say(line_of, words)
        style.say(axes.plot(dot.success, place, dot.marker, color=dot.colour, markersize=5), words)
    if line is not None:
        axes.axvline(line, color=style.GREY, linewidth=0.8, linestyle="--")
        above = axes.get_xaxis_transform()
        axes.text(line, 1.01, name, color=style.GREY, fontsize=7, ha="center", va="bottom", transform=above)
    axes.set_yticks(range(len(rows)), [dot.label for dot in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    style.success_axis(axes, horizontal=True)
    axes.set_xlabel("success rate (Wilson 95 % interval)")
    return figure


# Family of a point -> its look and name. The method is said on hover, in the table, and beside the points of a front.
FAMILY_LOOK = {
    "dense": (style.BLUE, "o", "trained to run densely"),
    "dense_replay": (style.BLACK, "D", "sigma-delta networks run densely"),
    "zero_skipping": (style.SKY, "^", "zeros skipped at no cost"),
    "spiking": (style.VERMILLION, "s", "spiking"),
}


def front_figure(results: Results, task: str) -> Figure | None:
    """Success against the whole loop's synop-equivalents per action; dense and spiking, both schedules."""
    rows = [r for r in _planned(results, task) if equivalents(r) is not None]
    if not rows:
        return None
    right = max(equivalents(r) or 0.0 for r in rows) * 1.6
    family = families(rows)

    def draw(axes: Axes) -> None:
        for kind, members in family.items():
            if not members:
                continue
            colour, marker, name = FAMILY_LOOK.get(kind, (style.GREY, "x", kind))
            for schedule, dash, said in (("", "-", name), ("sequential", ":", f"{name}, sequential")):
                part = [r for r in members if (r.schedule == "sequential") == bool(schedule)]
                _stairs(axes, pareto(part, equivalents), equivalents, right, colour, dash, None)
                for i, row in enumerate(part):
                    _point(axes, row.synop_equivalents, row, (colour, marker), None if i else said, point_words(row))

    label = "synop-equivalents per action, whole loop"
    figure = _whole_and_close(draw, rows, lambda r: [equivalents(r)], full_success(results, task), label, "")
    labels = [
        label_at(r, FAMILY_LOOK[kind][0])
        for kind in ("dense", "spiking")
        for r in pareto([r for r in family.get(kind, []) if r.schedule != "sequential"], equivalents)
    ]
    marks = [(r.synop_equivalents, r.success) for r in rows]
    write_labels(figure.axes[1], [one for one in labels if one.y >= figure.axes[1].get_ylim()[0]], marks)
    return figure


def _planned(results: Results, task: str) -> list[FrontRow]:
    """The front's points; threshold sweeps have a figure of their own."""
    return [row for row in results.front(task) if row.role == "front"]


def joules_figure(results: Results, task: str) -> Figure | None:
    """The same in Joules, scope system: nominal points, and the band from low to high for the points of each front."""
    rows = [r for r in _planned(results, task) if r.joules]
    names = [name for name in devices(rows) if name in SHOWN_DEVICES] or devices(rows)
    costs = {device: joules(device) for device in names}
    rows = [r for r in rows if any(cost(r) is not None for cost in costs.values())]
    if not rows:
        return None
    right = max(cost(r) or 0.0 for cost in costs.values() for r in rows) * 1.6

    def draw(axes: Axes) -> None:
        for place, (device, cost) in enumerate(costs.items()):
            look = style.SPARE[place % len(style.SPARE)]
            chosen = [r for r in rows if cost(r) is not None]
            best = pareto(chosen, cost)
            _stairs(axes, best, cost, right, look[0], "-", None)
            for row in best:
                band = row.joules[device]
                ends, height = (band.low, band.high), (row.success,) * 2
                line = axes.plot(ends, height, color=look[0], linewidth=3, alpha=0.22, zorder=1)
                style.say(line, joules_words(row, device))
            name = f"{device} (spiking)" if families(chosen)["spiking"] else f"{device} (dense)"
            axes.plot([], [], look[1], color=look[0], label=name)
            for row in chosen:
                _point(axes, cost(row) or 0.0, row, look, None, joules_words(row, device))

    label = "energy per action, whole loop, scope system (estimate)"
    every = list(costs.values())
    return _whole_and_close(draw, rows, lambda r: [c(r) for c in every], full_success(results, task), label, "J")


def _whole_and_close(
    draw: Callable[[Axes], None],
    rows: Sequence[FrontRow],
    costs: Callable[[FrontRow], list[float | None]],
    full: float | None,
    label: str,
    unit: str,
) -> Figure:
    """Left: everything. Right: the same points near the dense planner's full success, where the question is decided."""
    figure, [[whole, close]] = style.blank(1, 2, height=3.6)
    for axes in (whole, close):
        draw(axes)
        if full is not None:
            axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="dense, full budget")
        axes.set_xscale("log")
    style.success_axis(whole)
    floor = (max(r.success for r in rows) if full is None else full) - CLOSE
    near = [c for r in rows if r.success >= floor for c in costs(r) if c is not None]
    if near:
        close.set_xlim(min(near) / 1.4, max(near) * 1.4)
    close.set_ylim(floor, 1.01)
    for axes, title in ((whole, "all points"), (close, "close to the dense planner's success")):
        style.log_cost(axes, label, unit)
        axes.set_title(title)
    figure.legend(
        *whole.get_legend_handles_labels(), loc="outside lower center", ncols=_columns(whole), handlelength=1.6
    )
    return figure


def _columns(axes: Axes) -> int:
    """As many as fit beside each other: four short names, three long ones."""
    return 4 if len(axes.get_legend_handles_labels()[0]) <= 4 else 3


def _point(axes: Axes, cost: float, row: FrontRow, look: tuple[str, str], label: str | None, words: str) -> None:
    """One point and its interval, which say `words`; hollow where one candidate at a time walks through the layers."""
    colour, marker = look
    line = axes.plot((cost, cost), row.ci95, color=colour, linewidth=0.6, alpha=0.45, solid_capstyle="butt", zorder=1)
    style.say(line, words)
    face = "white" if row.schedule == "sequential" else colour
    mark = axes.plot(cost, row.success, marker, color=colour, markerfacecolor=face, markeredgewidth=0.9, label=label)
    style.say(mark, words)


def _stairs(
    axes: Axes, best: Sequence[FrontRow], cost: Cost, right: float, colour: str, dash: str, label: str | None
) -> None:
    if not best:
        return
    x, y = [cost(r) or 0.0 for r in best], [r.success for r in best]
    axes.step([*x, right], [*y, y[-1]], dash, where="post", color=colour, linewidth=0.9, alpha=0.8, label=label)


def phase_figure(results: Results, task: str) -> Figure | None:
    """Where the operations of one action go; the floor is what neuron updates cost if no message were ever sent."""
    rows = [r for r in results.of(MethodRow, task) if any((r.by_phase or {}).values())]
    if not rows:
        return None
    used = {phase for r in rows for phase, v in (r.by_phase or {}).items() if v}
    present = {phase: c for phase, c in zip(PHASES, PHASE_COLOURS, strict=True) if phase in used}
    figure, [[axes]] = style.blank(height=1.05 + 0.27 * len(rows))
    for place, row in enumerate(rows):
        left = 0.0
        for phase, colour in present.items():
            part = (row.by_phase or {}).get(phase, 0.0)
            bar = axes.barh(place, part, left=left, height=0.6, color=colour, label=phase if place == 0 else None)
            style.say(bar, f"{label_of(row)}, {phase}: {number(part)} synop-equivalents an action")
            left += part
        if row.floor:  # of spiking methods
            ends = (row.floor, row.floor)
            line = axes.plot(ends, (place - 0.42, place + 0.42), color=style.VERMILLION, linewidth=1.8)
            style.say(line, f"{label_of(row)}, update floor: {number(row.floor)} synop-equivalents an action")
        whole = (row.equivalents or {}).get("sequential")
        if whole is not None:
            dot = axes.plot(whole, place, "o", color=style.VERMILLION, markerfacecolor="white")
            style.say(dot, f"{label_of(row)}, sequential: {number(whole)} synop-equivalents an action")
    axes.plot([], [], color=style.VERMILLION, linewidth=1.8, label="update floor, interleaved")
    axes.plot([], [], "o", color=style.VERMILLION, markerfacecolor="white", label="total, sequential")
    axes.set_yticks(range(len(rows)), [label_of(r) for r in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("synop-equivalents per action")
    figure.legend(loc="outside right upper", handlelength=1.6)
    return figure


def label_of(row: MethodRow | AgreementRow) -> str:
    """The method, and the reference where it says something."""
    return f"{row.method}, {row.reference}" if row.reference != "zero" or row.method == "sigma_delta" else row.method
