"""Measured rows: read back as they were written, refused where they are damaged, and priced for the plan they are of.

By hand: 12 J gross in 0.5 s over idle 8, 10, 12 W gives 12 - 6, 12 - 5, 12 - 4 = 6, 7, 8 J above idle.
"""

from __future__ import annotations

import json

import pytest

from spikeplan.core.errors import UserError
from spikeplan.energy import default
from spikeplan.energy.measured import MeasuredRow, read_measured, to_file
from spikeplan.energy.measured_prices import (
    as_figures,
    is_device,
    mean_power,
    price,
    same_plan,
    share_of_peak,
    with_measured,
)
from spikeplan.energy.schema import Band


def row(**changes) -> MeasuredRow:
    return MeasuredRow(
        **{
            "device": "NVIDIA GeForce RTX 4090",
            "place": "gpu",
            "way": "fused",
            "task": "two-room",
            "budget": "64x4 H12",
            "precision": "fp32",
            "macs": 10**9,
            "meter": "NVML",
            "runs": 40,
            "seconds": 0.5,
            "gross_J": 12.0,
            "idle_W": Band(8.0, 10.0, 12.0),
            "versions": {"torch": "2.13.0"},
        }
        | changes
    )


def test_above_idle_by_hand():
    assert row().net_J == Band(6.0, 7.0, 8.0) and row().told
    line = row().to_json()
    assert line["net_J"] == {"low": 6.0, "nominal": 7.0, "high": 8.0}
    assert line["pJ_per_mac"] == pytest.approx(7e3)
    assert (line["kind"], line["evidence"]) == ("measured", "measured")
    faint = row(gross_J=5.5)
    assert faint.net_J == Band(-0.5, 0.5, 1.5) and not faint.told
    assert faint.to_json()["pJ_per_mac"] is None and "not told apart" in faint.to_json()["note"]


def test_a_file_comes_back_as_it_was_written(tmp_path):
    rows = (row(), row(way="eager", seconds=0.1 + 0.2, gross_J=1 / 3 + 8, idle_W=Band(1 / 7, 1 / 6, 1 / 3)))
    file = tmp_path / "m.json"
    file.write_text(json.dumps(to_file(rows, {"jetson": "this machine is none"})))
    assert read_measured(file) == rows
    assert json.loads(file.read_text())["rows"][2]["note"] == "this machine is none"


def changed(**fields) -> str:
    """A file whose one row has other fields; None takes one away."""
    line = {name: value for name, value in (row().to_json() | fields).items() if value is not None}
    return json.dumps({"format": "spikeplan-measured", "version": 1, "rows": [line]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "no measured figures"),
        ("[]", "expected .*spikeplan-measured"),
        (changed().replace('"version": 1', '"version": 2'), "version 2; this code reads version 1"),
        (json.dumps(to_file([], {"gpu": "none"})), "nothing could be measured there"),
        (changed(gross_J=None), "row 0 needs gross_J"),
        (changed(watts=3), "row 0 has unknown watts"),
        (changed(gross_J="12"), "gross_J is '12'"),
        (changed(gross_J=float("inf")), "gross_J is inf"),
        (changed(seconds=0), "seconds is 0"),
        (changed(seconds=True), "seconds is True"),
        (changed(macs=1.5), "macs is 1.5"),
        (changed(runs=0), "runs is 0"),
        (changed(way="cached"), "way 'cached' is unknown"),
        (changed(device=""), "device is ''"),
        (changed(idle_W={"low": 1, "nominal": 2}), "idle_W is .* expected low, nominal and high"),
        (changed(idle_W={"low": 12, "nominal": 10, "high": 8}), "order them"),
        (changed(idle_W={"low": -1, "nominal": 0, "high": 1}), "watts >= 0"),
        (changed(gross_J=13.0), r"net_J is \(6.0, 7.0, 8.0\), but gross less idle is \(7.0, 8.0, 9.0\)"),
        (changed(versions={"torch": 2}), "versions is"),
        (json.dumps({"format": "spikeplan-measured", "version": 1, "rows": [7]}), "row 0 is 7"),
    ],
)
def test_damaged_files_are_refused_in_one_line(text, message, tmp_path):
    file = tmp_path / "m.json"
    file.write_text(text)
    with pytest.raises(UserError, match=message) as refused:
        read_measured(file)
    assert str(file) in str(refused.value) and "\n" not in str(refused.value)


