"""Sections on energy, on what an episode looks like, and on what the report does not show."""

from __future__ import annotations

import json

from spikeplan.evaluation.results import Record, Results, finite, mapping
from spikeplan.experiments.report import figures_energy as figures
from spikeplan.experiments.report.captions import CAVEATS
from spikeplan.experiments.report.episode_gif import film, grey, png
from spikeplan.experiments.report.markup import Markup, energy, number, plain, table, tag, text
from spikeplan.experiments.report.page import Gallery, Section, by_task
from spikeplan.snn.delta_predictor import STATE_KIND


def energies(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        rows = results.of("energy", task)
        return [
            gallery.draw("energy", figures.energy_figure, results, task),
            _energy_table(rows) if rows else _short_energy(mapping(results.task(task).get("energy"))),
            gallery.draw("break-even", figures.break_even_figure, results, task),
            _break_even(results.of("break_even", task)),
        ]

    return by_task("energy", results, content)


def _energy_table(rows: list[Record]) -> Markup:
    head = ("device", "method", "schedule", "extent", "scope", "low", "nominal", "high", "time per action", "evidence")

    def line(r: Record) -> tuple[object, ...]:
        seconds = finite(r.get("latency_s"))
        return (
            *(plain(r.get(k)) for k in ("device", "method", "schedule", "extent", "scope")),
            *(energy(r.get(k)) for k in ("low", "nominal", "high")),
            plain(None) if seconds is None else f"{number(1e3 * seconds)} ms",
            tag("small", plain(r.get("evidence"))),
        )

    verdict = [r for r in rows if r.get("scope") == "system" and r.get("extent") == "loop"]
    everything = tag(
        "details", tag("summary", f"all {len(rows)} estimates"), table(head, map(line, rows), words=5, last=1)
    )
    note = tag("p", "Scope system, whole loop, per action:", class_="note")
    return Markup((note + table(head, map(line, verdict), words=5, last=1) if verdict else "") + everything)


def _short_energy(found: Record) -> Markup:
    """The summary's form: device -> method -> one estimate."""
    rows = [
        (
            device,
            method,
            plain(mapping(r).get("scope")),
            *(energy(mapping(r).get(k)) for k in ("low", "nominal", "high")),
        )
        for device, methods in found.items()
        for method, r in mapping(methods).items()
    ]
    return table(("device", "method", "scope", "low", "nominal", "high"), rows, words=3) if rows else Markup()


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
    def content(task: str) -> list[object]:
        shown: dict[str, Record] = {}
        for row in results.of("episode", task):
            shown.setdefault(str(row.get("method")), row)
        return [part for method, row in shown.items() for part in _film(method, row)]

    return by_task("film", results, content)


def _film(method: str, row: Record) -> list[Markup]:
    won = row.get("success")
    ended = "outcome not recorded" if won is None else "reached the goal" if won else "missed the goal"
    try:
        made = film(row)
    except ValueError as error:
        return [tag("p", f"{method}: no picture ({error})", class_="absent")]
    name = text(method)
    images = Markup(
        f'<div class="films"><img class="pixels" alt="animation, {name}" src="{made.animation}">'
        f'<img class="pixels" alt="filmstrip, {name}" src="{made.strip}"></div>'
    )
    steps = ", ".join(map(str, made.steps))
    return [tag("figure", images, tag("figcaption", f"{method}: {ended}. Control steps {steps}."))]


def events(results: Results, gallery: Gallery) -> Section:
    parts: list[object] = []
    if results.events is not None:
        found = results.events
        images = Markup(
            "".join(
                f'<img class="pixels" alt="{name}" src="{png(pixels)}">'
                for name, pixels in (("frame", grey(found.frame)), ("events", found.events))
            )
        )
        caption = found.caption or "Left: a frame. Right: events, ON red, OFF blue."
        parts = [tag("figure", tag("div", images, class_="pair"), tag("figcaption", caption))]
    return Section("events", parts)


def caveats(results: Results, gallery: Gallery) -> Section:
    kinds = table(("reference", "state that it keeps"), STATE_KIND.items(), words=2)
    return Section("caveats", [tag("ul", *(tag("li", line) for line in CAVEATS)), kinds])


def configuration(results: Results, gallery: Gallery) -> Section:
    """Settings as they are in the file: nothing is rounded."""
    flat = [(k, json.dumps(v, ensure_ascii=False)) for k, v in results.config.items() if not isinstance(v, dict | list)]
    parts: list[object] = [table(("setting", "value"), flat, words=2)] if flat else []
    for key, value in results.config.items():
        if isinstance(value, dict | list):
            parts += [tag("h3", key), tag("pre", json.dumps(value, indent=1, ensure_ascii=False))]
    seconds = finite(results.summary.get("seconds"))
    return Section("config", [*parts, "" if seconds is None else tag("p", f"The run took {number(seconds)} s.")])


BIBTEX = """@software{spikeplan,
  title = {spikeplan: neuromorphic planning with JEPA world models},
  version = {VERSION},
  license = {Apache-2.0}
}"""


def citation(results: Results, gallery: Gallery) -> Section:
    """BibTeX of the version that made the run, and the packages that it used."""
    versions = mapping(results.config.get("versions"))
    if not versions:
        return Section("citation", [])
    own = str(versions.get("spikeplan", "unknown"))
    rows = [(name, plain(version)) for name, version in versions.items()]
    return Section(
        "citation", [tag("pre", BIBTEX.replace("VERSION", own)), table(("package", "version"), rows, words=2)]
    )
