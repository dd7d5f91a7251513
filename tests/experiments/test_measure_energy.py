"""The measuring command: what is read is labelled measured, what is not is a row that says why."""

from __future__ import annotations

import json

import pytest
import torch
from rich.console import Console

from spikeplan.core.errors import UserError
from spikeplan.energy.band import Band
from spikeplan.energy.measured import MeasuredRow, read_measured
from spikeplan.energy.meter import Measured, NotReadable
from spikeplan.evaluation.shard import bundle_of
from spikeplan.experiments.bench import measure_energy
from spikeplan.experiments.bench.measure_energy import Place, Plan, measure_command, measure_planner, row_of, told
from spikeplan.worldmodel.planning.cem import CEMPlanner
from spikeplan.worldmodel.predictor import DensePredictor

LIMIT = 0.08


class Counter:
    """3 J at every reading."""

    name, device = "counter", "a machine"

    def __init__(self) -> None:
        self.total = 0.0

    def joules(self) -> float:
        self.total += 3.0
        return self.total


def unreadable() -> Place:
    raise NotReadable("NVML: no GPU")


PLACES = {"cpu": lambda: Place(Counter(), "cpu"), "gpu": unreadable}


def plan_of(precision: str = "fp32", device: str = "cpu") -> Plan:
    model = bundle_of("two-room", None, None).model
    return Plan(model.predictor, model.planner, action_limit=LIMIT, precision=precision, device=device)


def test_rows_and_their_file(monkeypatch, tmp_path, capsys):
    (cpu,), why = measure_planner("two-room", 0.02, places=PLACES)
    model = bundle_of("two-room", None, None).model
    passes = model.planner.samples * model.planner.iterations * model.planner.horizon
    assert cpu.macs == passes * sum(layer.weight.numel() for layer in model.predictor.linears())
    assert (cpu.place, cpu.way, cpu.precision, cpu.device) == ("cpu", "eager", "fp32", "a machine")
    assert cpu.gross_J == pytest.approx(3.0)
    assert cpu.runs >= 1 and cpu.versions["torch"].startswith("2.")
    assert why == {"gpu": "NVML: no GPU"}
    monkeypatch.setattr(measure_energy, "PLACES", PLACES)
    file = tmp_path / "m.json"
    measure_command(task="two-room", seconds=0.02, precision="fp32", json=str(file), console=Console(width=200))
    said = capsys.readouterr().out
    assert "gpu: not readable here. NVML: no GPU" in said and "cpu, eager, fp32: measured." in said
    assert [row["place"] for row in json.loads(file.read_text())["rows"]] == ["cpu", "gpu"]
    (again,) = read_measured(file)
    assert (again.macs, again.way, again.task, again.budget) == (cpu.macs, "eager", "two-room", cpu.budget)


def test_energy_a_mac_is_net_of_idle_or_not_given():
    found = Measured(meter="m", runs=4, seconds=0.5, gross_J=10.0, idle_W=Band(2.0, 3.0, 4.0))
    row = row_of("cpu", "eager", "two-room", plan_of(), "a machine", found)
    line = row.to_json()
    assert line["net_J"] == {"low": 8.0, "nominal": 8.5, "high": 9.0}
    assert line["pJ_per_mac"] == pytest.approx(8.5e12 / row.macs)
    busy = Measured(meter="m", runs=4, seconds=0.5, gross_J=1.9, idle_W=Band(2.0, 3.0, 4.0))
    assert "not told apart from idle" in told(row_of("cpu", "eager", "two-room", plan_of(), "a machine", busy))


def test_this_machine_is_asked_honestly():
    """Whatever it has: a measurement, or a reason."""
    rows, why = measure_planner("two-room", 0.05)
    assert {row.place for row in rows} | {place.split(",")[0] for place in why} == {"cpu", "gpu", "jetson"}
    assert all(isinstance(row, MeasuredRow) for row in rows) and all(why.values())


@pytest.mark.parametrize(("asked", "message"), [((0, "fp32"), "--seconds 0"), ((1.0, "int4"), "--precision 'int4'")])
def test_bad_settings_are_refused(asked, message):
    with pytest.raises(UserError, match=message):
        measure_planner("two-room", *asked)


def test_the_work_is_the_planners():
    """The same mean, bit for bit, as the planner that the results are of; on a GPU, too, where torch runs it."""
    plan = plan_of()
    planner = CEMPlanner(DensePredictor(plan.predictor), plan.config, action_dim=2, action_limit=LIMIT)
    assert torch.equal(plan.mean(), planner.plan(plan.latent_BD, plan.goal_BD, plan.noise_BSVA)[1])
    calls = []
    plan.predictor.register_forward_hook(lambda _m, given, _o: calls.append(tuple(given[0].shape)))
    plan.eager()()
    assert calls == [(1, plan.config.samples, 32)] * plan.config.iterations * plan.config.horizon


def test_half_precision_rounds_the_products_alone():
    full, half = plan_of(), plan_of("fp16")
    latent, action = full.latent_BD, full.noise_BSVA[0, 1:2, 0] * LIMIT
    off = (half.predict(latent, action) - full.predict(latent, action)).abs().max()
    assert 1e-7 < off < 1e-2 and half.predict(latent, action).dtype == torch.float32
    assert half.macs == full.macs


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_the_three_ways_run_on_a_gpu():
    """Each between pauses of a counter; the kernel's mean is eager torch's within the rounding of fp32."""
    rows, why = measure_planner("two-room", 0.05, places={"gpu": lambda: Place(Counter(), "cuda")})
    assert [row.way for row in rows] == ["eager", "graph", "fused"] and not why
    plan = plan_of(device="cuda")
    from spikeplan.worldmodel.planning.fused import FusedPlanner

    planner = FusedPlanner(plan.predictor, plan.config, action_limit=LIMIT)
    _, mean, _ = planner.plan(plan.latent_BD, plan.goal_BD, plan.noise_BSVA)
    torch.testing.assert_close(mean, plan.mean(), rtol=1e-4, atol=1e-5 * LIMIT)
