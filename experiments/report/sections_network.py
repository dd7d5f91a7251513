"""Sections on the converted network: density, layers, ranking, thresholds, gates, the Lava replay."""

from __future__ import annotations

from spikeplan.core.format import between, count, number, plain, points, share
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import AgreementRow, GatesRow, LavaReplayRow, LayersRow, ThresholdsRow
from spikeplan.experiments.report.figures import network as figures
from spikeplan.experiments.report.figures.front import label_of
from spikeplan.experiments.report.figures.reference import axes_figure, sweeps
from spikeplan.experiments.report.markup import Markup, table, tag
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
        shares = figures.densities(results, task)
        known = dict.fromkeys(reference for row in shares.values() for reference in row)
        references = [*(a for a in REFERENCE if a in known), *(a for a in known if a not in REFERENCE)]
        rows = [(method, *(share(row.get(reference)) for reference in references)) for method, row in shares.items()]
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
            *(plain(row.reference), number(row.threshold), share(row.success)),
            *(between(row.ci95), points(row.paired_vs_dense), number(row.synop_equivalents)),
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
        report = results.first(LayersRow, task)
        rows = [
            (
                *(name, number(r.nmse), share(r.density)),
                *(plain(r.saturated), plain(r.threshold_lsb), number(r.threshold)),
            )
            for name, r in ({} if report is None else report.layers).items()
        ]
        return [
            gallery.draw("layers", figures.layers_figure, results, task),
            table(head, rows) if rows else "",
        ]

    return by_task("layers", results, content)


def agreement(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        rows = [
            (label_of(r), share(r.spearman), share(r.topk_overlap), number(r.latent_nmse))
            for r in results.of(AgreementRow, task)
        ]
        return [
            gallery.draw("agreement", figures.agreement_figure, results, task),
            table(("method", "Spearman", "top-k overlap", "latent nmse"), rows) if rows else "",
        ]

    return by_task("agreement", results, content)


def thresholds(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        search = results.first(ThresholdsRow, task)
        said = (
            "" if search is None else ", ".join(f"{key} {plain(value)}" for key, value in vars(search.chosen).items())
        )
        return [
            gallery.draw("thresholds", figures.thresholds_figure, results, task),
            tag("p", f"Chosen: {said}.") if said else "",
        ]

    return by_task("thresholds", results, content)


def gates(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        row = results.first(GatesRow, task)
        controls = ("trained", "untrained", "collapsed")
        methods: dict[str, dict[str, float]] = {} if row is None else {name: getattr(row, name) for name in controls}
        known = [gate for gate in GATES if any(gate in gates for gates in methods.values())]
        rows = [(gate, GATES[gate], *(number(gates.get(gate)) for gates in methods.values())) for gate in known]
        return [
            table(("gate", "good is", *methods), rows, words=2) if rows else "",
            gallery.draw("gates", figures.gates_figure, results, task),
        ]

    return by_task("gates", results, content)


def lava(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        parts: list[object] = []
        for row in results.of(LavaReplayRow, task):
            parts += [
                tag(
                    "p",
                    f"{count(row.passes)} passes on the {row.reference} reference, thresholds × {row.threshold:g}, in "
                    f"{number(row.seconds)} s.",
                ),
                _equality(row),
                table(("layer", "non-zero messages", "positive crossed", "negative crossed"), _crossings(row)),
            ]
        return [*parts, gallery.draw("raster", figures.raster_figure, results, task) if parts else ""]

    return by_task("lava", results, content)


def _equality(row: LavaReplayRow) -> Markup:
    """Equality is claimed only where something was compared."""
    if not row.values_compared:
        return tag("p", "No values were compared.", class_="bad")
    said = f"{count(row.values_compared)} values compared, {count(row.values_different)} different."
    return tag("p", said, class_="bad" if row.values_different else "good")


def _crossings(row: LavaReplayRow) -> list[tuple[str, ...]]:
    columns = (row.nonzero_share, row.positive_crossed, row.negative_crossed)
    names = dict.fromkeys(name for column in columns for name in column)
    shares, up, down = columns
    return [(name, share(shares.get(name)), plain(up.get(name)), plain(down.get(name))) for name in names]
