"""Joules measured, with idle subtracted: RAPL for the processor's packages, NVML for one GPU, a Jetson's own power monitor.

    idle   P_idle = J / t of a pause, once before and once after the work: its band
    work   gross = J / runs,     net = gross - P_idle t / runs

A meter is a counter of Joules that only grows; wraps are unrolled as long as it is read once between two of them, and it is
read after every run. Net of idle is what the work adds to a machine that is on anyway; gross is what the machine drew, other
people's work included. Where a counter cannot be read there is `NotReadable` with the reason, never an estimate.

RAPL is read through zeus (the extra `rapl`; You et al., NSDI 2023), NVML through NVIDIA's own binding, nvidia-ml-py (the extra
`gpu`): the energy counter that GPUs have since Volta, in millijoules. A Jetson has no counter but a monitor of watts (INA3221);
zeus adds them up in a process of its own, ten times a second, in the pauses as in the work, so it cancels.
"""

from __future__ import annotations

import platform
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from spikeplan.core.errors import UserError
from spikeplan.energy.band import Band


class NotReadable(Exception):
    """This machine has no such counter or does not show it; the text says why and what would help."""


class Meter(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def device(self) -> str:
        """What is measured, as it names itself."""
        ...

    def joules(self) -> float:
        """Since the meter was made; never less than the last time."""


class RaplMeter:
    """All packages together; their parts, the memory beside them and the platform are not added again.

    zeus finds the zones and says why they cannot be read; the counters it names are read here. Its own reading would start a
    process a zone that watches for wraps, in the midst of the idle pause, and reports them late.
    """

    name = "RAPL, all packages (zeus)"

    def __init__(self) -> None:
        try:
            rapl = import_module("zeus.device.cpu.rapl")
            failures = (import_module("zeus.device.exception").ZeusBaseCPUError, OSError, ValueError)
        except ImportError as error:
            raise NotReadable(f"RAPL: zeus is not installed ({error}); it is the extra `rapl`") from error
        try:
            zones = [getattr(cpu, "rapl_file", None) for cpu in rapl.RAPLCPUs().cpus]
        except failures as error:
            raise NotReadable(f"RAPL cannot be read here ({error})") from error
        if None in zones:
            raise NotReadable("RAPL: zeus is set to ask its daemon, whose steps are not known; unset ZEUSD_SOCK_PATH")
        self.packages = [zone for zone in zones if zone is not None and zone.name.startswith("package")]
        if not self.packages:
            raise NotReadable("RAPL: no zone of this machine is a processor's package")
        self.device = _processor()
        self.last, self.total = self._read(), 0

    def joules(self) -> float:
        now = self._read()
        self.total += sum(
            (end - start) % round(zone.max_energy_range_uj)
            for zone, start, end in zip(self.packages, self.last, now, strict=True)
        )
        self.last = now
        return self.total * 1e-6

    def _read(self) -> list[int]:
        """Microjoules."""
        try:
            return [int(Path(zone.energy_uj_path).read_text()) for zone in self.packages]
        except (OSError, ValueError) as error:
            raise NotReadable(f"RAPL: a counter stopped while measuring ({error})") from error


class NvmlMeter:
    """One GPU's board, from the driver's energy counter."""

    def __init__(self, index: int = 0) -> None:
        try:
            self.nvml: Any = import_module("pynvml")
        except ImportError as error:
            raise NotReadable(f"NVML: nvidia-ml-py is not installed ({error}); it is the extra `gpu`") from error
        try:
            self.nvml.nvmlInit()
            self.handle = self.nvml.nvmlDeviceGetHandleByIndex(index)
            self.device = _text(self.nvml.nvmlDeviceGetName(self.handle))
            self.name = f"NVML, {self.device}"
            self.first = self._read()
        except self.nvml.NVMLError as error:
            raise NotReadable(f"NVML: GPU {index} shows no energy counter here ({error})") from error

    def joules(self) -> float:
        try:
            return (self._read() - self.first) * 1e-3
        except self.nvml.NVMLError as error:
            raise NotReadable(f"NVML: the counter stopped while measuring ({error})") from error

    def _read(self) -> int:
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle))


class JetsonMeter:
    """A Jetson's whole module: its input rail, GPU, CPU and memory together."""

    name = "INA3221, the module's input (zeus)"

    def __init__(self) -> None:
        try:
            jetson = import_module("zeus.device.soc.jetson")
            failures = (import_module("zeus.device.soc.common").ZeusSoCInitError, OSError, ValueError)
        except ImportError as error:
            raise NotReadable(f"Jetson: zeus is not installed ({error}); it is the extra `rapl`") from error
        if not jetson.jetson_is_available():
            raise NotReadable("Jetson: this machine is none")
        try:
            self.monitor: Any = jetson.Jetson()
        except failures as error:
            raise NotReadable(f"Jetson: its power monitor cannot be read here ({error})") from error
        self.device = _board()
        self.first = self._read()

    def joules(self) -> float:
        return (self._read() - self.first) * 1e-3

    def _read(self) -> float:
        """Millijoules."""
        try:
            found = self.monitor.get_total_energy_consumption().total_energy_mj
        except (queue.Empty, OSError) as error:
            raise NotReadable(f"Jetson: the power monitor answers no more ({type(error).__name__})") from error
        if found is None:
            raise NotReadable(
                "Jetson: the power monitor has no rail of the whole module; GPU and CPU alone leave out memory"
            )
        return float(found)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of the work on average. `net_J` may be negative where the work cannot be told from idle."""

    meter: str
    runs: int
    seconds: float
    gross_J: float
    idle_W: Band
    evidence: str = "measured"

    @property
    def net_J(self) -> Band:
        return Band(*(self.gross_J - watt * self.seconds for watt in reversed(self.idle_W.bounds())))


def measure(
    meter: Meter,
    work: Callable[[], object],
    *,
    least_s: float = 2.0,
    idle_s: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
    pause: Callable[[float], object] = time.sleep,
) -> Measured:
    """Runs `work` until `least_s` have passed, between two pauses of `idle_s`. `work` must have finished when it returns: a
    GPU's queue is waited for inside it. Counters tick in milliseconds (RAPL) or tens of them (NVML): seconds are needed."""
    if not (least_s > 0 and idle_s > 0):
        raise UserError(f"measure: {least_s} s of work and {idle_s} s of idle; both must be > 0")
    work()  # warm: caches, threads, clocks
    before = _idle(meter, idle_s, clock, pause)
    runs, start, joules = 0, clock(), meter.joules()
    while clock() - start < least_s:
        work()
        runs += 1
        after = meter.joules()
    seconds = clock() - start
    idle = sorted((before, _idle(meter, idle_s, clock, pause)))
    return Measured(
        meter=meter.name,
        runs=runs,
        seconds=seconds / runs,
        gross_J=(after - joules) / runs,
        idle_W=Band(idle[0], sum(idle) / 2, idle[1]),
    )


def _idle(meter: Meter, idle_s: float, clock: Callable[[], float], pause: Callable[[float], object]) -> float:
    start, joules = clock(), meter.joules()
    pause(idle_s)
    return (meter.joules() - joules) / (clock() - start)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _processor() -> str:
    """The model as Linux names it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names and names[0] else platform.machine()


def _board() -> str:
    try:
        return Path("/proc/device-tree/model").read_text().strip("\0 \n")
    except OSError:
        return "NVIDIA Jetson"
