"""Meters on counters that the test moves by hand: a powercap tree in a folder that zeus reads, and NVML's calls. The machine
itself may have neither; then the answer must say so."""

from __future__ import annotations

import importlib
import multiprocessing
import queue
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from spikeplan.core.errors import UserError
from spikeplan.energy.meter import JetsonMeter, NotReadable, NvmlMeter, RaplMeter, measure

RANGE = 1_000_000


@pytest.fixture
def rapl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """zeus, with a folder in the kernel's place."""
    module = importlib.import_module("zeus.device.cpu.rapl")
    monkeypatch.setattr(module, "RAPL_DIR", str(tmp_path / "intel-rapl"))
    monkeypatch.setattr(module, "CONTAINER_RAPL_DIR", str(tmp_path / "none"))
    module.rapl_is_available.cache_clear()
    yield module
    module.rapl_is_available.cache_clear()


@pytest.fixture
def powercap(rapl: ModuleType) -> Path:
    return Path(rapl.RAPL_DIR)


def zone(root: Path, folder: str, name: str, microjoule: int) -> Path:
    (root / folder).mkdir(parents=True)
    (root / folder / "name").write_text(name)
    (root / folder / "max_energy_range_uj").write_text(str(RANGE))
    (root / folder / "energy_uj").write_text(str(microjoule))
    return root / folder / "energy_uj"


class Machine:
    """A clock and a counter: `watt` while something runs, kept in microjoules modulo the counter's range."""

    def __init__(self, counter: Path) -> None:
        self.counter, self.now, self.microjoule = counter, 0.0, int(counter.read_text())

    def spend(self, seconds: float, watt: float) -> None:
        self.now += seconds
        self.microjoule += round(seconds * watt * 1e6)
        self.counter.write_text(str(self.microjoule % RANGE))


def test_idle_is_subtracted_through_wraps(powercap: Path):
    # Idle 2 W before and 4 W after; a run of 0.05 s at 12 W = 0.6 J, more than half of the counter's range of 1 J, so most
    # runs wrap. Net of the mean idle, 3 W: 0.6 - 0.15 = 0.45 J; of 4 and 2 W: 0.4 and 0.5.
    machine = Machine(zone(powercap, "intel-rapl:0", "package-0", 950_000))
    zone(powercap, "intel-rapl:0/intel-rapl:0:0", "core", 0)
    idle = iter((2.0, 4.0))
    found = measure(
        RaplMeter(),
        lambda: machine.spend(0.05, 12.0),
        least_s=0.49,
        idle_s=0.2,
        clock=lambda: machine.now,
        pause=lambda seconds: machine.spend(seconds, next(idle)),
    )
    assert found.runs == 10
    assert found.seconds == pytest.approx(0.05)
    assert found.gross_J == pytest.approx(0.6)
    assert found.idle_W.bounds() == pytest.approx((2.0, 3.0, 4.0))
    assert found.net_J.bounds() == pytest.approx((0.4, 0.45, 0.5))
    assert found.evidence == "measured"


def test_packages_are_added_and_a_counter_that_goes_is_an_error(powercap: Path):
    first = zone(powercap, "intel-rapl:0", "package-0", 0)
    second = zone(powercap, "intel-rapl:1", "package-1", 999_000)
    zone(powercap, "intel-rapl:2", "psys", 0)
    dram = zone(powercap, "intel-rapl:0/intel-rapl:0:1", "dram", 7)
    meter = RaplMeter()
    first.write_text("300")
    second.write_text("200")  # wrapped: 1,200
    dram.write_text("50000")
    assert meter.joules() == pytest.approx(1500e-6)
    assert meter.joules() == pytest.approx(1500e-6)
    second.write_text("900")
    assert meter.joules() == pytest.approx(2200e-6)
    assert not multiprocessing.active_children(), "zeus watches nothing while we measure"
    second.unlink()
    with pytest.raises(NotReadable, match="stopped while measuring"):
        meter.joules()


