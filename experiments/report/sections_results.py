"""Sections that answer the question: verdict, targets, success, the front, admission."""

from __future__ import annotations

from spikeplan.evaluation.iso_success import MARGIN, Comparison
from spikeplan.evaluation.results import Record, Results, finite, mapping, sequence
from spikeplan.experiments.report import figures_front as figures
from spikeplan.experiments.report.front import comparisons, describe, devices, equivalents, families, joules, pareto
from spikeplan.experiments.report.markup import (
    DASH,
    Markup,
    between,
    count,
    energy,
    number,
    plain,
    points,
    share,
    table,
    tag,
)
from spikeplan.experiments.report.page import Gallery, Section, by_task


def verdict(results: Results, gallery: Gallery) -> Section:
    """Opponent by opponent, where dense is ahead first; the run's own words only where nothing can be compared."""

    def content(task: str) -> list[object]:
        if found := comparisons(results, task):
            return [_equal_success(sorted(found, key=lambda c: c.ahead != "dense"))]
        said = results.task(task).get("verdict")
        return [tag("p", str(said), class_="verdict")] if said else []

    return by_task("verdict", results, content)


def _equal_success(found: list[Comparison]) -> Markup:
    show = {"": number, "J": energy}
    marks = {"dense": tag("span", "dense", class_="bad"), "spiking": tag("span", "spiking", class_="good")}
    rows = [
        (
            *(c.what, describe(c.dense), describe(c.spiking)),
            *(show[c.unit](c.dense_cost), show[c.unit](c.spiking_cost)),
            *(DASH if c.ratio is None else f"{c.ratio:.2g}", marks.get(c.ahead, c.ahead)),
        )
        for c in found
    ]
    head = ("cost per action, whole loop", "cheapest dense point", "cheapest spiking point", "dense", "spiking")
    note = (
        f"The cheapest point of each family with success ≥ {found[0].level:.3f}, {MARGIN * 100:.0f} points below the "
        "full dense planner; point estimates, their intervals stand in the front. Threshold sweeps and the sequential "
        "schedule do not decide. Joules compare different machines."
    )
    return Markup(table((*head, "spiking / dense", "ahead"), rows, words=3, last=1) + tag("p", note, class_="note"))


def targets(results: Results, gallery: Gallery) -> Section:
    marks = {True: tag("span", "holds", class_="good"), False: tag("span", "not reached", class_="bad")}
    rows = []
    for task in results.tasks:
        for target in map(mapping, sequence(results.task(task).get("targets"))):
            held = target.get("holds")
            mark = marks[held] if isinstance(held, bool) else "not measured"
            rows.append((task, plain(target.get("name")), mark, plain(target.get("goal")), plain(target.get("value"))))
    if not rows:
        return Section("targets", [])
    good = sum(row[2] is marks[True] for row in rows)
    told = tag("p", f"{good} of {len(rows)} hold.")
    return Section("targets", [told, table(("task", "target", "", "goal", "value"), rows, words=3)])


OUTCOME = ("episodes", "success", "Wilson 95 %", "minus dense, points", "latent nmse", "Spearman", "top-k overlap")
SPENT = ("MACs", "synops", "neuron updates", "synop-equivalents", "values compared", "different")


