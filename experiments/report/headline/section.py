"""The headline of the page: one figure and one sentence per question, for each task."""

from __future__ import annotations

from spikeplan.evaluation.ratio import RatioInterval
from spikeplan.evaluation.results import Results, mapping
from spikeplan.evaluation.verdict import CHIP
from spikeplan.experiments.report.headline.figure import headline_figure
from spikeplan.experiments.report.headline.findings import Finding, energies, operations
from spikeplan.experiments.report.markup import Markup, between, energy, number, points, share, tag
from spikeplan.experiments.report.page import Gallery, Section, by_task

SPIKING = "sigma_delta"


def headline(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        said = sentences(results, task)
        return [gallery.draw("headline", headline_figure, results, task), said] if said else []

    return by_task("headline", results, content)


def sentences(results: Results, task: str) -> Markup:
    """The answers as a list; empty where the run answers nothing."""
    said = [one for one in (_success(results, task), _operations(results, task), *_energy(results, task)) if one]
    if said and (results.first("admission", task) or {}).get("holds") is False:
        said.append(Markup("Planning: the task fails the admission test, so it carries no claim about planning."))
    return tag("ul", *(tag("li", one) for one in said)) if said else Markup()


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
    found = operations(results, task)
    return None if found is None else _sentence("Operations", found)


def _energy(results: Results, task: str) -> list[Markup]:
    return [
        _sentence(f"Energy, {CHIP} against {found.device} at its peak rates (a bound)", found)
        for found in energies(results, task)
    ]


def _sentence(question: str, found: Finding) -> Markup:
    if found.points.ratio is None:
        return Markup(f"{question}: {found.points.ahead}.")
    show = energy if found.device else number
    copies = "" if found.copies is None else f", {found.copies} cop{'y' if found.copies == 1 else 'ies'} of the loop"
    costs = f"{show(found.points.spiking_cost)}{copies}; dense {show(found.points.dense_cost)}"
    how_sure = _how_sure(found.points.ahead, found.interval)
    turns, told = found.turns_s, ""
    if turns is not None:
        told = f" The order turns where an action takes {found.device} more than {number(1e6 * turns)} µs."
    return Markup(f"{question}: spiking / dense = {number(found.points.ratio)}{how_sure} Spiking {costs}.{told}")


def _how_sure(ahead: str, sure: RatioInterval | None) -> str:
    if sure is None:
        return f"; {ahead} is ahead, without an interval: this run kept no episodes."
    told = f" [{number(sure.low)}, {number(sure.high)}]"
    verdict = "undecided" if sure.undecided else f"{ahead} is ahead"
    single = (
        "" if sure.one_sided < 0.05 else f" In {sure.one_sided:.0%} of the draws only one side reaches the success."
    )
    return f"{told}: {verdict} at iso-success.{single}"
