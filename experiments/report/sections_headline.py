"""What a reader learns in ten seconds: one figure and one sentence per question, for each task."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from spikeplan.core.format import between, number, points, share
from spikeplan.evaluation.iso_success import decides
from spikeplan.evaluation.ratio import Band, RatioInterval, counted, ratio_interval
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import AdmissionRow, FrontRow, PointEnergy
from spikeplan.evaluation.verdict import CHIP, DENSE_DEVICES, on_chip
from spikeplan.experiments.report import style
from spikeplan.experiments.report.front import comparisons, equivalents, families, full_success, pareto
from spikeplan.experiments.report.markup import Markup, tag
from spikeplan.experiments.report.page import Gallery, Section, by_task

SPIKING = "sigma_delta"
SEED = 0  # of the draws behind an interval


def headline(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        said = [one for one in (_success(results, task), _operations(results, task), *_energy(results, task)) if one]
        if not said:
            return []
        admission = results.first(AdmissionRow, task)
        if admission is not None and not admission.holds:
            said.append(Markup("Planning: the task fails the admission test, so it carries no claim about planning."))
        return [gallery.draw("headline", headline_figure, results, task), tag("ul", *(tag("li", one) for one in said))]

    return by_task("headline", results, content)


def _success(results: Results, task: str) -> Markup | None:
    methods = results.methods(task)
    dense, spiking = methods.get("dense"), methods.get(SPIKING)
    if dense is None or spiking is None or dense.success is None or spiking.success is None:
        return None
    return Markup(
        f"Success: dense {share(dense.success)} {between(dense.ci95)}, sigma-delta {share(spiking.success)} "
        f"{between(spiking.ci95)}; difference {points(spiking.paired_vs_dense)} points."
    )


def _operations(results: Results, task: str) -> Markup | None:
    return _sentence(
        "Operations", results, task, "synop-equivalents, networks trained to run densely", ("dense",), counted, counted
    )


def _energy(results: Results, task: str) -> list[Markup]:
    said = []
    for device in DENSE_DEVICES:
        one = _sentence(
            f"Energy, {CHIP} against {device} at its peak rates (a bound)",
            results,
            task,
            f"{CHIP} against {device}, scope system nominal",
            ("dense", "dense_replay"),
            _band(device),
            chip_band(device),
        )
        said += [one] if one else []
    return said


def _band(device: str) -> Band:
    def band(row: FrontRow) -> tuple[float, float, float] | None:
        return _ends(row.joules.get(device))

    return band


def chip_band(host: str) -> Band:
    """Of a spiking point on the chip, with the encoder on the opponent's device."""

    def band(row: FrontRow) -> tuple[float, float, float] | None:
        return _ends(on_chip(row, host))

    return band


def _ends(point: PointEnergy | None) -> tuple[float, float, float] | None:
    return None if point is None else (point.low, point.nominal, point.high)


def _sentence(
    question: str, results: Results, task: str, what: str, against: tuple[str, ...], dense: Band, spiking: Band
) -> Markup | None:
    pair = next((c for c in comparisons(results, task) if c.what == what), None)
    if pair is None:
        return None
    if pair.ratio is None:
        return Markup(f"{question}: {pair.ahead}.")
    sure = ratio_interval(results.front(task), against=against, dense=dense, spiking=spiking, rng=_rng())
    return Markup(f"{question}: spiking / dense = {number(pair.ratio)}{_how_sure(pair.ahead, sure)}")


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def _how_sure(ahead: str, sure: RatioInterval | None) -> str:
    if sure is None:
        return f"; {ahead} is ahead, without an interval."
    bounds = f" [{number(sure.low)}, {number(sure.high)}]"
    verdict = "undecided" if sure.undecided else f"{ahead} is ahead"
    single = (
        "" if sure.one_sided < 0.05 else f" In {sure.one_sided:.0%} of the draws only one side reaches the success."
    )
    return f"{bounds}: {verdict} at iso-success.{single}"


def headline_figure(results: Results, task: str) -> Figure | None:
    """The Pareto fronts of both sides with their intervals, in synop-equivalents an action."""
    family = families([r for r in results.front(task) if decides(r) and equivalents(r) is not None])
    if not family["dense"] or not family["spiking"]:
        return None
    figure, [[axes]] = style.blank(height=2.6, width=4.6)
    for kind, colour, marker, name in (
        ("dense", style.BLUE, "o", "dense"),
        ("spiking", style.VERMILLION, "s", "spiking"),
    ):
        best = pareto(family[kind], equivalents)
        x, y = [r.synop_equivalents for r in best], [r.success for r in best]
        axes.step(x, y, "-", where="post", color=colour, linewidth=0.9)
        axes.plot(x, y, marker, color=colour, label=name)
        for row, cost in zip(best, x, strict=True):
            axes.plot((cost, cost), row.ci95, color=colour, linewidth=0.8, alpha=0.5)
    full = full_success(results, task)
    if full is not None:
        axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="dense, full budget")
    axes.set_xscale("log")
    style.log_cost(axes, "synop-equivalents per action")
    style.success_axis(axes, horizontal=False)
    axes.legend(loc="lower right", fontsize=6.5)
    return figure
