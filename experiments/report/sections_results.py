"""Sections that answer the question: verdict, targets, success, the front, admission."""

from __future__ import annotations

from spikeplan.core.format import DASH, between, count, joule, number, plain, points, share
from spikeplan.evaluation.iso_success import MARGIN, Comparison
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import AdmissionRow, FrontRow, MethodRow
from spikeplan.experiments.report.figures import front as figures
from spikeplan.experiments.report.front import comparisons, describe, devices, equivalents, families, joules, pareto
from spikeplan.experiments.report.markup import Markup, table, tag
from spikeplan.experiments.report.page import Gallery, Section, by_task


def verdict(results: Results, gallery: Gallery) -> Section:
    """Opponent by opponent, where dense is ahead first; the run's own words only where nothing can be compared."""

    def content(task: str) -> list[object]:
        if pairs := comparisons(results, task):
            return [_equal_success(sorted(pairs, key=lambda c: c.ahead != "dense"))]
        said = results.task(task).verdict
        return [tag("p", said, class_="verdict")] if said else []

    return by_task("verdict", results, content)


def _equal_success(pairs: list[Comparison[FrontRow]]) -> Markup:
    show = {"": number, "J": joule}
    marks = {"dense": tag("span", "dense", class_="bad"), "spiking": tag("span", "spiking", class_="good")}
    rows = [
        (
            *(c.what, describe(c.dense), describe(c.spiking)),
            *(show[c.unit](c.dense_cost), show[c.unit](c.spiking_cost)),
            *(DASH if c.ratio is None else f"{c.ratio:.2g}", marks.get(c.ahead, c.ahead)),
        )
        for c in pairs
    ]
    head = ("cost per action, whole loop", "cheapest dense point", "cheapest spiking point", "dense", "spiking")
    note = (
        f"The cheapest point of each family with success ≥ {pairs[0].level:.3f}, {MARGIN * 100:.0f} points below the "
        "full dense planner; point estimates, their intervals stand in the front. Threshold sweeps and the sequential "
        "schedule do not decide. Joules compare different machines."
    )
    return Markup(table((*head, "spiking / dense", "ahead"), rows, words=3, last=1) + tag("p", note, class_="note"))


def targets(results: Results, gallery: Gallery) -> Section:
    marks = {True: tag("span", "holds", class_="good"), False: tag("span", "not reached", class_="bad")}
    rows = []
    for task in results.tasks:
        for target in results.task(task).targets:
            mark = "not measured" if target.holds is None else marks[target.holds]
            rows.append((task, target.name, mark, target.goal, plain(target.value)))
    if not rows:
        return Section("targets", [])
    good = sum(row[2] is marks[True] for row in rows)
    held = tag("p", f"{good} of {len(rows)} hold.")
    return Section("targets", [held, table(("task", "target", "", "goal", "value"), rows, words=3)])


OUTCOME = ("episodes", "success", "Wilson 95 %", "minus dense, points", "latent nmse", "Spearman", "top-k overlap")
SPENT = ("MACs", "synops", "neuron updates", "synop-equivalents", "values compared", "different")


def success(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        methods, rows = results.methods(task), results.of(MethodRow, task)
        spent = [
            (
                *(method, number(r.macs_per_action), number(r.synops_per_action)),
                *(number(r.neuron_updates_per_action), number(r.synop_equivalents_per_action)),
                *(count(r.values_compared), count(r.values_different)),
            )
            for method, r in methods.items()
        ]
        run = [plain(results.summary.episodes), plain(results.summary.seeds)]
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
            *(method, count(r.episodes), share(r.success), between(r.ci95)),
            *(points(r.paired_vs_dense), number(r.latent_nmse)),
            *(share(r.spearman), share(r.topk_overlap)),
        )
        for method, r in results.methods(task).items()
    ]
    return table(("method", *OUTCOME), rows) if rows else Markup()


def _schedules(rows: list[MethodRow]) -> Markup:
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

    def line(r: MethodRow) -> tuple[object, ...]:
        whole, part, ops = r.equivalents or {}, r.equivalents_predictor or {}, r.per_action or {}
        totals = [whole.get(k) for k in ("batched", "interleaved", "sequential")]
        predictor = part.get("interleaved", part.get("batched"))
        rest = [ops.get(k) for k in ("updates_active", "state_restores", "messages", "host_words")]
        return (
            *(r.method, r.reference, plain(r.threshold)),
            *(number(value) for value in (*totals, r.floor, predictor, *rest)),
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


def _points(rows: list[FrontRow]) -> Markup:
    names = devices(rows)
    best = [id(r) for family in families(rows).values() for r in pareto(family, equivalents)]
    head = ("method", "reference", "schedule", "budget", "θ factor", "success", "Wilson 95 %", "synop-eq.", *names)

    def line(r: FrontRow) -> tuple[object, ...]:
        return (
            *(r.method, r.reference, r.schedule, r.budget, plain(r.threshold)),
            *(share(r.success), between(r.ci95), number(r.synop_equivalents)),
            *(joule(joules(device)(r)) for device in names),
        )

    chosen = sorted((r for r in rows if id(r) in best), key=lambda r: r.synop_equivalents)
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
        row, short = results.first(AdmissionRow, task), results.task(task).admission
        if row is not None:
            levels = [(level.name, level.budget, share(level.success), between(level.ci95)) for level in row.rows]
        elif short is not None:
            levels = [
                (name, DASH, share(getattr(short, name)), DASH) for name in ("full", "budget5", "greedy", "policy")
            ]
        else:
            return []
        return [
            tag("p", says[row.holds if row is not None else bool(short and short.holds)]),
            gallery.draw("admission", figures.admission_figure, results, task),
            table(("planner", "budget", "success", "Wilson 95 %"), levels, words=2),
        ]

    return by_task("admission", results, content)
