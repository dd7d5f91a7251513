"""Rows that are missing, null, hostile or damaged: said on the page or in one line, never a crash."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.evaluation.results import load
from spikeplan.experiments.report import print_table, write_report
from spikeplan.experiments.report.captions import SECTION

TASK = "two-room"


def test_a_missing_kind_is_said_and_crashes_nothing(results: Any, kind, tmp_path):
    out = results.store(tmp_path, found={"tasks": {TASK: {}}}, rows=results.brief(kind), events=False)
    assert "not run" in write_report(out).read_text(encoding="utf-8")


def test_without_metrics_every_part_is_not_run(results: Any, tmp_path):
    results.store(tmp_path, found={"tasks": {TASK: None}}, rows=[], events=False)
    (tmp_path / "metrics.jsonl").unlink()
    (tmp_path / "config.json").unlink()
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert page.count(">not run<") == len(SECTION) - 1  # the caveats stand always
    assert list((tmp_path / "figures").iterdir()) == []


def emptied(value: object, keep: tuple[str, ...], depth: int = 0) -> object:
    """The same structure with every leaf null, down to where `depth` runs out."""
    if isinstance(value, dict) and depth >= 0:
        return {k: v if k in keep else emptied(v, keep, depth - 1) for k, v in value.items()}
    return [emptied(v, keep, depth - 1) for v in value] if isinstance(value, list) and depth >= 0 else None


@pytest.mark.parametrize("depth", [0, 1, 2, 9])
def test_nulls_crash_nothing(results: Any, depth, tmp_path):
    keep = ("kind", "task", "method", "reference")
    rows = [emptied(row, keep, depth) for row in results.brief()]
    found = emptied(results.summary(), keep, depth + 2)
    page = write_report(results.store(tmp_path, rows=rows, found=found)).read_text(encoding="utf-8")  # type: ignore[arg-type]
    print_table(load(tmp_path), Console(file=io.StringIO()))
    assert page.endswith("</html>\n")


KINDS = ("front", "gates", "episode", "thresholds", "lava")


def test_hostile_names_and_numbers(results: Any, tmp_path):
    rows = [row | {"task": task} for task in ("a $x</svg> [b]", "a-x-svg-b") for row in results.brief(*KINDS)]
    for row in rows:
        row.update({key: float("nan") for key, value in row.items() if isinstance(value, float)})
        if row["kind"] == "front":
            row["synop_equivalents"] = 0
    page = write_report(results.store(tmp_path, rows=rows, found={"tasks": {}})).read_text(encoding="utf-8")
    assert "a $x&lt;/svg&gt; [b]" in page and "a $x</svg>" not in page
    for path in (tmp_path / "figures").glob("*.svg"):
        ElementTree.parse(path)


def test_damaged_files_are_errors_of_one_line(results: Any, tmp_path):
    for name, content, expected in (
        ("summary.json", "{", "truncated or not JSON"),
        ("metrics.jsonl", '{"kind": "method"}\n{"kind', "line 2: not JSON"),
        ("events.npz", "PK", "truncated or foreign"),
    ):
        out = results.store(tmp_path / name.split(".")[0])
        (out / name).write_text(content)
        with pytest.raises(UserError, match=expected) as error:
            write_report(out)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"holds no summary\.json"):
        write_report(tmp_path / "nowhere")
