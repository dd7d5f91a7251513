"""The measuring command: what is read is labelled measured, what is not is a row that says why."""

from __future__ import annotations

import json

import pytest
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.energy.band import Band
from spikeplan.energy.meter import Measured, NotReadable
from spikeplan.evaluation.shard import bundle_of
from spikeplan.experiments.bench import measure_energy as energy_measure
from spikeplan.experiments.bench.measure_energy import DensePlan, measure_command, measure_planner, row_of


class Counter:
    """3 J at every reading."""

    name = "counter"

    def __init__(self) -> None:
        self.total = 0.0

    def joules(self) -> float:
        self.total += 3.0
        return self.total


def unreadable():
    raise NotReadable("NVML: no GPU")


@pytest.fixture
def places(monkeypatch):
    monkeypatch.setattr(energy_measure, "PLACES", {"cpu": lambda: (Counter(), "cpu"), "gpu": unreadable})


def test_rows(places, capsys):
    cpu, gpu = measure_planner("two-room", 0.02)
    model = bundle_of("two-room", None, None).model
    passes = model.planner.samples * model.planner.iterations * model.planner.horizon
    assert cpu["macs"] == passes * sum(layer.weight.numel() for layer in model.predictor.linears())
    assert cpu["evidence"] == "measured"
    assert cpu["gross_J"] == pytest.approx(3.0)
    assert cpu["runs"] >= 1
    assert gpu == {"place": "gpu", "evidence": "not readable here", "note": "NVML: no GPU"}
    measure_command(task="two-room", seconds=0.02, json="-", console=Console(quiet=True))
    assert [row["place"] for row in json.loads(capsys.readouterr().out)] == ["cpu", "gpu"]
    measure_command(task="two-room", seconds=0.02, json=None, console=Console(width=200))
    assert "not readable here" in capsys.readouterr().out


def test_energy_a_mac_is_net_of_idle_or_not_given():
    found = Measured(meter="m", runs=4, seconds=0.5, gross_J=10.0, idle_W=Band(2.0, 3.0, 4.0))
    row = row_of("cpu", 10**12, found)
    assert row["net_J"] == {"low": 8.0, "nominal": 8.5, "high": 9.0}
    assert row["pJ_per_mac"] == pytest.approx(8.5)
    busy = Measured(meter="m", runs=4, seconds=0.5, gross_J=1.9, idle_W=Band(2.0, 3.0, 4.0))
    assert row_of("cpu", 10**12, busy)["pJ_per_mac"] is None
    assert row_of("cpu", 10**12, busy)["note"] == "not told apart from idle"


def test_this_machine_is_asked_honestly():
    """Whatever it has: a measurement, or a reason."""
    for row in measure_planner("two-room", 0.05):
        assert row["evidence"] in ("measured", "not readable here")
        assert row["note"]


def test_bad_seconds_are_refused():
    with pytest.raises(UserError, match="--seconds 0"):
        measure_planner("two-room", 0)


def test_the_work_is_the_planners():
    model = bundle_of("two-room", None, None).model
    plan, calls = DensePlan(model.predictor, model.planner), []
    plan.predictor.register_forward_hook(lambda _m, given, _o: calls.append(tuple(given[0].shape)))
    plan()
    planner = model.planner
    assert calls == [(1, planner.samples, model.predictor.latent_dim)] * planner.iterations * planner.horizon
