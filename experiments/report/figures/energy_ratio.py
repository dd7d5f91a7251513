"""Ratio of energies against density: where a spiking method would win, device by device, and where it stands."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from spikeplan.evaluation.pricing.pairs import replicas_in_words
from spikeplan.experiments.report import style

COLOURS = (style.BLACK, style.BLUE, style.VERMILLION, style.GREEN, style.PURPLE, style.ORANGE, style.SKY, style.GREY)


def ratio_figure(found: dict[str, Any]) -> Figure | None:
    """One panel a task, one line a dense device; dot: the density reached; dotted: the chip at the low end of its figures."""
    tasks = {task: part for task, part in found["tasks"].items() if part["curves"]}
    if not tasks:
        return None
    figure, [panels] = style.blank(1, len(tasks), height=3.6, sharey=True)
    for axes, (task, part) in zip(panels, tasks.items(), strict=True):
        for i, line in enumerate(part["curves"]):
            colour, first = COLOURS[i % len(COLOURS)], axes is panels[0]
            label = f"{line['chip']} / {line['device']}" if first else None
            where = replicas_in_words(line).replace(", ", "\n", 1)
            axes.plot(line["s"], line["nominal"], color=colour, label=label)
            axes.plot(line["s"], line["low"], color=colour, linewidth=0.6, linestyle=":")
            axes.plot(line["measured_s"], line["measured_ratio"], "o", color=colour)
        axes.axhline(1.0, color=style.BLACK, linewidth=0.8)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_title(f"{task}{where}")
        axes.set_xlabel("messages per synapse and prediction")
        style.plain_ticks(axes.xaxis)
        style.plain_ticks(axes.yaxis)
    panels[0].set_ylabel("energy, spiking / dense (scope system, whole loop)")
    figure.legend(loc="outside upper center", ncols=3)
    return figure
