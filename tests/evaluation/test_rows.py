"""Rows of metrics.jsonl: what is written is read back the same, and what does not fit is named by file, line and field."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.evaluation.rows import (
    KINDS,
    AdmissionLevel,
    AdmissionRow,
    EnergyRow,
    FrontRow,
    OpCountsRow,
    PointEnergy,
    Row,
    ThresholdsRow,
    lines_of,
    read_rows,
    rows_of_kind,
)

POINT = PointEnergy(low=1.0, nominal=2.0, high=4.0, replicas=4, spread=1, cores=69)
FRONT = FrontRow(
    task="two-room",
    method="sigma_delta",
    family="spiking",
    budget="64x4 H12",
    reference="zero",
    threshold=None,
    success=0.5,
    role="front",
    ci95=(0.1, 0.9),
    paired_vs_dense=(-0.3, 0.2),
    episodes=2,
    episodes_won="10",
    schedule="interleaved",
    synop_equivalents=16.0,
    joules={"loihi2": PointEnergy(low=1.0, nominal=2.0, high=4.0, by_host={"h100": POINT})},
)


def counted() -> OpCountsRow:
    op_counts = OperationCounts(method="int8", reference="zero", precision="int8", spiking=False)
    op_counts.add("predictor", LayerCounts(layer="h1", macs=6, dense_macs=6, calls=1), iteration=0, step=0)
    op_counts.set_memory("h1", weight_bytes=6, state_bytes=0)
    op_counts.actions = 1
    return OpCountsRow(
        task="two-room",
        method="int8",
        family="dense",
        budget="64x4 H12",
        reference="zero",
        threshold=None,
        role="front",
        success=1.0,
        episodes=2,
        ci95=(0.3, 1.0),
        paired_vs_dense=None,
        evaluations=4,
        samples=2,
        op_counts=op_counts,
    )


def write(folder: Path, *lines: object) -> Path:
    path = folder / "metrics.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_rows_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    levels = [AdmissionLevel(name="full", budget="64x4", success=0.9, ci95=(0.8, 1.0))]
    admission = AdmissionRow(task="planar-reach", rows=levels, full=0.9, budget5=0.2, greedy=0.1, holds=True)
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines_of([FRONT, admission]))
    assert read_rows(path, KINDS) == [FRONT, admission]
    assert rows_of_kind(read_rows(path, KINDS), FrontRow, "planar-reach") == []
    assert read_rows(tmp_path / "none.jsonl", KINDS) == []


def test_counts_travel_in_a_row(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines_of([counted()]))
    (row,) = rows_of_kind(read_rows(path, KINDS), OpCountsRow)
    assert row.op_counts.dump() == counted().op_counts.dump() and row.op_counts.actions == 1


def test_defaults_are_not_written() -> None:
    written = FRONT.to_json()
    assert list(written)[:2] == ["kind", "task"] and written["threshold"] is None, "a field without default is written"
    on_chip = written["joules"]["loihi2"]
    assert "replicas" not in on_chip and "by_host" not in on_chip["by_host"]["h100"]
    assert {"hops", "placements"}.isdisjoint(counted().to_json())


def test_every_kind_has_a_name_of_its_own_and_says_what_it_is() -> None:
    ours = {row for row in Row.__subclasses__() if row.__module__.startswith("spikeplan.evaluation.rows")}
    assert set(KINDS.values()) == ours and "" not in KINDS
    for name, kind in KINDS.items():
        assert name == kind.kind
        assert kind.__doc__ and not kind.__doc__.startswith(f"{kind.__name__}("), kind
        assert fields(kind)[0].name == "task"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({**FRONT.to_json(), "success": "high"}, r"Expected `float`, got `str` - at `\$\.success`"),
        ({**FRONT.to_json(), "ci95": [0.1]}, r"length 2.*ci95"),
        ({k: v for k, v in FRONT.to_json().items() if k != "budget"}, "missing required field `budget`"),
        ({**FRONT.to_json(), "kind": "fronts"}, "no row of kind 'fronts' is known"),
        ({**counted().to_json(), "op_counts": {"version": 1}}, "op_counts: Object missing required field"),
        ('{"kind": "front", "success": NaN}', "malformed"),
        ("[1]", "no row of kind None is known"),
        ('{"kind', "truncated"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, line: object, message: str) -> None:
    path = write(tmp_path, FRONT.to_json(), line)
    with pytest.raises(UserError, match=rf"metrics\.jsonl, line 2: .*{message}") as error:
        read_rows(path, KINDS)
    assert "\n" not in str(error.value) and "run the command again" in str(error.value)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.mkdir()
    with pytest.raises(UserError, match=r"metrics\.jsonl: cannot be read \(Is a directory\)"):
        read_rows(path, KINDS)
    path.rmdir()
    for text in (lines_of([FRONT]).encode("utf-16"), b'{"kind": "\xe9"}'):
        path.write_bytes(text)
        with pytest.raises(UserError, match=r"metrics\.jsonl: not UTF-8 \(byte "):
            read_rows(path, KINDS)
    path.unlink()
    path.symlink_to(path)
    with pytest.raises(UserError, match=r"metrics\.jsonl: cannot be read \(Too many levels"):
        read_rows(path, KINDS)


def test_counts_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    """Each line is a method that would be priced. Another order of the keys is the same line; other rows may repeat."""
    row = counted().to_json()
    path = write(tmp_path, FRONT.to_json(), row, FRONT.to_json(), dict(reversed(row.items())))
    with pytest.raises(
        UserError, match=r"metrics\.jsonl, line 4: repeats line 2, a row of kind 'op_counts'; remove one"
    ):
        read_rows(path, KINDS)
    assert len(read_rows(write(tmp_path, row, {**row, "role": "sweep"}), KINDS)) == 2


def test_a_long_complaint_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path, {**FRONT.to_json(), "kind": "x" * 20_000})
    with pytest.raises(
        UserError, match=r"no row of kind 'xxx.* \.\.\. x+' is known; a file of another version"
    ) as error:
        read_rows(path, KINDS)
    assert len(str(error.value)) < 1000


def test_a_field_of_a_later_version_is_left_out() -> None:
    assert FrontRow.from_json({**FRONT.to_json(), "extra": 1}) == FRONT
    with pytest.raises(ValueError, match="chosen"):
        ThresholdsRow.from_json({"task": "two-room", "dense_success": 1.0, "table": []})
    assert EnergyRow.kind == "energy"
