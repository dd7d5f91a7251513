"""Sections on energy, on what an episode looks like, and on what the report does not show."""

from __future__ import annotations

import json

from spikeplan.core.format import DASH, joule, number, plain
from spikeplan.evaluation.results import Results
from spikeplan.evaluation.rows import BreakEvenRow, EnergyRow, EpisodeRow
from spikeplan.evaluation.summary import EnergySummary
from spikeplan.experiments.report.captions import CAVEATS
from spikeplan.experiments.report.episode_gif import film, grey, png
from spikeplan.experiments.report.figures import energy as figures
from spikeplan.experiments.report.markup import Markup, table, tag, text
from spikeplan.experiments.report.page import Gallery, Section, by_task
from spikeplan.snn.delta_reference import STATE_KIND


def energies(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        rows = results.of(EnergyRow, task)
        return [
            gallery.draw("energy", figures.energy_figure, results, task),
            _energy_table(rows) if rows else _short_energy(results.task(task).energy),
            gallery.draw("break-even", figures.break_even_figure, results, task),
            _break_even(results.of(BreakEvenRow, task)),
        ]

    return by_task("energy", results, content)


def _energy_table(rows: list[EnergyRow]) -> Markup:
    head = ("device", "method", "schedule", "extent", "scope", "low", "nominal", "high", "time per action", "evidence")

    def line(r: EnergyRow) -> tuple[object, ...]:
        return (
            *(r.device, r.method, r.schedule, r.extent, r.scope),
            *(joule(r.low), joule(r.nominal), joule(r.high)),
            DASH if r.latency_s is None else f"{number(1e3 * r.latency_s)} ms",
            tag("small", r.evidence),
        )

    verdict = [r for r in rows if r.scope == "system" and r.extent == "loop"]
    everything = tag(
        "details", tag("summary", f"all {len(rows)} estimates"), table(head, map(line, rows), words=5, last=1)
    )
    note = tag("p", "Scope system, whole loop, per action:", class_="note")
    return Markup((note + table(head, map(line, verdict), words=5, last=1) if verdict else "") + everything)


def _short_energy(devices: dict[str, dict[str, EnergySummary]]) -> Markup:
    """The summary's form: device -> method -> one estimate."""
    rows = [
        (device, method, r.scope, joule(r.low), joule(r.nominal), joule(r.high))
        for device, methods in devices.items()
        for method, r in methods.items()
    ]
    return table(("device", "method", "scope", "low", "nominal", "high"), rows, words=3) if rows else Markup()


def _break_even(rows: list[BreakEvenRow]) -> Markup:
    if not rows:
        return Markup()
    head = ("device", "first term", "− updates", "− static", "s*", "")
    body = [
        (
            *(r.device, number(r.first_term), number(r.update_term), number(r.static_term), number(r.s_star)),
            _helps(r),
        )
        for r in rows
    ]
    return table(head, body)


def _helps(row: BreakEvenRow) -> str:
    return "no sparsity helps" if row.s_star <= 0 else f"spiking wins below {row.s_star:.2g}"


def films(results: Results, gallery: Gallery) -> Section:
    def content(task: str) -> list[object]:
        shown: dict[str, EpisodeRow] = {}
        for row in results.of(EpisodeRow, task):
            if row.method not in shown or row.imagined is not None:  # the same episode, with what was imagined in it
                shown[row.method] = row
        return [part for method, row in shown.items() for part in _film(method, row)]

    return by_task("film", results, content)


def _film(method: str, row: EpisodeRow) -> list[Markup]:
    ended = "reached the goal" if row.success else "missed the goal"
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
    copies = " Orange: futures that the policy's copies imagined, the cheapest one darker." if row.imagined else ""
    return [tag("figure", images, tag("figcaption", f"{method}: {ended}. Control steps {steps}.{copies}"))]


def events(results: Results, gallery: Gallery) -> Section:
    parts: list[object] = []
    picture = results.events
    if picture is not None:
        images = Markup(
            "".join(
                f'<img class="pixels" alt="{name}" src="{png(pixels)}">'
                for name, pixels in (("frame", grey(picture.frame)), ("events", picture.events))
            )
        )
        caption = picture.caption or "Left: a frame. Right: events, ON red, OFF blue."
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
    seconds = results.summary.seconds
    return Section("config", [*parts, "" if seconds is None else tag("p", f"The run took {number(seconds)} s.")])


BIBTEX = """@software{spikeplan,
  title = {spikeplan: neuromorphic planning with JEPA world models},
  version = {VERSION},
  license = {Apache-2.0}
}"""


def citation(results: Results, gallery: Gallery) -> Section:
    """BibTeX of the version that made the run, and the packages that it used."""
    versions = results.config.get("versions")
    if not isinstance(versions, dict):
        return Section("citation", [])
    own = str(versions.get("spikeplan", "unknown"))
    rows = [(name, plain(version)) for name, version in versions.items()]
    return Section(
        "citation", [tag("pre", BIBTEX.replace("VERSION", own)), table(("package", "version"), rows, words=2)]
    )
