"""What each reference keeps of planning, and at what cost: the sigma-delta method planned with on every reference."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import FrontRow
from spikeplan.experiments.report import style
from spikeplan.experiments.report.front import equivalents, full_success, point_words
from spikeplan.experiments.report.labels import Label, write_labels


def sweeps(results: Results, task: str) -> list[FrontRow]:
    """Points of the headline network with scaled thresholds, on any reference; interleaved, from cheap to dear."""
    rows = [
        row
        for row in results.front(task)
        if row.role == "sweep"
        and row.method == "sigma_delta"
        and row.schedule != "sequential"
        and equivalents(row) is not None
    ]
    return sorted(rows, key=lambda row: row.synop_equivalents)


def axes_figure(results: Results, task: str) -> Figure | None:
    rows = sweeps(results, task)
    if len({row.reference for row in rows}) < 2:
        return None
    figure, [[axes]] = style.blank(height=3.2, width=5.8)
    labels: list[Label] = []
    for reference in dict.fromkeys(row.reference for row in rows):
        part = [row for row in rows if row.reference == reference]
        colour, marker = style.look(style.REFERENCE, reference)
        line = [r.synop_equivalents for r in part], [r.success for r in part]
        axes.plot(*line, marker=marker, color=colour, label=reference)
        for row in part:
            at = (row.synop_equivalents, row.success)
            style.say(axes.plot(*at, marker, color=colour), point_words(row))
            axes.plot((at[0],) * 2, row.ci95, color=colour, linewidth=0.6, alpha=0.45)
            if row.threshold is not None:
                labels.append(Label(*at, f"× {row.threshold:g}", colour))
    if (full := full_success(results, task)) is not None:
        axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="full dense planner")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("synop-equivalents per action, whole loop, interleaved")
    style.success_axis(axes, horizontal=False)
    figure.legend(loc="outside right upper")
    write_labels(axes, labels)
    return figure