def success(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        methods, rows = results.methods(task), results.of("method", task)
        keys = ("macs", "synops", "neuron_updates", "synop_equivalents")
        spent = [
            (
                *(method, *(number(r.get(f"{key}_per_action")) for key in keys)),
                *(count(r.get("values_compared")), count(r.get("values_different"))),
            )
            for method, r in methods.items()
        ]
        run = [plain(results.summary.get(key)) for key in ("episodes", "seeds")]
        return [
            tag("p", f"{run[0]} episodes, planner seeds: {run[1]}.", class_="note") if methods else "",
            gallery.draw("success", figures.success_figure, results, task),
            outcomes(results, task),
            table(("per action", *SPENT), spent) if methods else "",
            gallery.draw("phases", figures.phase_figure, results, task),
            _schedules(rows) if rows else "",
        ]

    return by_task("success", results, content)


def outcomes(results: Results, task: str) -> Markup:
    """What each method reached; empty where the run holds no method."""
    rows = [
        (
            *(method, count(r.get("episodes")), share(r.get("success")), between(r.get("ci95"))),
            *(points(r.get("paired_vs_dense")), number(r.get("latent_nmse"))),
            *(share(r.get("spearman")), share(r.get("topk_overlap"))),
        )
        for method, r in results.methods(task).items()
    ]
    return table(("method", *OUTCOME), rows) if rows else Markup()


def _schedules(rows: list[Record]) -> Markup:
    """Totals of every schedule, the floor, and the operations that the summary leaves out."""
    head = (
        "method",
        "reference",
        "θ factor",
        "batched",
        "interleaved",
        "sequential",
        "update floor",
        "predictor alone",
    )
    more = ("updates active", "restores", "messages", "host words")

    def line(r: Record) -> tuple[object, ...]:
        whole, part, ops = (mapping(r.get(k)) for k in ("equivalents", "equivalents_predictor", "per_action"))
        totals = [whole.get(k) for k in ("batched", "interleaved", "sequential")]
        predictor = part.get("interleaved", part.get("batched"))
        rest = [ops.get(k) for k in ("updates_active", "state_restores", "messages", "host_words")]
        return (
            *(plain(r.get(k)) for k in ("method", "reference", "threshold")),
            *(number(value) for value in (*totals, r.get("floor"), predictor, *rest)),
        )

    note = (
        "Totals in synop-equivalents per action = MACs + ACs + synops + 10 × (neuron updates + state restores), by "
        "schedule; predictor alone: batched or interleaved."
    )
    return Markup(table((*head, *more), map(line, rows), words=3) + tag("p", note, class_="note"))


def front(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        rows = results.front(task)
        return [
            gallery.draw("front", figures.front_figure, results, task),
            gallery.draw("front-joules", figures.joules_figure, results, task),
            _points(rows) if rows else "",
        ]

    return by_task("front", results, content)


def _points(rows: list[Record]) -> Markup:
    names = devices(rows)
    best = [id(r) for family in families(rows).values() for r in pareto(family, equivalents)]
    head = ("method", "reference", "schedule", "budget", "θ factor", "success", "Wilson 95 %", "synop-eq.", *names)

    def line(r: Record) -> tuple[object, ...]:
        return (
            *(plain(r.get(k)) for k in ("method", "reference", "schedule", "budget", "threshold")),
            *(share(r.get("success")), between(r.get("ci95")), number(r.get("synop_equivalents"))),
            *(energy(joules(device)(r)) for device in names),
        )

    chosen = sorted((r for r in rows if id(r) in best), key=lambda r: finite(r.get("synop_equivalents")) or 0.0)
    return Markup(
        tag(
            "p", "Points on the front of their family, from cheap to dear; Joules nominal, scope system:", class_="note"
        )
        + table(head, map(line, chosen), words=5)
        + tag("details", tag("summary", f"all {len(rows)} points"), table(head, map(line, rows), words=5))
    )


def admission(results: Results, gallery: Gallery) -> Section:
    says = {True: "Passes: the task needs planning.", False: "Fails: the task carries no claim about planning."}

    def content(task: str) -> list[object]:
        found = results.first("admission", task) or {}
        short = mapping(results.task(task).get("admission"))
        rows = [
            (plain(r.get("name")), plain(r.get("budget")), share(r.get("success")), between(r.get("ci95")))
            for r in map(mapping, sequence(found.get("rows")))
        ] or [(name, DASH, share(value), DASH) for name, value in short.items() if finite(value) is not None]
        held = found.get("holds")
        return [
            tag("p", says[held]) if isinstance(held, bool) else "",
            gallery.draw("admission", figures.admission_figure, results, task),
            table(("planner", "budget", "success", "Wilson 95 %"), rows, words=2) if rows else "",
        ]

    return by_task("admission", results, content)
