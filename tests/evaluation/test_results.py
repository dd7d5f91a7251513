"""A results directory that is damaged is named in one line, whatever is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from spikeplan.core.errors import UserError
from spikeplan.core.json_file import MAX_DEPTH, parse_json
from spikeplan.evaluation.pricing.runs import read_run
from spikeplan.evaluation.results import load

DEEP = '{"command": ' + "[" * 100_000 + "]" * 100_000 + "}"
NESTED = '{"command": ' + "[" * 60 + "]" * 60 + "}"
GOOD = '{"episodes": 1, "seeds": 1, "seconds": 1.0, "tasks": {}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEEP.encode(), "nested deeper than 32"),
        (NESTED.encode(), "nested deeper than 32"),
        (GOOD.encode("utf-16"), r"not UTF-8 \(byte 0\)"),
        (b'{"a": ' + b"1" * 5000 + b"}", "Exceeds the limit"),
        (b'{"a"', "Expecting"),
    ],
)
@pytest.mark.parametrize("name", ["summary.json", "config.json"])
def test_damaged_files(tmp_path: Path, name: str, text: bytes, said: str) -> None:
    (tmp_path / "summary.json").write_text(GOOD)
    (tmp_path / name).write_bytes(text)
    with pytest.raises(UserError, match=rf"{name}: .*{said}.*; run the experiment again") as error:
        load(tmp_path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 1000
    if name == "config.json":
        with pytest.raises(UserError, match=rf"no results directory \(.*{said}"):
            read_run(tmp_path)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(GOOD)
    (tmp_path / "config.json").mkdir()
    with pytest.raises(UserError, match=r"config\.json: .*Is a directory"):
        load(tmp_path)


def test_depth_is_counted() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(ValueError, match="nested deeper"):
        parse_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
