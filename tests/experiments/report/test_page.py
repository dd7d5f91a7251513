"""The page is a function of a results directory: one file, all sections, figures that are XML."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from spikeplan.evaluation.results import load
from spikeplan.evaluation.rows import FrontRow
from spikeplan.experiments.report import write_report
from spikeplan.experiments.report.captions import SECTION
from spikeplan.experiments.report.front import comparisons, equivalents, pareto
from spikeplan.experiments.report.html import SECTIONS
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


def test_text_is_escaped(report):
    assert "&amp; the chip is &lt;simulated&gt;." in report[1]
    assert text('<a href="x">') == "&lt;a href=&quot;x&quot;&gt;"


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
    assert (
        section.index("Dense planning is ahead")
        < section.index("Dense int8 needs")
        < section.index("Spiking planning is")
    )


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
