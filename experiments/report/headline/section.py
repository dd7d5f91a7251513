"""The headline of the page: one figure and one sentence per question, for each task."""

from __future__ import annotations

from spikeplan.core.format import between, joule, number, points, share
from spikeplan.evaluation.ratio import RatioInterval
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import AdmissionRow
from spikeplan.evaluation.verdict import CHIP
from spikeplan.experiments.report.headline.figure import headline_figure
from spikeplan.experiments.report.headline.findings import Finding, energies, operations
from spikeplan.experiments.report.markup import Markup, tag
from spikeplan.experiments.report.page import Gallery, Section, by_task


def headline(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        said = sentences(results, task)
        return [gallery.draw("headline", headline_figure, results, task), said] if said else []

    return by_task("headline", results, content)


def sentences(results: Results, task: str) -> Markup:
    """The answers as a list; empty where the run answers nothing."""
    said = [one for one in (_success(results, task), _operations(results, task), *_energy(results, task)) if one]
    admission = results.first(AdmissionRow, task)
    if said and admission is not None and not admission.holds:
        said.append(Markup("Tutorial: the task fails the admission test, so it carries no claim about planning."))
    return tag("ul", *(tag("li", one) for one in said)) if said else Markup()


def _success(results: Results, task: str) -> Markup | None:
    dense, spiking = results.pair(task)
    if dense.success is None or spiking.success is None:
        return None
    return Markup(
        f"Success: dense {share(dense.success)} {between(dense.ci95)}, sigma-delta {share(spiking.success)} "
        f"{between(spiking.ci95)}; difference {points(spiking.paired_vs_dense)} points."
    )


def _operations(results: Results, task: str) -> Markup | None:
    finding = operations(results, task)
    return None if finding is None else _sentence("Operations", finding)


def _energy(results: Results, task: str) -> list[Markup]:
    return [
        _sentence(f"Energy, {CHIP} against {finding.device} at its peak rates (a bound)", finding)
        for finding in energies(results, task)
    ]


def _sentence(question: str, finding: Finding) -> Markup:
    pair, replicas, turns = finding.points, finding.replicas, finding.turns_s
    if pair.ratio is None:
        why = (
            f"; the {' and '.join(pair.unpriced)} points that reach the success are not placed" if pair.unpriced else ""
        )
        return Markup(f"{question}: {pair.ahead}{why}.")
    show = joule if finding.device else number
    placed = "" if replicas is None else f", {replicas} replica{'' if replicas == 1 else 's'} of the loop"
    costs = f"{show(pair.spiking_cost)}{placed}; dense {show(pair.dense_cost)}"
    order = (
        ""
        if turns is None
        else f" The order turns where an action takes {finding.device} more than {number(1e6 * turns)} µs."
    )
    return Markup(
        f"{question}: spiking / dense = {number(pair.ratio)}{_how_sure(pair.ahead, finding.interval)} Spiking {costs}.{order}"
    )


def _how_sure(ahead: str, sure: RatioInterval | None) -> str:
    if sure is None:
        return f"; {ahead} is ahead, without an interval."
    bounds = f" [{number(sure.low)}, {number(sure.high)}]"
    verdict = "undecided" if sure.undecided else f"{ahead} is ahead"
    single = (
        "" if sure.one_sided < 0.05 else f" In {sure.one_sided:.0%} of the draws only one side reaches the success."
    )
    return f"{bounds}: {verdict} at iso-success.{single}"
