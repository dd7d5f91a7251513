"""Sections on energy, on what an episode looks like, and on what the report does not show."""

from __future__ import annotations

import json

from experiments.report import figures_energy as figures
from experiments.report.film import film, grey, png
from experiments.report.markup import Markup, energy, number, plain, table, tag, text
from experiments.report.page import Gallery, Section, by_task
from experiments.report.results import Record, Results, finite, mapping
from experiments.report.style import svg
from snn.delta_predictor import STATE_KIND

CAVEATS = (
    "Simulated: everything on Loihi. Messages, updates and chip steps are counted in an integer reference and replayed "
    "bit-exactly in Lava on a CPU. No neuromorphic chip was used, and nothing here is a measurement of one.",
    "Measured: success, latents and rankings, on the episodes and seeds given, in simulated worlds.",
    "Energy is an estimate with low, nominal and high; each row carries the evidence codes of its constants (R read in the "
    "primary artefact, Q quoted, S secondary, V vendor claim, D derived). No energy per synaptic operation is published for "
    "Loihi 2, so its band is derived and wide.",
    "GPU figures are peak rates: lower bounds on energy, since a network of this size never reaches the peak. They "
    "favour the dense arms.",
    "A dense MAC counts as one synop-equivalent at every precision and pays no update: the count most favourable to dense.",
    "A batch of candidates in one process is a convenience of the simulation, not a mapping: on a chip, candidates share "
    "one network in time (sequential or interleaved, with restores counted) or take a replica each.",
    "The encoder stays dense in every arm and runs on a host device; loop totals include it, predictor totals do not.",
    "The lava arm replays recorded rollouts; the loop was not closed through Lava, so it has no success rate.",
    "Paired intervals take the episode as the unit and average planner seeds within it; they do not cover the spread over "
    "training seeds.",
)


