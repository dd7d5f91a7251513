"""Sections that answer the question: verdict, targets, success, the front, admission."""

from __future__ import annotations

from experiments.report import figures
from experiments.report.front import (
    MARGIN,
    Comparison,
    comparisons,
    describe,
    devices,
    equivalents,
    families,
    full_success,
    joules,
    pareto,
)
from experiments.report.markup import (
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
from experiments.report.page import Gallery, Section, by_task
from experiments.report.results import Record, Results, finite, mapping, sequence
from experiments.report.style import svg


def verdict(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        found = comparisons(results, task)
        content: list[object] = []
        ahead = {side: [c for c in found if c.ahead == side] for side in ("dense", "spiking")}
        if ahead["dense"]:
            content.append(tag("p", tag("span", "Dense planning at equal success is ahead", class_="bad"), " in: ",
                               "; ".join(map(_gain, ahead["dense"])), "."))  # fmt: skip
        said = results.task(task).get("verdict")
        if said:
            content.append(tag("p", str(said), class_="verdict"))
        if ahead["spiking"]:
            content.append(tag("p", "Spiking is ahead in: ", "; ".join(map(_gain, ahead["spiking"])), "."))
        if (results.first("admission", task) or {}).get("holds") is False:
            content.append(tag("p", "The task fails the admission test below: it carries no claim about planning.",
                               class_="bad"))  # fmt: skip
        if found:
            content.append(_equal_success(found))
        parts[task] = content
    lead = "Dense against spiking planning of the same episodes, with everything counted: encoder, rollouts, restores, selection."
    return Section("verdict", "Verdict", lead, by_task(results.tasks, parts))


def _gain(found: Comparison) -> str:
    return found.what + (
        " (only one family reaches the level)" if found.ratio is None else f" (spiking / dense = {found.ratio:.2g})"
    )


def _equal_success(found: list[Comparison]) -> Markup:
    level = found[0].level
    show = {"": number, "J": energy}
    rows = [
        (c.what, describe(c.dense), describe(c.spiking), show[c.unit](c.dense_cost), show[c.unit](c.spiking_cost),
         DASH if c.ratio is None else f"{c.ratio:.2g}", c.ahead)
        for c in found
    ]  # fmt: skip
    head = (
        "cost per action, whole loop",
        "cheapest dense point",
        "cheapest spiking point",
        "dense",
        "spiking",
        "spiking / dense",
        "ahead",
    )
    note = (
        f"Cheapest point of each family with success ≥ {level:.3f}, {MARGIN * 100:.0f} points below the full dense "
        "planner; point estimates, intervals in the front. Joules compare different machines and are estimates."
    )
    return Markup(table(head, rows, words=3) + tag("p", note, class_="note"))


def targets(results: Results, gallery: Gallery) -> Section:
    marks = {True: tag("span", "holds", class_="good"), False: tag("span", "not reached", class_="bad")}
    rows = []
    for task in results.tasks:
        for target in map(mapping, sequence(results.task(task).get("targets"))):
            held = target.get("holds")
            mark = marks[held] if isinstance(held, bool) else "not measured"
            rows.append((task, plain(target.get("name")), mark, plain(target.get("goal")), plain(target.get("value"))))
    content: list[object] = []
    if rows:
        good = sum(row[2] is marks[True] for row in rows)
        content = [
            tag("p", f"{good} of {len(rows)} hold."),
            table(("task", "target", "", "goal", "value"), rows, words=3),
        ]
    return Section("targets", "Targets", "", content)


def success(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        arms = results.arms(task)
        drawn = svg(figures.success_figure, results, task)
        outcome = [
            (arm, count(r.get("episodes")), share(r.get("success")), between(r.get("ci95")), points(r.get("paired_vs_dense")),
             number(r.get("latent_nmse")), share(r.get("spearman")), share(r.get("topk_overlap")))
            for arm, r in arms.items()
        ]  # fmt: skip
        spent = [
            (arm, number(r.get("macs_per_action")), number(r.get("synops_per_action")), number(r.get("neuron_updates_per_action")),
             number(r.get("synop_equivalents_per_action")), count(r.get("values_compared")), count(r.get("values_different")))
            for arm, r in arms.items()
        ]  # fmt: skip
        parts[task] = [
            gallery.show("success", task, drawn, "Success per arm with Wilson 95 % intervals; dashed: the dense planner."),
            table(("arm", "episodes", "success", "Wilson 95 %", "minus dense, points [95 %]", "latent nmse", "Spearman", "top-k overlap"), outcome),
            table(("per action", "MACs", "synops", "neuron updates", "synop-equivalents", "values compared", "different"), spent),
            _schedules(results.of("arm", task)),
            gallery.show("phases", task, svg(figures.phase_figure, results, task),
                         "Operations of one action by phase (bar: batched or interleaved), the floor that neuron updates alone set, "
                         "and the total when one candidate at a time walks through the layers (sequential)."),
        ] if arms or results.of("arm", task) else []  # fmt: skip
    lead = (
        f"{plain(results.summary.get('episodes'))} episodes and {plain(results.summary.get('seeds'))} planner seeds; all arms see "
        "the same starts, goals and noise, and differences are paired by episode."
    )
    return Section("success", "Success and operations per arm", lead, by_task(results.tasks, parts))


def _schedules(rows: list[Record]) -> Markup:
    """Totals of every schedule, the floor, and the operations that the summary leaves out."""
    if not rows:
        return Markup()
    head = ("arm", "axis", "θ factor", "total, batched", "interleaved", "sequential", "update floor", "predictor, interleaved",
            "updates active", "restores", "messages", "host words")  # fmt: skip
    body = []
    for r in rows:
        whole, part, ops = (mapping(r.get(k)) for k in ("equivalents", "equivalents_predictor", "per_action"))
        predictor = part.get("interleaved", part.get("batched"))
        figures_ = (whole.get("batched"), whole.get("interleaved"), whole.get("sequential"), r.get("floor"), predictor,
                    *(ops.get(k) for k in ("updates_active", "state_restores", "messages", "host_words")))  # fmt: skip
        body.append((plain(r.get("arm")), plain(r.get("axis")), plain(r.get("threshold")), *map(number, figures_)))
    note = tag(
        "p",
        "synop-equivalents = MACs + ACs + synops + 10 × (neuron updates + state restores), per action.",
        class_="note",
    )
    return Markup(table(head, body, words=3) + note)


def front(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        rows = results.front(task)
        parts[task] = [
            gallery.show("front", task, svg(figures.front_figure, results, task),
                         "Success against total synop-equivalents per action. Steps: the front of each family (further left and "
                         "higher is better). Filled: interleaved or dense; hollow: sequential. Thin bars: Wilson 95 %."),
            gallery.show("front-joules", task, svg(figures.joules_figure, results, task),
                         "The same points in Joules, ledger C (operations, memory, static power × time, input and output, host). "
                         "Pale bands: low to high of the points on each front. All Joules are estimates, none was measured."),
            _points(rows, full_success(results, task)),
        ] if rows else []  # fmt: skip
    return Section("front", "The front: success against cost", "The opponent is dense planning at equal cost.",
                   by_task(results.tasks, parts))  # fmt: skip


def _points(rows: list[Record], full: float | None) -> Markup:
    names = devices(rows)
    dense, spikes = families(rows)
    best = [id(r) for family in (dense, spikes) for r in pareto(family, equivalents)]

    def line(r: Record) -> tuple[object, ...]:
        return (plain(r.get("arm")), plain(r.get("axis")), plain(r.get("schedule")), plain(r.get("budget")), plain(r.get("threshold")),
                share(r.get("success")), between(r.get("ci95")), number(r.get("synop_equivalents")),
                *(energy(joules(d)(r)) for d in names))  # fmt: skip

    head = ("arm", "axis", "schedule", "budget", "θ factor", "success", "Wilson 95 %", "synop-eq.", *names)
    chosen = sorted((r for r in rows if id(r) in best), key=lambda r: finite(r.get("synop_equivalents")) or 0.0)
    everything = tag("details", tag("summary", f"all {len(rows)} points"), table(head, map(line, rows), words=5))
    return Markup(tag("p", "Points on the front of their family, from cheap to dear:", class_="note")
                  + table(head, map(line, chosen), words=5) + everything)  # fmt: skip


def admission(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        found = results.first("admission", task) or {}
        short = mapping(results.task(task).get("admission"))
        rows = [
            (plain(r.get("name")), plain(r.get("budget")), share(r.get("success")), between(r.get("ci95")))
            for r in map(mapping, sequence(found.get("rows")))
        ] or [(name, DASH, share(value), DASH) for name, value in short.items() if finite(value) is not None]
        says = {True: "Passes: the task needs planning.", False: "Fails: the task carries no claim about planning."}
        held = found.get("holds")
        parts[task] = [
            tag("p", says[held]) if isinstance(held, bool) else "",
            gallery.show("admission", task, svg(figures.admission_figure, results, task), "Success of the dense planner by budget."),
            table(("planner", "budget", "success", "Wilson 95 %"), rows, words=2),
        ] if rows else []  # fmt: skip
    lead = "A task counts only if greedy planning (H = 1) and dense CEM at 5 % of the budget both fall at least 20 points below the full dense CEM."
    return Section("admission", "Does the task need planning?", lead, by_task(results.tasks, parts))
