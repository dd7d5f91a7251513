"""The figure of the headline: both Pareto fronts with their intervals."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from spikeplan.evaluation.iso_success import decides
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import FrontRow
from spikeplan.experiments.report import style
from spikeplan.experiments.report.front import equivalents, families, full_success, pareto, point_words
from spikeplan.experiments.report.labels import label_at, write_labels

SIDES = {"dense": (style.BLUE, "o"), "spiking": (style.VERMILLION, "s")}


def headline_figure(results: Results, *tasks: str) -> Figure | None:
    """The Pareto fronts of both sides with their intervals, in synop-equivalents an action; a panel a task."""
    panels = {task: sides for task in tasks if (sides := _sides(results, task)) is not None}
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


def _sides(results: Results, task: str) -> dict[str, list[FrontRow]] | None:
    """The points of both fronts; None where a side has none."""
    family = families([r for r in results.front(task) if decides(r) and equivalents(r) is not None])
    sides = {side: pareto(family[side], equivalents) for side in ("dense", "spiking")}
    return sides if all(sides.values()) else None


def _fronts(axes: Axes, sides: dict[str, list[FrontRow]], full: float | None) -> None:
    for side, (colour, marker) in SIDES.items():
        x, y = [r.synop_equivalents for r in sides[side]], [r.success for r in sides[side]]
        axes.step(x, y, "-", where="post", color=colour, linewidth=0.9)
        axes.plot([], [], marker, color=colour, label=side)
        for row, cost, share_won in zip(sides[side], x, y, strict=True):
            style.say(axes.plot((cost, cost), row.ci95, color=colour, linewidth=0.8, alpha=0.5), point_words(row))
            style.say(axes.plot(cost, share_won, marker, color=colour), point_words(row))
    if full is not None:
        axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="dense, full budget")
    axes.set_xscale("log")
    style.log_cost(axes, "synop-equivalents per action")
    style.success_axis(axes, horizontal=False)
    low = min(min(*r.ci95, r.success) for rows in sides.values() for r in rows)
    axes.set_ylim(max(0.0, low - 0.05) - 0.02, 1.06)