def test_no_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="no measured figures"):
        read_measured(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("board", "name"),
    [
        ("NVIDIA GeForce RTX 4090", "rtx4090"),
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "orin_nano"),
        ("NVIDIA Jetson AGX Orin Developer Kit", "agx_orin"),
        ("NVIDIA Jetson AGX Thor Developer Kit", "thor"),
        ("NVIDIA GH100", None),
        ("NVIDIA H200", None),
        ("NVIDIA GeForce RTX 4090D", None),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", None),
        ("NVIDIA H100 PCIe", None),
        ("NVIDIA H100 NVL", None),
    ],
)
def test_a_board_is_one_machine_of_the_catalogue_or_none(board, name):
    devices = default().devices
    found = [each for each in devices if is_device(row(device=board), devices[each])]
    assert found == ([] if name is None else [name])


def test_a_processor_is_the_catalogues_cpu():
    own = row(place="cpu", device="AMD EPYC with an RTX4090 beside it", way="eager")
    assert [name for name, device in default().devices.items() if is_device(own, device)] == ["cpu"]
    assert not is_device(row(), default().device("cpu"))


def test_only_the_same_plan_is_the_same_plan():
    rows = (row(), row(way="graph"), row(macs=10**9 + 1), row(device="NVIDIA H100"))
    assert [each.way for each in same_plan(rows, default().device("rtx4090"), 1e9)] == ["fused", "graph"]


def test_the_price_is_what_was_measured():
    found = price(row(), device="rtx4090")
    assert (found.low, found.nominal, found.high, found.latency_s) == (6.0, 7.0, 8.0, 0.5)
    assert (found.device, found.method, found.extent) == ("rtx4090", "fused fp32", "predictor")
    assert found.evidence.startswith("measured; above idle") and "NVIDIA GeForce RTX 4090" in found.evidence
    with pytest.raises(UserError, match="not told apart from idle"):
        price(row(gross_J=5.5))


def test_mean_watts_at_a_rate_by_hand():
    # Once a second: 8 + 12 - 4, 10 + 12 - 5, 12 + 12 - 6; at 2 Hz it is never idle: 24 W.
    assert mean_power(row(), 1.0) == Band(16.0, 17.0, 18.0)
    assert mean_power(row(), 2.0) == Band(24.0, 24.0, 24.0)
    with pytest.raises(UserError, match="lower the rate"):
        mean_power(row(), 2.1)


def test_the_share_of_the_peak_is_that_of_its_precision():
    device = default().device("rtx4090")
    assert share_of_peak(row(), device) == pytest.approx(2e9 / 0.5 / device.figure("peak_fp32").band.nominal)
    with pytest.raises(UserError, match="peak_tf32 is not available"):
        share_of_peak(row(precision="tf32"), device)


def test_the_catalogue_takes_the_idle_power_and_nothing_else():
    rows = (row(), row(way="eager", idle_W=Band(6.0, 12.0, 20.0)), row(device="NVIDIA H200"))
    catalogue = with_measured(default(), rows)
    idle = catalogue.device("rtx4090").figure("p_idle")
    assert (idle.band, idle.evidence) == (Band(6.0, 11.0, 20.0), "measured")
    assert idle.stated()["value"] == 11.0
    for name, device in default().devices.items():
        kept = {key: figure for key, figure in catalogue.device(name).figures.items() if key != "p_idle"}
        assert kept == {key: figure for key, figure in device.figures.items() if key != "p_idle"}
        assert name == "rtx4090" or catalogue.device(name).figures == device.figures
    thor = row(device="NVIDIA Jetson AGX Thor Developer Kit")
    assert "p_idle" not in with_measured(default(), [thor]).device("thor").unavailable
    assert as_figures([]) == {}
