"""Rows that are missing, hostile or damaged: said on the page or in one line, never a crash."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from spikeplan.core.errors import UserError
from spikeplan.experiments.report import write_report
from spikeplan.experiments.report.captions import SECTION

TASK = "two-room"


def test_a_missing_kind_is_said_and_crashes_nothing(results: Any, kind, tmp_path):
    out = results.store(tmp_path, found={"tasks": {TASK: {}}}, rows=results.brief(kind), events=False)
    assert "not run" in write_report(out).read_text(encoding="utf-8")


def test_without_metrics_every_part_is_not_run(results: Any, tmp_path):
    results.store(tmp_path, found={"tasks": {TASK: {}}}, rows=[], events=False)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "config.json").unlink()
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert page.count(">not run<") == len(SECTION) - 1  # the caveats stand always
    assert list((tmp_path / "figures").iterdir()) == []


def test_hostile_names(results: Any, tmp_path):
    kinds = ("front", "gates", "episode", "thresholds", "lava")
    rows = [row | {"task": task} for task in ("a $x</svg> [b]", "a-x-svg-b") for row in results.brief(*kinds)]
    for row in rows:
        if row["kind"] == "front":
            row["synop_equivalents"] = 0
    page = write_report(results.store(tmp_path, rows=rows, found={"tasks": {}})).read_text(encoding="utf-8")
    assert "a $x&lt;/svg&gt; [b]" in page and "a $x</svg>" not in page
    for path in (tmp_path / "figures").glob("*.svg"):
        ElementTree.parse(path)


def test_a_row_that_does_not_fit_its_kind_is_named(results: Any, kind, tmp_path):
    """A field that is missing, null or of another type: file, line and field, and nothing is written."""
    (row,) = results.brief(kind)
    for name, value in row.items():
        if name == "kind" or value is None:
            continue
        out = results.store(tmp_path / kind / name, rows=[{**row, name: [None]}])
        with pytest.raises(UserError, match=rf"metrics\.jsonl, line 1: .*{name}") as error:
            write_report(out)
        assert "\n" not in str(error.value) and not (out / "report.html").exists()


def test_a_summary_of_another_version_is_named(results: Any, tmp_path):
    found = results.summary()
    found["tasks"][TASK]["methods"]["int8"]["success"] = "high"
    with pytest.raises(UserError, match=r"summary\.json: .*success.*run the command again"):
        write_report(results.store(tmp_path, found=found))


def test_damaged_files_are_errors_of_one_line(results: Any, tmp_path):
    for name, content, expected in (
        ("summary.json", "{", "truncated or not JSON"),
        ("metrics.jsonl", '{"kind": "method"}\n', "line 1: Object missing required field"),
        ("events.npz", "PK", "truncated or foreign"),
    ):
        out = results.store(tmp_path / name.split(".")[0])
        (out / name).write_text(content)
        with pytest.raises(UserError, match=expected) as error:
            write_report(out)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"no such folder"):
        write_report(tmp_path / "nowhere")