def test_rapl_that_cannot_be_read_says_why(rapl: ModuleType, powercap: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(NotReadable, match="not supported on this CPU"):
        RaplMeter()
    rapl.rapl_is_available.cache_clear()
    powercap.mkdir()
    with pytest.raises(NotReadable, match="no zone of this machine is a processor's package"):
        RaplMeter()
    counter = zone(powercap, "intel-rapl:0", "package-0", 0)
    counter.write_text("garbage")
    with pytest.raises(NotReadable, match="garbage"):
        RaplMeter()
    counter.unlink()
    with pytest.raises(NotReadable, match="cannot be read here"):
        RaplMeter()
    monkeypatch.setattr(rapl, "RAPLCPUs", lambda: SimpleNamespace(cpus=[object()]))
    with pytest.raises(NotReadable, match="unset ZEUSD_SOCK_PATH"):
        RaplMeter()
    monkeypatch.setitem(sys.modules, "zeus.device.cpu.rapl", None)
    with pytest.raises(NotReadable, match="zeus is not installed .* the extra `rapl`"):
        RaplMeter()


class NVMLError(Exception):
    pass


def nvml(monkeypatch: pytest.MonkeyPatch, *, fail_at: str | None = None) -> list[int]:
    """A stand-in for pynvml with the three calls that the meter makes; returns its counter in millijoules."""
    counter = [5_000]

    def call(name: str, answer: object) -> object:
        def given(*_: object) -> object:
            if name == fail_at:
                raise NVMLError(f"{name}: Not Supported")
            return counter[0] if name == "nvmlDeviceGetTotalEnergyConsumption" else answer

        return given

    names = {
        "nvmlInit": None,
        "nvmlDeviceGetHandleByIndex": "h",
        "nvmlDeviceGetName": b"NVIDIA H200",
        "nvmlDeviceGetTotalEnergyConsumption": 0,
    }
    fake = SimpleNamespace(NVMLError=NVMLError, **{name: call(name, answer) for name, answer in names.items()})
    monkeypatch.setitem(sys.modules, "pynvml", fake)
    return counter


def test_nvml_counts_from_its_start(monkeypatch: pytest.MonkeyPatch):
    counter = nvml(monkeypatch)
    meter = NvmlMeter()
    assert (meter.name, meter.device) == ("NVML, NVIDIA H200", "NVIDIA H200")
    counter[0] += 1_250
    assert meter.joules() == pytest.approx(1.25)


@pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetHandleByIndex", "nvmlDeviceGetTotalEnergyConsumption"])
def test_nvml_that_cannot_be_read_says_why(monkeypatch: pytest.MonkeyPatch, call: str):
    nvml(monkeypatch, fail_at=call)
    with pytest.raises(NotReadable, match=f"GPU 0 shows no energy counter here .*{call}: Not Supported"):
        NvmlMeter()


def test_without_the_binding_nvml_says_which_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(NotReadable, match="nvidia-ml-py is not installed .* the extra `gpu`"):
        NvmlMeter()


@pytest.fixture
def jetson(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """zeus on a Jetson: its monitor answers what the test sets, in millijoules."""
    module = importlib.import_module("zeus.device.soc.jetson")
    rail = SimpleNamespace(total_energy_mj=2_000.0, error=None)

    class Monitor:
        def get_total_energy_consumption(self) -> SimpleNamespace:
            if rail.error is not None:
                raise rail.error
            return rail

    monkeypatch.setattr(module, "jetson_is_available", lambda: True)
    monkeypatch.setattr(module, "Jetson", Monitor)
    return rail


def test_a_jetson_counts_its_module_from_its_start(jetson: SimpleNamespace):
    meter = JetsonMeter()
    assert meter.joules() == 0
    jetson.total_energy_mj += 750.0
    assert meter.joules() == pytest.approx(0.75)
    assert meter.device
    jetson.error = queue.Empty()
    with pytest.raises(NotReadable, match="answers no more"):
        meter.joules()


def test_a_jetson_without_a_rail_of_the_whole_module_says_so(jetson: SimpleNamespace):
    jetson.total_energy_mj = None
    with pytest.raises(NotReadable, match="GPU and CPU alone leave out memory"):
        JetsonMeter()


def test_what_is_no_jetson_says_why(monkeypatch: pytest.MonkeyPatch):
    module = importlib.import_module("zeus.device.soc.jetson")
    monkeypatch.setattr(module, "jetson_is_available", lambda: False)
    with pytest.raises(NotReadable, match="this machine is none"):
        JetsonMeter()
    monkeypatch.setattr(module, "jetson_is_available", lambda: True)

    def refused() -> None:
        raise importlib.import_module("zeus.device.soc.common").ZeusSoCInitError("no monitor")

    monkeypatch.setattr(module, "Jetson", refused)
    with pytest.raises(NotReadable, match="cannot be read here .no monitor."):
        JetsonMeter()
    monkeypatch.setitem(sys.modules, "zeus.device.soc.jetson", None)
    with pytest.raises(NotReadable, match="zeus is not installed .* the extra `rapl`"):
        JetsonMeter()


def test_a_pause_of_nothing_is_refused(powercap: Path):
    zone(powercap, "intel-rapl:0", "package-0", 0)
    with pytest.raises(UserError, match="0 s of idle"):
        measure(RaplMeter(), lambda: None, idle_s=0)