def energies(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        rows = results.of("energy", task)
        parts[task] = [
            gallery.show("energy", task, svg(figures.energy_figure, results, task),
                         "Energy per action: bar from low to high, tick at nominal; spiking arms on a tinted ground. A verdict is read from "
                         "ledger C. GPU bars rest on peak rates and are lower bounds."),
            _energy_table(rows) if rows else _short_energy(mapping(results.task(task).get("energy"))),
            gallery.show("break-even", task, svg(figures.break_even_figure, results, task),
                         "Break-even density s* against int8 or fp dense hardware. Most papers print the first term only; updates and "
                         "static power must be taken off. Dashed: the least density that the sigma-delta arm reached."),
            _break_even(results.of("break_even", task)),
        ]  # fmt: skip
    lead = "Ledger A: operations. B: plus memory traffic and network on chip. C: plus static power × time, input and output, host."
    return Section("energy", "Energy: bands, ledgers, break-even", lead, by_task(results.tasks, parts))


def _energy_table(rows: list[Record]) -> Markup:
    head = ("device", "arm", "schedule", "scope", "ledger", "low", "nominal", "high", "time per action", "evidence")

    def line(r: Record) -> tuple[object, ...]:
        seconds = finite(r.get("latency_s"))
        return (*(plain(r.get(k)) for k in ("device", "arm", "schedule", "scope", "ledger")),
                *(energy(r.get(k)) for k in ("low", "nominal", "high")),
                plain(None) if seconds is None else f"{number(1e3 * seconds)} ms",
                tag("small", plain(r.get("evidence"))))  # fmt: skip

    verdict = [r for r in rows if r.get("ledger") == "C" and r.get("scope") == "loop"]
    everything = tag("details", tag("summary", f"all {len(rows)} estimates"), table(head, map(line, rows), words=5))
    note = tag("p", "Ledger C, whole loop, per action:", class_="note")
    return Markup((note + table(head, map(line, verdict), words=5) if verdict else "") + everything)


def _short_energy(found: Record) -> Markup:
    """The summary's form: device -> arm -> one estimate."""
    rows = [
        (device, arm, plain(mapping(r).get("ledger")), *(energy(mapping(r).get(k)) for k in ("low", "nominal", "high")))
        for device, arms in found.items()
        for arm, r in mapping(arms).items()
    ]
    return table(("device", "arm", "ledger", "low", "nominal", "high"), rows, words=3) if rows else Markup()


def _break_even(rows: list[Record]) -> Markup:
    if not rows:
        return Markup()
    head = ("device", "first term", "− updates", "− static", "s*", "")
    body = [
        (
            plain(r.get("device")),
            *(number(r.get(k)) for k in ("first_term", "update_term", "static_term", "s_star")),
            _helps(r),
        )
        for r in rows
    ]
    return table(head, body)


def _helps(row: Record) -> str:
    s_star = finite(row.get("s_star"))
    return "" if s_star is None else "no sparsity helps" if s_star <= 0 else f"spiking wins below {s_star:.2g}"


def films(results: Results, gallery: Gallery) -> Section:
    parts = {}
    for task in results.tasks:
        shown: dict[str, Record] = {}
        for row in results.of("episode", task):
            shown.setdefault(str(row.get("arm")), row)
        parts[task] = [part for arm, row in shown.items() for part in _film(arm, row)]
    lead = "Goal green, robot blue. The same start and goal for every arm; success is judged at the last control step."
    return Section("film", "One episode per arm", lead, by_task(results.tasks, parts))


def _film(arm: str, row: Record) -> list[Markup]:
    ended = {True: "reached the goal", False: "missed the goal"}.get(bool(row.get("success")), "")
    try:
        made = film(row)
    except ValueError as error:
        return [tag("p", f"{arm}: no picture ({error})", class_="absent")]
    name = text(arm)
    images = Markup(
        f'<div class="films"><img class="pixels" alt="animation, {name}" src="{made.animation}">'
        f'<img class="pixels" alt="filmstrip, {name}" src="{made.strip}"></div>'
    )
    steps = ", ".join(map(str, made.steps))
    return [tag("figure", images, tag("figcaption", f"{arm}: {ended}. Control steps {steps}."))]


def events(results: Results, gallery: Gallery) -> Section:
    parts: list[object] = []
    if results.events is not None:
        found = results.events
        images = Markup("".join(
            f'<img class="pixels" alt="{name}" src="{png(pixels)}">'
            for name, pixels in (("frame", grey(found.frame)), ("events", found.events))
        ))  # fmt: skip
        caption = found.caption or "Left: a frame. Right: events, ON red, OFF blue."
        parts = [tag("figure", tag("div", images, class_="pair"), tag("figcaption", caption))]
    return Section("events", "The arm as a frame and as events", "", parts)


def caveats(results: Results, gallery: Gallery) -> Section:
    kinds = table(("axis", "state that it needs"), STATE_KIND.items(), words=2)
    return Section("caveats", "Caveats", "", [tag("ul", *(tag("li", line) for line in CAVEATS)), kinds])


def configuration(results: Results, gallery: Gallery) -> Section:
    plain_values = {k: v for k, v in results.config.items() if not isinstance(v, dict | list)}
    nested = {k: v for k, v in results.config.items() if isinstance(v, dict | list)}
    parts: list[object] = (
        [table(("setting", "value"), [(k, plain_setting(v)) for k, v in plain_values.items()], words=2)]
        if plain_values
        else []
    )
    for key, value in nested.items():
        parts += [tag("h3", key), tag("pre", json.dumps(value, indent=1, ensure_ascii=False))]
    seconds = finite(results.summary.get("seconds"))
    lead = "" if seconds is None else f"The run took {number(seconds)} s."
    return Section("config", "Configuration and versions", lead, parts)


def plain_setting(value: object) -> str:
    """Settings as they are in the file: no rounding."""
    return json.dumps(value) if isinstance(value, int | float) else plain(value)
