"""The regime map as a picture: break-even density over weights and candidates, a row a control rate, a column a dense system."""

from __future__ import annotations

from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from spikeplan.core.format import number
from spikeplan.experiments.report import style

FLOOR = 0.01  # densities below it are drawn as this
SIGNS = "×  spikes never draw less    –  no plan in spikes meets the rate    +  the dense system does not run    ★  our own runs"
POINT = {"marker": "*", "color": style.BLACK, "markersize": 8, "linestyle": ""}


def map_figure(found: dict[str, Any], spiking: str) -> Figure | None:
    """`found`: as `energy map --json` has it. `spiking`: the system that is held against the dense ones."""
    rows = [row for row in found["rates"] if row["spiking"] == spiking]
    if not rows:
        return None
    rates = sorted({row["rate_hz"] for row in rows})
    dense = list(dict.fromkeys(row["dense"] for row in rows))
    weights = sorted({row["weight_bytes"] for row in rows})
    candidates = sorted({row["candidates"] for row in rows})
    at = {(row["rate_hz"], row["dense"], row["weight_bytes"], row["candidates"]): row for row in rows}
    titles = found["titles"]
    figure, grid = style.blank(len(rates), len(dense), height=0.9 + 1.45 * len(rates), sharex=True, sharey=True)
    image: QuadMesh | None = None
    for line, rate in zip(grid, rates, strict=True):
        for axes, other in zip(line, dense, strict=True):
            cells = np.array([[at[rate, other, w, c]["break_even"] for w in weights] for c in candidates])
            shown = np.ma.masked_less_equal(cells, 0.0)
            image = axes.pcolormesh(
                np.arange(len(weights) + 1) - 0.5,
                np.arange(len(candidates) + 1) - 0.5,
                np.ma.maximum(shown, FLOOR),
                norm=LogNorm(FLOOR, 1.0),
                cmap="viridis",
                edgecolors="white",
                linewidth=0.3,
            )
            for x, w in enumerate(weights):
                for y, c in enumerate(candidates):
                    row = at[rate, other, w, c]
                    axes.text(x, y, _sign(row), ha="center", va="center", fontsize=5.5, color=_ink(row))
                    cell = Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor="white", alpha=0.0)
                    style.say(axes.add_patch(cell), _words(row, titles))
            for point in found["points"]:
                where = (
                    np.interp(np.log(point["weight_bytes"]), np.log(weights), range(len(weights))),
                    np.interp(np.log(point["candidates"]), np.log(candidates), range(len(candidates))),
                )
                style.say(axes.plot(*where, **POINT), f"{point['name']}: density {point['density']:.3g}")
            if rate == rates[0]:
                axes.set_title(fill(titles[other], 20), fontsize=7)
            if other == dense[0]:
                axes.set_ylabel(f"{rate:g} Hz\ncandidates")
            axes.set_yticks(range(len(candidates)), [f"{c:g}" for c in candidates])
            axes.set_xticks(range(len(weights)), [_bytes(w) for w in weights], rotation=90)
    for axes in grid[-1]:
        axes.set_xlabel("weights, bytes")
    assert image is not None
    bar = figure.colorbar(image, ax=grid, shrink=0.5, label=f"{titles[spiking]} draws less below this density")
    bar.ax.set_yticks([0.01, 0.03, 0.1, 0.3, 1.0], ["0.01", "0.03", "0.1", "0.3", "always"])
    figure.supxlabel(SIGNS, fontsize=7)
    return figure


def _sign(row: dict[str, Any]) -> str:
    """As SIGNS says."""
    if row["fits"] == 0:
        return "–"
    if row["dense_watts"] is None:
        return "+"
    return "×" if row["break_even"] == 0 else ""


def _ink(row: dict[str, Any]) -> str:
    return style.GREY if row["break_even"] == 0 else "white"


def _words(row: dict[str, Any], titles: dict[str, str]) -> str:
    density = {0.0: "never", 1.0: "always"}.get(row["break_even"], f"below density {row['break_even']:.3g}")
    return (
        f"{_bytes(row['weight_bytes'])}B, {row['candidates']} candidates, {row['rate_hz']:g} Hz against {titles[row['dense']]}: "
        f"{density}; largest of its watts: {row['spiking_term'] or 'does not run'} beside {row['dense_term'] or 'does not run'}"
    )


def _bytes(value: float) -> str:
    """In powers of two."""
    for factor, prefix in ((2**30, "G"), (2**20, "M"), (2**10, "K")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}"
    return number(value)
