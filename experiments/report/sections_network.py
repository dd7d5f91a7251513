"""Sections on the converted network: density, layers, ranking, thresholds, gates, the Lava replay."""

from __future__ import annotations

from spikeplan.evaluation.results import Record, Results, finite, mapping
from spikeplan.experiments.report import figures_network as figures
from spikeplan.experiments.report.figures_front import label_of
from spikeplan.experiments.report.figures_reference import axes_figure, factor, sweeps
from spikeplan.experiments.report.markup import Markup, between, count, number, plain, points, share, table, tag
from spikeplan.experiments.report.page import Gallery, Section, by_task
from spikeplan.experiments.report.style import REFERENCE

GATES = {
    "probe_r2": "high",
    "effective_rank": "high",
    "std_min": "high",
    "rollout_nmse_1": "low",
    "rollout_nmse_3": "low",
    "rollout_nmse_5": "low",
    "rollout_nmse_10": "low",
    "distance_rank": "high",
    "shuffled_ratio": "above 1",
}


def density(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        found = figures.densities(results, task)
        known = dict.fromkeys(reference for row in found.values() for reference in row)
        references = [*(a for a in REFERENCE if a in known), *(a for a in known if a not in REFERENCE)]
        rows = [(method, *(share(row.get(reference)) for reference in references)) for method, row in found.items()]
        return [
            gallery.draw("density", figures.density_figure, results, task),
            table(("method", *references), rows) if rows else "",
            gallery.draw("references", axes_figure, results, task),
            _axes_table(results, task),
        ]

    return by_task("density", results, content)


def _axes_table(results: Results, task: str) -> Markup:
    rows = [
        (
            *(plain(row.get("reference")), number(factor(row)), share(row.get("success"))),
            *(between(row.get("ci95")), points(row.get("paired_vs_dense")), number(row.get("synop_equivalents"))),
        )
        for row in sweeps(results, task)
    ]
    head = ("reference", "θ × headline", "success", "95 %", "− dense, points", "synop-eq. per action")
    return table(head, rows) if rows else Markup()


def heat(results: Results, gallery: Gallery) -> Section:
    return by_task("heat", results, lambda task: [gallery.draw("heat", figures.heat_figure, results, task)])


def layers(results: Results, gallery: Gallery) -> Section:
    head = ("layer", "nmse", "density", "saturated", "threshold, LSB", "threshold, real units")

    def content(task: str) -> list[object]:
        found = mapping((results.first("layers", task) or {}).get("layers"))
        rows = [
            (
                *(str(name), number(r.get("nmse")), share(r.get("density"))),
                *(plain(r.get("saturated")), plain(r.get("threshold_lsb")), number(r.get("threshold"))),
            )
            for name, r in ((name, mapping(row)) for name, row in found.items())
        ]
        return [
            gallery.draw("layers", figures.layers_figure, results, task),
            table(head, rows) if rows else "",
        ]

    return by_task("layers", results, content)


def agreement(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        rows = [
            (label_of(r), share(r.get("spearman")), share(r.get("topk_overlap")), number(r.get("latent_nmse")))
            for r in results.of("agreement", task)
        ]
        return [
            gallery.draw("agreement", figures.agreement_figure, results, task),
            table(("method", "Spearman", "top-k overlap", "latent nmse"), rows) if rows else "",
        ]

    return by_task("agreement", results, content)


def thresholds(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        chosen = mapping((results.first("thresholds", task) or {}).get("chosen"))
        said = ", ".join(f"{key} {plain(value)}" for key, value in chosen.items())
        return [
            gallery.draw("thresholds", figures.thresholds_figure, results, task),
            tag("p", f"Chosen: {said}.") if said else "",
        ]

    return by_task("thresholds", results, content)


def gates(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        found = results.first("gates", task) or {}
        methods = {name: row for name in ("trained", "untrained", "collapsed") if (row := mapping(found.get(name)))}
        known = [gate for gate in GATES if any(finite(row.get(gate)) is not None for row in methods.values())]
        rows = [(gate, GATES[gate], *(number(row.get(gate)) for row in methods.values())) for gate in known]
        return [
            table(("gate", "good is", *methods), rows, words=2) if rows else "",
            gallery.draw("gates", figures.gates_figure, results, task),
        ]

    return by_task("gates", results, content)


def lava(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        parts: list[object] = []
        for found in results.of("lava", task):
            passes, seconds = count(found.get("passes")), number(found.get("seconds"))
            factor = finite(found.get("threshold"))
            at = "" if factor is None else f", thresholds × {factor:g}"
            parts += [
                tag("p", f"{passes} passes on the {plain(found.get('reference'))} reference{at}, in {seconds} s."),
                _equality(found.get("values_compared"), found.get("values_different")),
                table(("layer", "non-zero messages", "positive crossed", "negative crossed"), _crossings(found)),
            ]
        return [*parts, gallery.draw("raster", figures.raster_figure, results, task) if parts else ""]

    return by_task("lava", results, content)


def _equality(compared: object, different: object) -> Markup:
    """Equality is claimed only where something was compared."""
    known, other = finite(compared), finite(different)
    if not known or other is None:
        return tag("p", "No values were compared.", class_="bad")
    return tag("p", f"{count(known)} values compared, {count(other)} different.", class_="bad" if other else "good")


def _crossings(found: Record) -> list[tuple[str, ...]]:
    crossed, up, down = (mapping(found.get(key)) for key in ("nonzero_share", "positive_crossed", "negative_crossed"))
    names = dict.fromkeys(str(name) for column in (crossed, up, down) for name in column)
    return [(name, share(crossed.get(name)), plain(up.get(name)), plain(down.get(name))) for name in names]
