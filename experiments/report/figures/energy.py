"""Figures of energy: bands per device and operation counts, and the break-even density with its terms."""

from __future__ import annotations

from matplotlib.figure import Figure

from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import BreakEvenRow, EnergyRow, MethodRow
from spikeplan.experiments.report import style
from spikeplan.experiments.report.figures.network import densities
from spikeplan.experiments.report.front import band_words

SCOPE_COLOURS = {"compute": style.SKY, "chip": style.BLUE, "system": style.BLACK}
SCOPE_NAMES = {
    "compute": "compute: operations",
    "chip": "chip: + memory, network",
    "system": "system: + static × time, I/O, host",
}
EXTENTS = ("loop", "predictor")


def energy_figure(results: Results, task: str) -> Figure | None:
    """Low to high with the nominal value marked, a row for each device, method and schedule, one line a scope."""
    rows = [r for r in results.of(EnergyRow, task) if r.nominal > 0]
    extents = [s for s in EXTENTS if any(r.extent == s for r in rows)]
    if not extents:
        return None
    keys = sorted({_key(r) for r in rows}, key=lambda k: (_spiking(k[1]), k))
    figure, [panels] = style.blank(1, len(extents), height=1.0 + 0.3 * len(keys), sharey=True)
    for axes, extent in zip(panels, extents, strict=True):
        for row in rows:
            if row.extent != extent or row.scope not in SCOPE_COLOURS:
                continue
            scope = row.scope
            colour, place = SCOPE_COLOURS[scope], keys.index(_key(row)) + 0.24 * (list(SCOPE_COLOURS).index(scope) - 1)
            words = f"{' '.join(filter(None, _key(row)))}, {extent}, scope {scope}: {band_words(row.low, row.nominal, row.high)}"
            ends = (row.low or row.nominal, row.high)
            line = axes.plot(ends, (place, place), color=colour, linewidth=2.2, alpha=0.5, solid_capstyle="butt")
            style.say(line, words)
            style.say(axes.plot(row.nominal, place, "|", color=colour, markersize=6, markeredgewidth=1.5), words)
        for place, (_, method, _) in enumerate(keys):
            if _spiking(method):
                axes.axhspan(place - 0.5, place + 0.5, color=style.ORANGE, alpha=0.10, linewidth=0)
        axes.set_title(f"{extent}" if extent == "predictor" else "whole loop, encoder included")
        style.log_cost(axes, "energy per action", "J")
        axes.grid(axis="x", color="#EEEEEE", linewidth=0.6)
    panels[0].set_yticks(range(len(keys)), ["  ".join(part for part in key if part) for key in keys])
    panels[0].set_ylim(len(keys) - 0.5, -0.5)
    for op_counts, colour in SCOPE_COLOURS.items():
        panels[0].plot([], [], color=colour, linewidth=2.2, alpha=0.7, label=SCOPE_NAMES[op_counts])
    figure.legend(loc="outside upper center", ncols=3)
    return figure


def _spiking(method: str) -> bool:
    return method in METHODS and METHODS[method].spiking


def _key(row: EnergyRow) -> tuple[str, str, str]:
    """Device, method and, for a method that has two, the schedule."""
    return row.device, row.method, row.schedule if _spiking(row.method) else ""


def _planned_reference(results: Results, task: str) -> str:
    """The reference that the sigma-delta method planned with; densities of the others are measured on recorded plans only."""
    return next((r.reference for r in results.of(MethodRow, task) if r.method == "sigma_delta"), "")


def break_even_figure(results: Results, task: str) -> Figure | None:
    """s*, the density below which spiking wins, as its terms are taken off one by one, beside the densities reached."""
    rows = results.of(BreakEvenRow, task)
    if not rows:
        return None
    figure, [[axes]] = style.blank(height=1.3 + 0.3 * len(rows))
    for place, row in enumerate(rows):
        after = row.first_term - row.update_term
        ends = (row.first_term, after, row.s_star)
        axes.plot((min(ends), max(ends)), (place, place), color=style.LIGHT, linewidth=1.2, zorder=1)
        once = place == 0
        for value, marker, colour, face, name in (
            (row.first_term, "o", style.BLUE, "white", "first term only"),
            (after, "s", style.BLUE, style.BLUE, "− updates"),
            (row.s_star, "D", style.VERMILLION, style.VERMILLION, "− updates − static = s*"),
        ):
            label = name if once else None
            mark = axes.plot(value, place, marker, color=colour, markerfacecolor=face, label=label)
            style.say(mark, f"{row.device}, {name}: {value:.3g}")
    axes.axvline(0, color=style.BLACK, linewidth=0.8)
    reached, reference = densities(results, task).get("sigma_delta", {}), _planned_reference(results, task)
    if reference in reached:
        label = f"reached: {reference} reference, {reached[reference]:.2f}"
        axes.axvline(reached[reference], color=style.GREY, linewidth=0.9, linestyle="--", label=label)
    axes.set_xscale("symlog", linthresh=0.1)
    style.plain_ticks(axes.xaxis)
    axes.set_yticks(range(len(rows)), [r.device for r in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("messages per synapse and prediction; linear within ±0.1, logarithmic outside")
    figure.legend(loc="outside right upper")
    return figure
