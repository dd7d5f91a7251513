"""Figures of what the converted network does: density, error by layer, ranking, thresholds, messages in Lava."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import AgreementRow, GatesRow, LavaReplayRow, LayersRow, ThresholdsRow
from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.front import label_of


def densities(results: Results, task: str) -> dict[str, dict[str, float]]:
    """method -> reference -> share of the dense synaptic operations: the summary's, else the recorded plans'."""
    shares = {method: dict(row.density) for method, row in results.methods(task).items() if row.density}
    for row in results.of(AgreementRow, task):
        if row.density is not None:
            shares.setdefault(row.method, {}).setdefault(row.reference, row.density.total)
    return shares


def density_figure(results: Results, task: str) -> Figure | None:
    """Share of the dense synaptic operations per reference, against int8 dense and against plain zeros."""
    found = densities(results, task)
    bars = [
        (method, reference, share)
        for method, shares in found.items()
        for reference, share in shares.items()
        if method != "lava"
    ]
    if not bars:
        return None
    figure, [[axes]] = style.blank(height=2.7, width=max(4.0, 1.6 + 0.75 * len(bars)))
    for place, (method, reference, share) in enumerate(bars):
        bar = axes.bar(
            place,
            share,
            width=0.62,
            color=style.look(style.REFERENCE, reference)[0],
            hatch="" if method == "sigma_delta" else "///",
            edgecolor="white",
        )
        style.say(bar, f"{method}, reference {reference}: {share:.3f} of the dense MACs")
        ground = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
        axes.text(place, share + 0.02, f"{share:.2f}", ha="center", va="bottom", fontsize=7, bbox=ground, zorder=3)
    top = max(1.0, *(share for *_, share in bars))
    axes.axhline(1.0, color=style.BLACK, linewidth=0.9)
    axes.text(len(bars) - 0.45, 1.01, "int8 dense = 1.0", ha="right", va="bottom", fontsize=7)
    zeros = found.get("sigma_delta", {}).get("zero")
    if zeros is not None:
        axes.axhline(zeros, color=style.GREY, linewidth=0.9, linestyle="--")
        axes.text(len(bars) - 0.45, zeros + 0.01, "zeros only", ha="right", va="bottom", fontsize=7, color=style.GREY)
    axes.set_xticks(range(len(bars)), [f"{method}\n{reference}" for method, reference, _ in bars])
    axes.set_xlim(-0.6, len(bars) - 0.4)
    axes.set_ylim(0, top * 1.12)
    axes.set_ylabel("synops / dense MACs")
    return figure


def heat_figure(results: Results, task: str) -> Figure | None:
    """Density by CEM iteration and rollout step, a panel a reference, one colour scale."""
    panels = []
    for row in results.of(AgreementRow, task):
        if row.density is not None:
            panels.append((label_of(row), np.array(row.density.by_iteration_step)))
    if not panels:
        return None
    top = max(1e-9, *(float(np.nan_to_num(grid).max()) for _, grid in panels))
    columns = min(3, len(panels))
    lines_needed = -(-len(panels) // columns)
    figure, grid_axes = style.blank(lines_needed, columns, height=0.5 + 1.25 * lines_needed, sharex=True, sharey=True)
    cells = list(grid_axes.flat)
    for axes, (name, grid) in zip(cells, panels, strict=False):
        mesh = axes.pcolormesh(grid, vmin=0, vmax=top, cmap="cividis", linewidth=0, rasterized=False)
        axes.set_title(name)
        iterations, steps = grid.shape
        axes.set_xticks(np.arange(0, steps, max(1, steps // 6)) + 0.5, np.arange(1, steps + 1, max(1, steps // 6)))
        axes.set_yticks(np.arange(iterations) + 0.5, np.arange(1, iterations + 1))
        axes.set_ylim(iterations, 0)
        axes.tick_params(length=0)
    for axes in cells[len(panels) :]:
        axes.set_visible(False)
    for place, axes in enumerate(cells[: len(panels)]):
        if place % columns == 0:
            axes.set_ylabel("CEM iteration")
        if place + columns >= len(panels):
            axes.set_xlabel("rollout step")
            axes.tick_params(labelbottom=True)
    bar = figure.colorbar(mesh, ax=cells[: len(panels)], shrink=0.9, pad=0.02)
    bar.set_label("synops / dense MACs")
    bar.outline.set_visible(False)
    return figure


def layers_figure(results: Results, task: str) -> Figure | None:
    """Error of each layer's output after conversion, and how often its neurons send, on each reference."""
    report = results.first(LayersRow, task)
    layers = {} if report is None else report.layers
    errors = {name: layer.nmse for name, layer in layers.items() if layer.nmse > 0}
    rates = [
        (row, row.density.messages_per_update) for row in results.of(AgreementRow, task) if row.density is not None
    ]
    names = list(dict.fromkeys([*layers, *(name for _, table in rates for name in table)]))
    if not errors and not rates:
        return None
    figure, [[left, right]] = style.blank(1, 2, height=2.4)
    for place, name in enumerate(names):
        if name in errors:
            left.plot((0, 1), (place, place), color="#EEEEEE", linewidth=0.7, transform=left.get_yaxis_transform())
            left.plot(errors[name], place, "o", color=style.BLUE)
    if errors:
        left.set_xscale("log")
        style.plain_ticks(left.xaxis)
    left.set_yticks(range(len(names)), names)
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set_xlabel("normalised squared error of the layer's output")
    for row, table in rates:
        known = [name for name in names if name in table]
        right.plot([names.index(n) for n in known], [table[n] for n in known], label=label_of(row), **_line(row))
    right.set_xticks(range(len(names)), names)
    right.set_ylim(bottom=0)
    right.set_ylabel("messages per neuron update")
    if rates:
        figure.legend(loc="outside right upper")
    return figure


