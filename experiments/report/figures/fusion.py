"""Figures of `spikeplan fusion`, each a function of the metrics file: distance by condition, error against the frame's age,
reaction latency."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from spikeplan.experiments.fusion_study.rows import FusionMethodRow, FusionRow, LatencyRow
from spikeplan.experiments.report import style
from spikeplan.experiments.runner.output import write_text

SHOWN = {
    "frames": (style.GREY, "x"),
    "cv-latent": (style.SKY, "^"),
    "cv-pose": (style.BLUE, "v"),
    "no-events": (style.GREEN, "s"),
    "events": (style.ORANGE, "D"),
    "fused": (style.PURPLE, "P"),
    "fused-spiking": (style.VERMILLION, "o"),
    "1 kHz frames": (style.BLACK, "."),
    "oracle": (style.LIGHT, "."),
}
R = TypeVar("R", bound=FusionRow)


def read_rows(folder: Path, kind: type[R]) -> list[R]:
    """Rows of one kind of a fusion study's metrics.jsonl."""
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [kind.from_json(row) for row in map(json.loads, lines) if row["kind"] == kind.kind]


def write_figures(folder: Path) -> None:
    methods, latency = read_rows(folder, FusionMethodRow), read_rows(folder, LatencyRow)
    drawn = {
        "distance": style.svg(distance_figure, methods),
        "age": style.svg(age_figure, methods),
        "latency": style.svg(latency_figure, latency),
    }
    for name, text in drawn.items():
        if text is not None:
            write_text(folder / f"{name}.svg", text)


def distance_figure(rows: list[FusionMethodRow]) -> Figure:
    """Mean distance of every method and condition with its 95 % interval, logarithmic."""
    conditions = list(dict.fromkeys(row.condition for row in rows))
    figure, [[axes]] = style.blank(height=0.8 + 0.42 * len(conditions), width=style.WIDTH)
    for i, (method, (colour, marker)) in enumerate(SHOWN.items()):
        mine = {row.condition: row.distance for row in rows if row.method == method}
        places = [conditions.index(name) + (i - 4) * 0.09 for name in mine]
        for place, (_, low, high) in zip(places, mine.values(), strict=True):
            axes.plot((max(low, 1e-4), high), (place, place), color=colour, linewidth=0.8)
        axes.plot([mean[0] for mean in mine.values()], places, marker, color=colour, linestyle="none", label=method)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    style.plain_ticks(axes.xaxis)
    axes.set_yticks(range(len(conditions)), conditions)
    axes.set_ylim(len(conditions) - 0.4, -0.6)
    axes.set_xlabel("fingertip distance robot to leader, second half of the episode (95 % interval)")
    figure.legend(loc="outside right upper")
    return figure


def age_figure(rows: list[FusionMethodRow], condition: str = "drop 75 %") -> Figure | None:
    """State error against the time since the newest known frame."""
    kept = [row for row in rows if row.condition == condition] or [r for r in rows if r.condition == "nominal"]
    if not kept:
        return None
    figure, [[axes]] = style.blank(height=2.8, width=5.2)
    for row in kept:
        colour, marker = SHOWN[row.method]
        bins = [b for b in row.by_age if b.samples >= 20]
        if row.method == "oracle" or not bins:
            continue
        middle = [1e3 * (b.from_s + min(b.to_s, 0.4)) / 2 for b in bins]
        axes.plot(middle, [b.error for b in bins], marker=marker, color=colour, label=row.method)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5)))
    style.plain_ticks(axes.yaxis)
    axes.set_xlabel(f"ms since the middle of the newest known exposure ({kept[0].condition})")
    axes.set_ylabel("fingertip error of the estimate")
    figure.legend(loc="outside right upper")
    return figure


def latency_figure(rows: list[LatencyRow]) -> Figure | None:
    if not rows:
        return None
    conditions = list(dict.fromkeys(row.condition for row in rows))
    figure, [[axes]] = style.blank(height=0.8 + 0.5 * len(conditions), width=5.6)
    for i, (method, (colour, marker)) in enumerate(SHOWN.items()):
        mine = [row for row in rows if row.method == method]
        places = [conditions.index(row.condition) + (i - 4) * 0.09 for row in mine]
        for place, row in zip(places, mine, strict=True):
            axes.plot(row.ms[1:], (place, place), color=colour, linewidth=0.8)
        axes.plot([row.ms[0] for row in mine], places, marker, color=colour, linestyle="none", label=method)
    axes.set_yticks(range(len(conditions)), conditions)
    axes.set_ylim(len(conditions) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("ms from the leader's turn until the estimate's velocity follows (95 % interval)")
    figure.legend(loc="outside right upper")
    return figure
