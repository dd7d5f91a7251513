"""What each reference keeps of planning, and at what cost: the sigma-delta method planned with on every reference."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from spikeplan.evaluation.results import Record, Results, finite, numbers
from spikeplan.experiments.report import style
from spikeplan.experiments.report.front import equivalents, full_success, point_words, success
from spikeplan.experiments.report.labels import Label, write_labels


def sweeps(results: Results, task: str) -> list[Record]:
    """Points of the headline network with scaled thresholds, on any reference; interleaved, from cheap to dear."""
    rows = [
        row
        for row in results.front(task)
        if row.get("role") == "sweep"
        and row.get("method") == "sigma_delta"
        and row.get("schedule") != "sequential"
        and equivalents(row) is not None
        and success(row) is not None
    ]
    return sorted(rows, key=lambda row: equivalents(row) or 0.0)


def factor(row: Record) -> float | None:
    """Thresholds of a point relative to those of its file, the headline's."""
    return finite(row.get("threshold"))


def axes_figure(results: Results, task: str) -> Figure | None:
    rows = sweeps(results, task)
    if len({row.get("reference") for row in rows}) < 2:
        return None
    figure, [[axes]] = style.blank(height=3.2, width=5.8)
    labels: list[Label] = []
    for reference in dict.fromkeys(str(row.get("reference")) for row in rows):
        part = [row for row in rows if str(row.get("reference")) == reference]
        colour, marker = style.look(style.REFERENCE, reference)
        line = [equivalents(r) for r in part], [success(r) for r in part]
        axes.plot(*line, marker=marker, color=colour, label=reference)
        for row in part:
            at = (equivalents(row) or 0.0, success(row) or 0.0)
            style.say(axes.plot(*at, marker, color=colour), point_words(row))
            if len(ends := numbers(row.get("ci95"))) == 2:
                axes.plot((at[0],) * 2, ends, color=colour, linewidth=0.6, alpha=0.45)
            if (share := factor(row)) is not None:
                labels.append(Label(*at, f"× {share:g}", colour))
    if (full := full_success(results, task)) is not None:
        axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="full dense planner")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_xlabel("synop-equivalents per action, whole loop, interleaved")
    style.success_axis(axes, horizontal=False)
    figure.legend(loc="outside right upper")
    write_labels(axes, labels)
    return figure
