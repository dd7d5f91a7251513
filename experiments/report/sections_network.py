"""Sections on the converted network: density, layers, ranking, thresholds, gates, the Lava replay."""

from __future__ import annotations

from experiments.report import figures_network as figures
from experiments.report.figures import label_of
from experiments.report.markup import Markup, count, number, plain, share, table, tag
from experiments.report.page import Gallery, Section, by_task
from experiments.report.results import Results, finite, mapping
from experiments.report.style import svg

GATES = ("probe_r2", "effective_rank", "std_min", "rollout_nmse_1", "rollout_nmse_3", "rollout_nmse_5", "rollout_nmse_10",
         "distance_rank", "shuffled_ratio")  # fmt: skip
BETTER = {
    "probe_r2": "high",
    "effective_rank": "high",
    "std_min": "high",
    "distance_rank": "high",
    "shuffled_ratio": "high, > 1",
}


def density(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        found = figures.densities(results, task)
        axes = list(dict.fromkeys(axis for row in found.values() for axis in row))
        parts[task] = [
            gallery.show("density", task, svg(figures.density_figure, results, task),
                         "Share of the dense synaptic operations that remain, per axis of change; the mean candidate's own pass is "
                         "counted. Solid: int8 dense. Dashed: what zeros alone save, without any memory of earlier passes."),
            table(("arm", *axes), [(arm, *(share(row.get(axis)) for axis in axes)) for arm, row in found.items()]),
        ] if found else []  # fmt: skip
    lead = "Never one number: an axis says which earlier pass a pass is compared with, and each axis has its own state to keep."
    return Section("density", "Density per axis of change", lead, by_task(results.tasks, parts))


def heat(results: Results, gallery: Gallery) -> Section:
    parts = {
        task: [gallery.show("heat", task, svg(figures.heat_figure, results, task),
                            "Density by CEM iteration (down) and rollout step (right) on recorded plans; one scale for all panels.")]
        for task in results.tasks
    }  # fmt: skip
    return Section("heat", "Density by iteration and rollout step", "", by_task(results.tasks, parts))


def layers(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        found = mapping((results.first("layers", task) or {}).get("layers"))
        rows = [
            (name, number(r.get("nmse")), share(r.get("density")), plain(r.get("saturated")), plain(r.get("threshold_lsb")),
             number(r.get("threshold")))
            for name, r in ((str(name), mapping(row)) for name, row in found.items())
        ]  # fmt: skip
        parts[task] = [
            gallery.show("layers", task, svg(figures.layers_figure, results, task),
                         "Left: error of each layer after conversion (normalised by the variance of the dense output). Right: messages "
                         "per neuron update, by axis; updates are paid whether a message is sent or not."),
            table(("layer", "nmse", "density", "saturated", "threshold, LSB", "threshold, real units"), rows) if rows else "",
        ]  # fmt: skip
    return Section("layers", "Layer-wise error and messages", "", by_task(results.tasks, parts))


def agreement(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        rows = [
            (label_of(r), share(r.get("spearman")), share(r.get("topk_overlap")), number(r.get("latent_nmse")))
            for r in results.of("agreement", task)
        ]
        parts[task] = [
            gallery.show("agreement", task, svg(figures.agreement_figure, results, task),
                         "Left: rank correlation of candidate costs with the dense arm's, and the overlap of the elites. Right: drift of "
                         "the imagined latent over the rollout."),
            table(("arm", "Spearman", "top-k overlap", "latent nmse"), rows) if rows else "",
        ]  # fmt: skip
    lead = "The same recorded candidates, ranked by each arm: a planner needs the order of costs, not the latents."
    return Section("agreement", "Ranking agreement", lead, by_task(results.tasks, parts))


def thresholds(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        chosen = mapping((results.first("thresholds", task) or {}).get("chosen"))
        said = ", ".join(f"{key} {plain(value)}" for key, value in chosen.items())
        parts[task] = [
            gallery.show("thresholds", task, svg(figures.thresholds_figure, results, task),
                         "Success against density while every layer's threshold is scaled by one factor."),
            tag("p", f"Chosen: {said}.") if chosen else "",
        ]  # fmt: skip
    lead = "Thresholds are chosen on validation episodes, never on the reported ones."
    return Section("thresholds", "Choice of thresholds", lead, by_task(results.tasks, parts))


def gates(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        found = results.first("gates", task) or {}
        arms = [name for name in ("trained", "untrained", "collapsed") if mapping(found.get(name))]
        known = [gate for gate in GATES if any(finite(mapping(found.get(arm)).get(gate)) is not None for arm in arms)]
        rows = [(g, BETTER.get(g, "low"), *(number(mapping(found.get(arm)).get(g)) for arm in arms)) for g in known]
        parts[task] = [
            table(("gate", "good is", *arms), rows, words=2) if rows else "",
            gallery.show("gates", task, svg(figures.gates_figure, results, task),
                         "Success with the trained model and with controls that must fail."),
        ]  # fmt: skip
    lead = "A low training loss is no proof: a collapsed encoder has the lowest of all. Controls without learned dynamics must plan worse."
    return Section("gates", "Gates and controls of the world model", lead, by_task(results.tasks, parts))


def lava(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        found = results.first("lava", task)
        parts[task] = [] if found is None else [
            _equality(found.get("values_compared"), found.get("values_different")),
            tag("p", f"{count(found.get('passes'))} passes on the {plain(found.get('axis'))} axis, {number(found.get('seconds'))} s."),
            table(("layer", "non-zero messages", "positive crossed", "negative crossed"), _crossings(found)),
            gallery.show("raster", task, svg(figures.raster_figure, results, task),
                         "Messages of one recorded rollout (black: the neuron sent a message in this pass). Simulated, not a chip."),
        ]  # fmt: skip
    lead = "Recorded rollouts, replayed as Lava processes in an interpreter of their own; every message, state and value is compared with ==."
    return Section("lava", "Lava: bit-exact replay", lead, by_task(results.tasks, parts))


def _equality(compared: object, different: object) -> Markup:
    """Equality is claimed only where something was compared."""
    known, other = finite(compared), finite(different)
    if not known or other is None:
        return tag("p", "No values were compared.", class_="bad")
    said = f"{count(compared)} values compared, {count(different)} different."
    return tag("p", said, class_="good" if other == 0 else "bad")


def _crossings(found: dict[str, object]) -> list[tuple[str, ...]]:
    columns = [mapping(found.get(key)) for key in ("nonzero_share", "positive_crossed", "negative_crossed")]
    names = list(dict.fromkeys(str(name) for column in columns for name in column))
    return [
        (name, share(columns[0].get(name)), plain(columns[1].get(name)), plain(columns[2].get(name))) for name in names
    ]
