"""The page is a function of a results directory: one file, all sections, figures that are XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from spikeplan.evaluation.results import load
from spikeplan.evaluation.rows import FrontRow
from spikeplan.experiments.report import style, write_report
from spikeplan.experiments.report.captions import SECTION
from spikeplan.experiments.report.figures.front import front_figure, joules_figure
from spikeplan.experiments.report.front import comparisons, equivalents, pareto
from spikeplan.experiments.report.headline.figure import headline_figure
from spikeplan.experiments.report.html import SECTIONS
from spikeplan.experiments.report.labels import Label, write_labels
from spikeplan.experiments.report.markup import text

TASK = "two-room"


def test_the_page_stands_alone(report):
    out, page = report
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page)
    files = [link for link in links if link.startswith("figures/")]
    assert files and all((out / link).is_file() for link in files)
    assert all(link.startswith(("data:image/", "#", "figures/")) for link in links)
    assert (
        page.count("<script>") == page.count("<script") == 1 and "@import" not in page and "<!DOCTYPE svg" not in page
    )
    assert not re.search(r"url\((?!#)", page)
    assert [path.name for path in out.iterdir() if path.suffix == ".part"] == []


def test_every_section_is_there_in_order_and_was_run(report):
    _, page = report
    places = [page.index(f'<section id="{key}">') for key in SECTION]
    assert places == sorted(places)
    assert len(places) == len(SECTIONS)
    assert "not run" not in page


def test_figures_are_xml_with_text_as_text(report):
    out, page = report
    files = {path.stem: path.read_text(encoding="utf-8") for path in (out / "figures").glob("*.svg")}
    names = "headline success phases front front-joules admission density references heat layers agreement thresholds"
    assert set(files) == {f"{name}-{TASK}" for name in (*names.split(), "gates", "raster", "energy", "break-even")}
    for name, drawn in files.items():
        root = ElementTree.fromstring(drawn)
        words = "".join("".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text"))
        assert words, name
    inline = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(inline) == len(files)
    for drawn in inline:
        ElementTree.fromstring(drawn)
    ids = re.findall(r'\bid="([^"]+)"', page)
    used = re.findall(r'(?:url\(|xlink:href=")#([^")]+)', page)
    assert set(used) <= set(ids)
    density = "".join(ElementTree.fromstring(files[f"density-{TASK}"]).itertext())
    assert "int8 dense = 1.0" in density and "0.28" in density


def test_same_files_same_page(results: Any, tmp_path):
    once, again = (
        write_report(results.store(tmp_path / name, rows=results.brief("lava", "front", "layers"))) for name in "ab"
    )
    assert once.read_bytes() == again.read_bytes()


def test_numbers_come_from_the_files(results: Any, report, tmp_path):
    assert '<td class="number">0.873</td>' in report[1]
    assert "4\u2009521\u2009984 values compared, 0 different" in report[1]
    found, rows = results.summary(), results.brief("lava", "front", "energy", "layers")
    found["tasks"][TASK]["methods"]["int8"]["success"] = 0.4567
    for row in rows:
        if row["kind"] == "lava":
            row["values_different"] = 17
        elif row["kind"] == "front":
            row["success"] = 0.6543
        elif row["kind"] == "energy":
            row["nominal"] = 1.2345e-5
        elif row["kind"] == "layers":
            row["layers"]["h1"]["nmse"] = 0.0777
    page = write_report(results.store(tmp_path, found=found, rows=rows)).read_text(encoding="utf-8")
    for figure in (">0.457<", "values compared, 17 different.<", ">0.654<", ">12.3 µJ<", ">0.0777<"):
        assert figure in page and figure not in report[1]
    drawn = (tmp_path / "figures" / f"front-{TASK}.svg").read_text(encoding="utf-8")
    assert drawn != (report[0] / "figures" / f"front-{TASK}.svg").read_text(encoding="utf-8")


def test_text_is_escaped_and_the_runs_own_words_stand_where_nothing_is_compared(results: Any, report, tmp_path):
    assert "the chip is" not in report[1], "the page opens with the findings; it does not say them twice"
    page = write_report(results.store(tmp_path, rows=[], found=silent(results.summary()))).read_text(encoding="utf-8")
    assert "&amp; the chip is &lt;simulated&gt;." in page
    assert text('<a href="x">') == "&lt;a href=&quot;x&quot;&gt;"


def silent(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without any point of a front."""
    return {"tasks": {TASK: {key: value for key, value in summary["tasks"][TASK].items() if key != "front"}}}


def test_stale_figures_go(results: Any, tmp_path):
    results.store(tmp_path, rows=[], events=False)
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.svg").write_text("<svg/>")
    (tmp_path / "figures" / "mine.txt").write_text("kept")
    write_report(tmp_path)
    assert not (tmp_path / "figures" / "old.svg").exists() and (tmp_path / "figures" / "mine.txt").exists()


