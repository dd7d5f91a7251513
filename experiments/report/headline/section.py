"""What a reader learns in ten seconds: one figure and one sentence per question, for each task."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from spikeplan.evaluation.iso_success import Row
from spikeplan.evaluation.ratio import Band, RatioInterval, counted, ratio_interval
from spikeplan.evaluation.results import Record, Results, interval, mapping, positive
from spikeplan.evaluation.verdict import CHIP, DENSE_DEVICES
from spikeplan.experiments.report import style
from spikeplan.experiments.report.front import comparisons, equivalents, families, full_success, pareto, success
from spikeplan.experiments.report.markup import Markup, between, number, points, share, tag
from spikeplan.experiments.report.page import Gallery, Section, by_task

SPIKING = "sigma_delta"
SEED = 0  # of the draws behind an interval


def headline(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        said = [one for one in (_success(results, task), _operations(results, task), *_energy(results, task)) if one]
        if not said:
            return []
        if (results.first("admission", task) or {}).get("holds") is False:
            said.append(Markup("Planning: the task fails the admission test, so it carries no claim about planning."))
        return [gallery.draw("headline", headline_figure, results, task), tag("ul", *(tag("li", one) for one in said))]

    return by_task("headline", results, content)


def _success(results: Results, task: str) -> Markup | None:
    methods = results.methods(task)
    dense, spiking = mapping(methods.get("dense")), mapping(methods.get(SPIKING))
    if dense.get("success") is None or spiking.get("success") is None:
        return None
    return Markup(
        f"Success: dense {share(dense['success'])} {between(dense.get('ci95'))}, sigma-delta {share(spiking['success'])} "
        f"{between(spiking.get('ci95'))}; difference {points(spiking.get('paired_vs_dense'))} points."
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
    def band(row: Row) -> tuple[float, float, float] | None:
        return _ends(mapping(mapping(row.get("joules")).get(device)))

    return band


def chip_band(host: str) -> Band:
    """Of a spiking point on the chip, with the encoder on the opponent's device."""

    def band(row: Row) -> tuple[float, float, float] | None:
        on_chip = mapping(mapping(row.get("joules")).get(CHIP))
        return _ends(mapping(mapping(on_chip.get("by_host")).get(host)) or on_chip)

    return band


def _ends(found: Record) -> tuple[float, float, float] | None:
    low, nominal, high = (positive(found.get(name)) for name in ("low", "nominal", "high"))
    return None if low is None or nominal is None or high is None else (low, nominal, high)


def _sentence(
    question: str, results: Results, task: str, what: str, against: tuple[str, ...], dense: Band, spiking: Band
) -> Markup | None:
    found = next((c for c in comparisons(results, task) if c.what == what), None)
    if found is None:
        return None
    if found.ratio is None:
        return Markup(f"{question}: {found.ahead}.")
    sure = ratio_interval(results.front(task), against=against, dense=dense, spiking=spiking, rng=_rng())
    return Markup(f"{question}: spiking / dense = {number(found.ratio)}{_how_sure(found.ahead, sure)}")


def _rng() -> np.random.Generator:
    return np.random.default_rng(SEED)


def _how_sure(ahead: str, sure: RatioInterval | None) -> str:
    if sure is None:
        return f"; {ahead} is ahead, without an interval: this run kept no episodes."
    told = f" [{number(sure.low)}, {number(sure.high)}]"
    verdict = "undecided" if sure.undecided else f"{ahead} is ahead"
    single = (
        "" if sure.one_sided < 0.05 else f" In {sure.one_sided:.0%} of the draws only one side reaches the success."
    )
    return f"{told}: {verdict} at iso-success.{single}"


def headline_figure(results: Results, task: str) -> Figure | None:
    """The Pareto fronts of both sides with their intervals, in synop-equivalents an action."""
    rows = [r for r in results.front(task) if r.get("role", "front") == "front" and r.get("schedule") != "sequential"]
    family = families([r for r in rows if equivalents(r) is not None and success(r) is not None])
    if not family["dense"] or not family["spiking"]:
        return None
    figure, [[axes]] = style.blank(height=2.6, width=4.6)
    for kind, colour, marker, name in (
        ("dense", style.BLUE, "o", "dense"),
        ("spiking", style.VERMILLION, "s", "spiking"),
    ):
        best = pareto(family[kind], equivalents)
        x, y = [equivalents(r) or 0.0 for r in best], [success(r) or 0.0 for r in best]
        axes.step(x, y, "-", where="post", color=colour, linewidth=0.9)
        axes.plot(x, y, marker, color=colour, label=name)
        for row, cost in zip(best, x, strict=True):
            if (ends := interval(row.get("ci95"))) is not None:
                axes.plot((cost, cost), ends, color=colour, linewidth=0.8, alpha=0.5)
    full = full_success(results, task)
    if full is not None:
        axes.axhline(full, color=style.GREY, linewidth=0.8, linestyle="--", label="dense, full budget")
    axes.set_xscale("log")
    style.log_cost(axes, "synop-equivalents per action")
    style.success_axis(axes, horizontal=False)
    axes.legend(loc="lower right", fontsize=6.5)
    return figure
