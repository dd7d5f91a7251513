"""Operation counts goes through JSON unchanged; what another simulator may get wrong is refused in one line that names
the row."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spikeplan.core.counts.exchange import dump_rows, load_rows, read_rows
from spikeplan.core.counts.operations import COUNTS, CountRow, LayerCounts, OperationCounts
from spikeplan.core.errors import UserError

GOOD = {"method": "mine", "phase": "predictor", "layer": "h1", "schedule": "sequential", "synops": 12}


def whole(**row: object) -> dict[str, object]:
    return {"format": "spikeplan-counts", "version": 3, "actions": 2, "rows": [GOOD | row]}


def test_rows_survive_json_and_a_file(tmp_path: Path):
    numbered = {name: i + 1 for i, name in enumerate(COUNTS)}
    rows = [
        CountRow(
            method="a",
            phase="host",
            layer="x",
            reference="mean_candidate",
            schedule="interleaved",
            iteration=2,
            **numbered,
        ),
        CountRow(method="a", phase="encoder", layer="y", reference="zero", schedule="interleaved", hops=0),
    ]
    path = tmp_path / "op_counts.json"
    path.write_text(json.dumps(dump_rows(rows, 7)))
    assert read_rows(path) == (rows, 7)
    assert load_rows(whole())[0] == [CountRow(**GOOD, reference="zero")]


def test_every_count_of_the_contract_is_a_column():
    asked = (
        "macs acs synops updates_active updates_idle messages hops weight_reads state_reads state_writes dram_bytes "
        "host_words chip_steps weight_bytes state_bytes state_restores message_bits dense_macs saturated"
    )
    assert set(COUNTS) == set(asked.split())


def test_a_whole_op_counts_survives_json():
    op_counts = OperationCounts(
        method="a", reference="mean_candidate", precision="int8", spiking=True, sequential_steps=3, interleaved_steps=2
    )
    op_counts.add("predictor", LayerCounts(layer="h", synops=5, updates=4, calls=2, dense_macs=9), iteration=1, step=0)
    op_counts.add("selection", LayerCounts(layer="select", updates=4), iteration=1)
    op_counts.add_host_words("candidates", 11)
    op_counts.set_memory("h", weight_bytes=8, state_bytes=6)
    op_counts.actions = 5
    again = OperationCounts.load(json.loads(json.dumps(op_counts.dump())))
    assert again.actions == 5
    for schedule in ("sequential", "interleaved"):
        assert again.rows(schedule) == op_counts.rows(schedule)
    with pytest.raises(UserError, match="counts of version 2; this code reads version 3"):
        OperationCounts.load(op_counts.dump() | {"version": 2})


def test_accesses_by_hand():
    # spiking: a weight a synop; a state read and written an update (3 steps x 4) and a restore (2)
    spikes = OperationCounts(method="s", reference="mean_candidate", precision="int8", spiking=True, sequential_steps=3)
    spikes.add("predictor", LayerCounts(layer="h", synops=50, updates=4, state_restores=2, calls=2), step=0)
    row = spikes.rows("sequential")[0]
    assert (row.weight_reads, row.state_reads, row.state_writes) == (50, 14, 14)
    # dense: 6 x 4 weights once an action (of 5) whatever the 30 predictions; activations 6 in and 4 out a prediction
    dense = OperationCounts(method="d", reference="zero", precision="int8", spiking=False)
    dense.actions = 5
    counts = LayerCounts(layer="h", macs=30 * 24, dense_macs=30 * 24, calls=30, state_reads=180, state_writes=120)
    dense.add("predictor", counts, step=0)
    row = dense.rows("batched")[0]
    assert (row.weight_reads, row.state_reads, row.state_writes) == (24 * 5, 180, 120)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "no operation counts; expected"),
        (whole() | {"format": "csv"}, "no operation counts"),
        (whole() | {"version": 2}, "counts of version 2; this code reads version 3"),
        (whole() | {"version": None}, "counts of version None"),
        (whole() | {"actions": 0}, "actions is 0"),
        (whole() | {"note": 1}, "unknown note beside rows"),
        (whole() | {"actions": 10**400}, "actions is 1000"),
        (whole() | {"actions": 1.5}, "actions is 1.5"),
        (whole() | {"actions": True}, "actions is True"),
        (whole() | {"rows": []}, "without rows"),
        (whole() | {"rows": [3]}, "row 0 is 3"),
        (whole(synops=-1), r"row 0: method 'mine', layer 'h1': synops is -1; a count is a finite number >= 0"),
        (whole(synops=10**400), "synops is 1000.*below 2.63"),
        (whole(macs=1e308), "macs is 1e.308"),
        (whole(synops=float("nan")), "synops is nan"),
        (whole(macs=float("inf")), "macs is inf"),
        (whole(macs="3"), "macs is '3'"),
        (whole(hops=-2), "hops is -2"),
        (whole(synop=3), "row 0 has unknown synop"),
        (whole(version=3), "unknown version"),
        (whole(phase="thinking"), "phase 'thinking' is unknown"),
        (whole(reference="time"), "reference 'time' is unknown; use one of zero, "),
        (whole(precision="int3"), "precision 'int3' is unknown"),
        (whole(schedule="daily"), "schedule 'daily' is unknown"),
        (whole(layer=3), "layer is 3; expected text"),
        (whole(iteration=-1), "iteration is -1"),
        ({**whole(), "rows": [{"method": "mine"}]}, "row 0 needs phase, layer, schedule"),
    ],
)
def test_what_is_no_op_counts_is_refused(found: object, message: str):
    with pytest.raises(UserError, match=message) as caught:
        load_rows(found)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_refused(tmp_path: Path):
    path = tmp_path / "x.json"
    with pytest.raises(UserError, match="no operation counts"):
        read_rows(path)
    path.write_text("{")
    with pytest.raises(UserError, match="x.json: no operation counts"):
        read_rows(path)