def test_the_verdict_says_dense_first_where_dense_is_ahead(report):
    out, page = report
    found = comparisons(load(out), TASK)
    assert [c.what.split(",")[0] for c in found] == ["synop-equivalents", "loihi2 against orin_nano"]
    # success >= .88 - .03: narrow 64x4 (.86) at 1.1e8; delta iteration θ x 1 (.85), interleaved, at .45 x .5 x 2.9e8.
    count, joules = found
    assert count.dense_cost == 1.1e8 and count.spiking_cost == pytest.approx(0.45 * 0.5 * 2.9e8)
    assert count.ahead == "spiking" and joules.ahead == "dense" and joules.ratio == pytest.approx(3e-3 / 5.5e-4)
    section = page[page.index('<section id="verdict">') : page.index('<section id="targets">')]
    assert section.index('class="bad">dense<') < section.index('class="good">spiking<')


def test_marks_say_their_values_on_hover(report):
    """Of the fronts and of the bars, in the page and in the files; nothing is left as an id."""
    out, page = report
    said = {
        "headline": "narrow-96, 64x4 H12: success 0.860 [0.800, 0.910], 110 M synop-equivalents",
        "front": "sigma_delta, previous_iteration, θ × 1, 64x4 H12, sequential: success 0.880 [0.820, 0.930], 209 M",
        "front-joules": "int8, 64x4 H12: success 0.880 [0.820, 0.930], 1.10 mJ [275 µJ, 2.20 mJ] on orin_nano",
        "success": "lif: success 0.710 [0.640, 0.770]",
        "admission": "greedy  64x4 H1: success 0.110 [0.060, 0.160]",
        "phases": "int8, predictor: 274 M synop-equivalents an action",
        "energy": "loihi2 sigma_delta interleaved, loop, scope system: 5.00 mJ [625 µJ, 8.00 mJ]",
        "break-even": "h100, first term only: 0.04",
        "density": "sigma_delta, reference zero: 0.521 of the dense MACs",
        "gates": "trained: success 0.880",
        "references": "sigma_delta, θ × 0.25, 64x4 H12, interleaved: success 0.880 [0.820, 0.930], 40.0 M synop-equivalents",
    }
    for name, words in said.items():
        drawn = (out / "figures" / f"{name}-{TASK}.svg").read_text(encoding="utf-8")
        titles = [str(title.text) for title in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}title")]
        assert any(title.startswith(words) for title in titles), (name, titles[:5])
    assert page.count('<g class="mark"><title>') > 100 and 'id="mark:' not in page


def test_labels_leave_marks_and_each_other_free():
    figure = Figure()
    axes = figure.subplots()
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    near = [Label(0.5 + 0.01 * i, 0.5, f"a name of some length {i}", "black") for i in range(6)]
    write_labels(axes, [*near, Label(0.0, 0.0, "corner", "black")])
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = [Text.get_window_extent(one, renderer) for one in axes.texts]
    assert len(boxes) == 7
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    edge = axes.get_window_extent(renderer)
    assert all(edge.contains(box.x0, box.y0) and edge.contains(box.x1, box.y1) for box in boxes)
    middles = axes.transData.transform([(one.x, one.y) for one in near])
    assert not any(box.contains(*middle) for box in boxes for middle in middles)


def test_a_legend_is_smaller_than_its_plot(report):
    read = load(report[0])
    with style.paper():
        for draw in (headline_figure, front_figure, joules_figure):
            figure = draw(read, TASK)
            figure.draw_without_rendering()
            renderer = FigureCanvasAgg(figure).get_renderer()
            (legend,), plot = figure.legends, figure.axes[0]
            box = legend.get_window_extent(renderer)
            assert box.height < 0.3 * plot.get_window_extent(renderer).height, draw.__name__
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1, draw.__name__


def test_the_front_drops_what_a_cheaper_point_equals(results: Any):
    (point,) = results.brief("front")
    costs = ((0.5, 1), (0.5, 2), (0.9, 3), (0.8, 4), (1.0, 0))  # a cost of 0 has no place on a logarithmic axis
    rows = [FrontRow.from_json({**point, "success": s, "synop_equivalents": c}) for s, c in costs]
    assert [row.synop_equivalents for row in pareto(rows, equivalents)] == [1, 3]


def test_a_method_is_filmed_too_and_what_cannot_be_filmed_is_said(results: Any, tmp_path):
    row = {"kind": "episode", "task": "planar-reach", "method": "dense", "success": False, "layout": []}
    row |= {"poses": [[0.0, 0.1 * t] for t in range(21)], "goal": [0.0, 2.0], "start": [0.0, 0.0]}
    rows = [row, row | {"method": "int8", "goal": [0.0]}, row | {"method": "sigma_delta", "poses": []}]
    page = write_report(results.store(tmp_path, rows=rows, found={"tasks": {}})).read_text(encoding="utf-8")
    assert page.count("data:image/gif") == 1 and "dense: missed the goal" in page
    assert "int8: no picture" in page and "delta: no picture" in page
