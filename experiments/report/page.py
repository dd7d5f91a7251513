"""The page around the sections, and the gallery that keeps each figure once: inline in the page and as a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure

from spikeplan.evaluation.results import Results
from spikeplan.experiments.report import style
from spikeplan.experiments.report.captions import CAPTION, SECTION
from spikeplan.experiments.report.data import csv_of
from spikeplan.experiments.report.markup import Markup, join, not_run, tag, text

CSS = """
:root { --ink: #1a1a1a; --soft: #5c5c5c; --line: #d9d9d9; --bad: #9c3d00; --good: #00614a; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 5rem; max-width: 62rem; color: var(--ink); background: #fff;
  font: 15px/1.5 "Helvetica Neue", Helvetica, Arial, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 3rem 0 .4rem; padding-top: .5rem;
  border-top: 1px solid var(--line); } h3 { font-size: 1rem; margin: 1.5rem 0 .4rem; }
p, li { max-width: 46rem; } .lead, figcaption, .note, .absent { color: var(--soft); }
.lead { margin-top: 0; } nav { font-size: .85rem; margin: 1rem 0; } nav a { color: inherit; margin-right: .9em; }
.absent { font-style: italic; } .verdict { font-size: 1.08rem; border-left: 3px solid var(--ink); padding-left: .9rem; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); font-weight: 600; }
.wide { overflow-x: auto; margin: .6rem 0 1rem; } table { border-collapse: collapse; font-size: .82rem; }
th { text-align: left; font-weight: 600; border-bottom: 1px solid var(--ink); vertical-align: bottom; }
th, td { padding: .22rem .7rem .22rem 0; } td { border-bottom: 1px solid #ececec; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { margin: 1rem 0 1.6rem; } figure svg { max-width: 100%; height: auto; display: block; }
.mark { cursor: help; } .mark:hover { stroke: #000; stroke-width: 2; opacity: .6; }
figcaption { font-size: .85rem; max-width: 46rem; margin-top: .3rem; }
.films { display: grid; grid-template-columns: auto 1fr; gap: .6rem 1rem; align-items: start; }
.pixels { image-rendering: pixelated; max-width: 100%; border: 1px solid var(--line); display: block; }
.pair { display: flex; gap: 1rem; flex-wrap: wrap; } .pair img { width: 20rem; }
pre { font-size: .78rem; background: #f6f6f6; padding: .8rem; overflow-x: auto; } details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--soft); font-size: .85rem; }
table.sortable th { cursor: pointer; } .files { font-size: .8rem; } .files a { color: var(--soft); margin-right: .8em; }
@media (max-width: 30rem) { body { padding: 1rem .7rem 3rem; font-size: 14px; } table { font-size: .74rem; }
  th, td { padding-right: .45rem; } .films { grid-template-columns: 1fr; } .pair img { width: 100%; } }
@media print { @page { size: A4 landscape; margin: 12mm; } body { max-width: none; padding: 0; font-size: 10pt; }
  nav, .files { display: none; } h2, h3, summary { break-after: avoid; } figure, tr { break-inside: avoid; }
  .wide { overflow: visible; } table { font-size: 6.5pt; width: 100%; } th, td { padding-right: .35rem; }
  td.number, th.number { white-space: normal; } details > *:not(summary) { display: block; } }
"""

# A click on a heading sorts its table: numbers with their prefix by value, words by letters. No framework.
SORT = """
document.querySelectorAll("table").forEach(function (table) {
  table.classList.add("sortable");
  table.querySelectorAll("th").forEach(function (head, column) {
    head.addEventListener("click", function () {
      var up = head.dataset.up !== "1", body = table.tBodies[0];
      head.dataset.up = up ? "1" : "0";
      var scale = { T: 1e12, G: 1e9, M: 1e6, k: 1e3, m: 1e-3, "\u00b5": 1e-6, n: 1e-9, p: 1e-12 };
      var key = function (row) {
        var said = row.cells[column].textContent.replace(/\u2009/g, "").replace("\u2212", "-");
        var parts = said.match(/^([-+]?[\\d.]+(?:e[-+]?\\d+)?)\\s*([TGMkm\u00b5np]?)/);
        return parts ? parseFloat(parts[1]) * (scale[parts[2]] || 1) : said;
      };
      Array.from(body.rows).sort(function (a, b) {
        var x = key(a), y = key(b);
        var less = typeof x === typeof y ? x < y : typeof x === "number";
        return (x === y ? 0 : less ? -1 : 1) * (up ? 1 : -1);
      }).forEach(function (row) { body.appendChild(row); });
    });
  });
});
"""


@dataclass
class Gallery:
    """Every figure once, by file name; a figure that has nothing to draw is left out."""

    svgs: dict[str, str] = field(default_factory=dict)
    data: dict[str, str] = field(default_factory=dict)

    def draw(self, name: str, figure: Callable[[Results, str], Figure | None], results: Results, task: str) -> Markup:
        drawn = style.svg(figure, results, task)
        if drawn is None:
            return Markup()
        key = self._unused(re.sub(r"[^a-z0-9]+", "-", f"{name}-{task}".lower()).strip("-"))
        self.svgs[key] = drawn
        links = [tag("a", "SVG", href=f"figures/{key}.svg")]
        rows = csv_of(results, name, task)
        if rows is not None:
            self.data[key] = rows
            links.append(tag("a", "data (CSV)", href=f"figures/{key}.csv"))
        files = tag("div", *links, class_="files")
        return tag("figure", Markup(style.inline(drawn, key)), tag("figcaption", CAPTION[name]), files)

    def _unused(self, key: str) -> str:
        """Two task names may differ in signs only, which a file name leaves out."""
        return key if key not in self.svgs else self._unused(f"{key}-b")


@dataclass(frozen=True)
class Section:
    """One heading of the report with its parts in order; without any, the run holds nothing for it."""

    key: str
    parts: Sequence[object]

    def render(self) -> Markup:
        words, body = SECTION[self.key], join(self.parts)
        heading = (tag("h2", words.title), tag("p", words.lead, class_="lead"))
        return tag("section", *heading, body if body.strip() else not_run(), id=self.key)


def by_task(key: str, results: Results, content: Callable[[str], Sequence[object]]) -> Section:
    """A sub-heading for each task; a task without content says so as long as another one has some."""
    filled = {task: join(content(task)) for task in results.tasks}
    if not any(body.strip() for body in filled.values()):
        return Section(key, [])
    return Section(
        key, [p for task, body in filled.items() for p in (tag("h3", task), body if body.strip() else not_run())]
    )


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    links = tag("nav", *(tag("a", SECTION[s.key].title, href=f"#{s.key}") for s in sections))
    body = join([tag("h1", title), tag("p", lead, class_="lead"), links, *(s.render() for s in sections)])
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{CSS}</style>\n</head>\n<body>\n{body}\n<script>{SORT}</script>\n</body>\n</html>\n"
    )