def agreement_figure(results: Results, task: str) -> Figure | None:
    """How a method ranks the dense planner's candidates, and how its latent drifts along the rollout."""
    rows = results.of(AgreementRow, task)
    if not rows:
        return None
    figure, [[ranks, drift]] = style.blank(1, 2, height=0.9 + max(1.4, 0.2 * len(rows)), width_ratios=(1, 1))
    for place, row in enumerate(rows):
        first = place == 0
        ranks.plot(row.spearman, place, "o", color=style.BLUE, label="Spearman" if first else None)
        name = "overlap of elites" if first else None
        ranks.plot(row.topk_overlap, place, "s", color=style.VERMILLION, mfc="white", label=name)
        by_step = row.nmse_by_step
        if any(error > 0 for error in by_step):
            drift.plot(range(1, len(by_step) + 1), by_step, markersize=3, label=label_of(row), **_line(row))
    ranks.axvline(1.0, color=style.GREY, linewidth=0.8, linestyle="--")
    ranks.set_xlim(left=min(0.0, ranks.get_xlim()[0]))
    ranks.set_yticks(range(len(rows)), [label_of(r) for r in rows])
    ranks.set_ylim(len(rows) - 0.5, -0.5)
    ranks.set_xlabel("agreement with the dense method")
    ranks.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, handletextpad=0.2, columnspacing=1.0)
    drift.set_xlabel("rollout step")
    drift.xaxis.set_major_locator(MaxNLocator(integer=True))
    drift.set_ylabel("latent error (nmse)")
    if drift.lines:
        drift.set_yscale("log")
        style.plain_ticks(drift.yaxis)
        figure.legend(*drift.get_legend_handles_labels(), loc="outside right upper")
    return figure


def _line(row: AgreementRow) -> dict[str, Any]:
    """How a method's curve looks: the sigma-delta method by reference, the others by method and dashed."""
    delta = row.method == "sigma_delta"
    colour, marker = style.look(style.REFERENCE, row.reference) if delta else style.method_look(row.method)
    return {"color": colour, "marker": marker, "linestyle": "-" if delta else "--"}


def thresholds_figure(results: Results, task: str) -> Figure | None:
    """Success against density while all thresholds are scaled, on validation episodes; the chosen one is circled."""
    search = results.first(ThresholdsRow, task)
    if search is None or not search.table:
        return None
    rows, chosen = search.table, search.chosen
    figure, [[axes]] = style.blank(height=2.9, width=5.6)
    for reference in dict.fromkeys(r.reference for r in rows):
        part = sorted((r for r in rows if r.reference == reference), key=lambda r: r.factor)
        colour, marker = style.look(style.REFERENCE, reference)
        axes.plot([r.density for r in part], [r.success for r in part], marker=marker, color=colour, label=reference)
        for row in part if reference == chosen.reference else []:
            place = (row.density, row.success)
            axes.annotate(
                f"× {row.factor}",
                place,
                xytext=(-7, -2),
                textcoords="offset points",
                ha="right",
                fontsize=7,
                color=colour,
            )
    axes.plot(chosen.density, chosen.success, "o", markersize=11, mfc="none", color=style.BLACK, label="chosen")
    axes.axhline(search.dense_success, color=style.GREY, linewidth=0.8, linestyle="--", label="dense, all episodes")
    axes.set_xlabel("synops / dense MACs")
    axes.set_ylabel("success rate, validation episodes")
    axes.set_xlim(left=0)
    figure.legend(loc="outside right upper")
    return figure


def raster_figure(results: Results, task: str) -> Figure | None:
    """Which neurons sent a message in the first passes of a recorded plan, as Lava ran it: candidate after candidate."""
    replay = results.first(LavaReplayRow, task)
    if replay is None or not replay.raster:
        return None
    layers = [(name, np.array(passes).T != 0) for name, passes in replay.raster.items()]
    sizes = [max(24, grid.shape[0]) for _, grid in layers]
    figure, columns = style.blank(
        len(layers), 1, height=0.7 + 1.5 * len(layers), sharex=True, height_ratios=[s**0.5 for s in sizes]
    )
    for axes, (name, grid) in zip(columns[:, 0], layers, strict=True):
        axes.imshow(
            grid,
            aspect="auto",
            cmap="binary",
            interpolation="none",
            vmin=0,
            vmax=1,
            origin="lower",
            extent=(0.5, grid.shape[1] + 0.5, 0, grid.shape[0]),
        )
        axes.set_ylabel(f"{name}\nneuron")
        axes.set_yticks([0, grid.shape[0]])
        axes.set_title(f"{grid.mean():.0%} of {grid.size:,} possible messages sent", fontsize=7, color=style.GREY)
    columns[-1, 0].set_xlabel("pass of the network (one predictor call)")
    return figure


def gates_figure(results: Results, task: str) -> Figure | None:
    """Success with the trained world model and with its controls."""
    row = results.first(GatesRow, task)
    if row is None:
        return None
    known = [(name.replace("_", " "), rate) for name, rate in row.success.items()]
    figure, [[axes]] = style.blank(height=0.6 + 0.24 * len(known), width=4.6)
    for place, (name, value) in enumerate(known):
        bar = axes.barh(place, value, height=0.55, color=style.BLUE if name == "trained" else style.LIGHT)
        style.say(bar, f"{name}: success {value:.3f}")
        axes.text(value + 0.01, place, f"{value:.2f}", va="center", fontsize=7)
    axes.set_yticks(range(len(known)), [name for name, _ in known])
    axes.set_ylim(len(known) - 0.5, -0.5)
    style.success_axis(axes, horizontal=True)
    axes.set_xlim(0, 1.08)
    return figure
