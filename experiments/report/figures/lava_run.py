"""A run of a network in Lava, from the file `spikeplan lava run --json` writes: messages a step, and states."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from spikeplan.experiments.report import style

MOST_LAYERS = 4
STATES = ("v", "sigma")  # the state that is compared with a threshold or summed up; ref and u follow from it


def run_figure(facts: dict[str, Any]) -> Figure:
    """Above, what every layer sent; below, states of some neurons of the last layers."""
    watched = [layer for layer in facts["layers"] if _state(layer)][-MOST_LAYERS:]
    figure, grid = style.blank(1 + len(watched), 1, height=2.2 + 1.3 * len(watched), sharex=True)
    steps = np.arange(1, facts["steps"] + 1)
    for number, layer in enumerate(facts["layers"]):
        colour = style.SPARE[number % len(style.SPARE)][0]
        share = np.array(layer["messages"]) / layer["neurons"]
        dashed = "-" if number < len(style.SPARE) else "--"
        grid[0][0].plot(steps, share, color=colour, linestyle=dashed, label=layer["name"])
    grid[0][0].set_ylabel("messages a neuron")
    grid[0][0].set_ylim(bottom=0)
    grid[0][0].set_title(f"{facts['precision']}, {facts['step_ms']:.2f} ms a step")
    for [axes], layer in zip(grid[1:], watched, strict=True):
        name = _state(layer)
        axes.plot(steps, np.array(layer["states"][name]), linewidth=0.8)
        if layer["threshold"] is not None:
            top = layer["threshold"] * (64 if facts["precision"] == "fixed_pt" else 1)
            axes.axhline(top, color=style.GREY, linewidth=0.8, linestyle="--")
        axes.set_title(f"{layer['name']}: {name} of {len(layer['states'][name][0])} of {layer['neurons']} neurons")
    grid[-1][0].set_xlabel("time step")
    figure.legend(loc="outside right upper")
    return figure


def _state(layer: dict[str, Any]) -> str | None:
    return next((name for name in STATES if name in layer["states"] and np.any(layer["states"][name])), None)
