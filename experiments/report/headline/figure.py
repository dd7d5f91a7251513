"""The figure of the headline: both Pareto fronts with their intervals."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikeplan.evaluation.results import Record, Results, interval
from spikeplan.experiments.report import style
from spikeplan.experiments.report.front import equivalents, families, full_success, pareto, point_words, success
from spikeplan.experiments.report.labels import label_at, write_labels

SIDES = {"dense": (style.BLUE, "o"), "spiking": (style.VERMILLION, "s")}


def headline_figure(results: Results, *tasks: str) -> Figure | None:
    """The Pareto fronts of both sides with their intervals, in synop-equivalents an action; a panel a task."""
    panels = {task: found for task in tasks if (found := _sides(results, task)) is not None}
    if not panels:
        return None
    figure, [row] = style.blank(1, len(panels), height=2.9, width=4.6 if len(panels) == 1 else 3.4 * len(panels))
    for axes, (task, sides) in zip(row, panels.items(), strict=True):
        _fronts(axes, sides, full_success(results, task))
        if len(panels) > 1:
            axes.set_title(task)
        axes.margins(x=0.12)
    figure.legend(
        *row[0].get_legend_handles_labels(), loc="outside upper left", ncols=3, fontsize=6.5, handlelength=1.6
    )
    for axes, sides in zip(row, panels.values(), strict=True):
        write_labels(axes, [label_at(r, SIDES[side][0]) for side, best in sides.items() for r in best])
    return figure


def _sides(results: Results, task: str) -> dict[str, list[Record]] | None:
    """The points of both fronts; None where a side has none."""
    rows = [r for r in results.front(task) if r.get("role", "front") == "front" and r.get("schedule") != "sequential"]
    family = families([r for r in rows if equivalents(r) is not None and success(r) is not None])
    sides = {side: pareto(family[side], equivalents) for side in ("dense", "spiking")}
    return sides if all(sides.values()) else None


def _fronts(axes: Axes, sides: dict[str, list[Record]], full: float | None) -> None:
    for side, (colour, marker) in SIDES.items():
        x, y = [equivalents(r) or 0.0 for r in sides[side]], [success(r) or 0.0 for r in sides[side]]
        axes.step(x, y, "-", where="post", color=colour, linewidth=0.9)
        axes.plot([], [], marker, color=colour, label=side)
        for row, cost, share_won in zip(sides[side], x, y, strict=True):
            if (ends := interval(row.get("ci95"))) is not None:
                style.say(axes.plot((cost, cost), ends, color=colour, linewidth=0.8, alpha=0.5), point_words(row))
            style.say(axes.plot(cost, share_won, marker, color=colour), point_words(row))
    if full is not None:
        axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="dense, full budget")
    axes.set_xscale("log")
    style.log_cost(axes, "synop-equivalents per action")
    style.success_axis(axes, horizontal=False)
    low = min(min([*(interval(r.get("ci95")) or ()), success(r) or 0.0]) for rows in sides.values() for r in rows)
    axes.set_ylim(max(0.0, low - 0.05) - 0.02, 1.06)
