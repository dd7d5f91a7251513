"""What a method costs on a device, as a function of the catalogue, so that a draw of its figures gives a draw of energies.

Spiking methods have one neurocore a layer and one replica, and idle neurons are not charged, unless the method comes with a
placement of several replicas on one Loihi 2, which is charged in full. Their encoder runs on `host`. A pair of
methods is priced with the opponent's device as host, so that both pay the same encoder at the same constants. On the CPU, whose
rates are measured in fp32, the encoder is charged in fp32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeplan import energy
from spikeplan.core.counts.operations import CountRow, per_action
from spikeplan.core.errors import UserError
from spikeplan.energy.catalogue import Catalogue
from spikeplan.energy.loihi import split, static_figure
from spikeplan.evaluation.pricing.runs import PricedRun
from spikeplan.evaluation.replicas import DEVICE, StoredPlacement

HOST = "orin_nano"


@dataclass(frozen=True, kw_only=True)
class Pricing:
    catalogue: Catalogue
    cpu: energy.CpuPeak | None = None
    refused: dict[str, str] = field(default_factory=dict)  # method and device: why it could not be priced
    known: dict[tuple[int, str, str, str], energy.Energy | None] = field(default_factory=dict)

    @property
    def spiking(self) -> list[str]:
        return [name for name, device in self.catalogue.devices.items() if device.spiking]

    @property
    def dense(self) -> list[str]:
        return [name for name, device in self.catalogue.devices.items() if not device.spiking]

    def setup(
        self, method: PricedRun, device: str, schedule: str, host: str, *, extent: str, catalogue: Catalogue
    ) -> energy.Setup:
        """Chips of single bits are let carry graded messages, labelled: refusing would leave them out of the comparison."""
        placement = placement_on(method, device, extent)
        chip = catalogue.device(device)
        graded = method.spiking and not self.catalogue.device(device).graded_messages
        on_cpu = self.cpu if method.spiking and self.catalogue.device(host).kind == "cpu" else None
        return energy.Setup(
            cpu=self.cpu,
            assume_graded=graded,
            host_device=host,
            assume_precision=None if on_cpu is None else on_cpu.precision,
            time_s=None if placement is None else placement.time_s(chip, schedule),
        )

    def rows(self, method: PricedRun, device: str, schedule: str, extent: str = "loop") -> list[CountRow]:
        rows, placement = method.rows(schedule), placement_on(method, device, extent)
        if placement is not None:
            return placement.rows(rows, method.op_counts.actions, schedule)
        return method.on(self.catalogue.device(device).kind, rows, extent)

    def price(
        self,
        method: PricedRun,
        device: str,
        schedule: str,
        *,
        scope: str = "system",
        extent: str = "loop",
        host: str = HOST,
        batch: int | None = None,
        catalogue: Catalogue | None = None,
        rows: Sequence[CountRow] | None = None,
    ) -> energy.Energy:
        """`rows`: those of this method on this device, where the caller has them."""
        if rows is None:
            rows = self.rows(method, device, schedule, extent)
        catalogue = catalogue or self.catalogue
        setup = self.setup(method, device, schedule, host, extent=extent, catalogue=catalogue)
        return energy.estimate(
            device,
            rows,
            method.op_counts.actions,
            scope=scope,
            extent=extent,
            batch=batch,
            setup=setup,
            catalogue=catalogue,
        )

    def equivalents(self, method: PricedRun, device: str, schedule: str) -> float:
        """Synop-equivalents an action of the rows that are priced there, those that a placement adds among them."""
        return per_action(self.rows(method, device, schedule), method.op_counts.actions)

    def maybe(self, method: PricedRun, device: str, schedule: str, host: str = HOST) -> energy.Energy | None:
        """Scope system, whole loop; None where the device cannot run this method or lacks a figure; why is kept."""
        key = (id(method), device, schedule, host)
        if key not in self.known:
            try:
                self.known[key] = self.price(method, device, schedule, host=host)
            except UserError as error:
                self.refused[f"{method.method} on {device}"] = str(error)
                self.known[key] = None
        return self.known[key]

    def best_placement(self, method: PricedRun, device: str, schedule: str) -> PricedRun:
        """The method in the placement that is cheapest there; as it is where the run kept none for this device."""
        options = on_chip([method], device) if method.spiking else [method]
        return min(options, key=lambda one: self.price(one, device, schedule).nominal)

    def nominal(self, method: PricedRun, device: str, schedule: str, host: str = HOST) -> Callable[[Catalogue], Any]:
        rows = self.rows(method, device, schedule)

        def of(catalogue: Catalogue) -> Any:
            return self.price(method, device, schedule, host=host, catalogue=catalogue, rows=rows).nominal

        return of

    def waiting(
        self, method: PricedRun, device: str, schedule: str, host: str = HOST
    ) -> Callable[[Catalogue], Any] | None:
        """Scope system plus the idle power of a GPU that waits, on either side of a pair: a dense method's for its next
        kernel, and the host's of a spiking method for its encoder's kernels and then for the chip, whose static power runs
        on through the former. None where the GPU's idle power or the chip's time is not known."""
        gpu = host if method.spiking else device
        rows, actions = method.rows(schedule), method.op_counts.actions
        if method.spiking:
            rows = split(self.catalogue.device(device), rows)[1]
            if not any(row.macs or row.acs for row in rows):
                return self.nominal(method, device, schedule, host)  # nothing is left to a host
            if self.price(method, device, schedule, host=host).latency_s is None:
                return None
        if not {"t_launch", "p_idle"} <= self.catalogue.device(gpu).figures.keys():
            return None

        def of(catalogue: Catalogue) -> Any:
            bound = energy.launch_bound(catalogue.device(gpu), rows, actions)
            assert bound is not None and bound.idle_j is not None
            if not method.spiking:
                return bound.idle_j.nominal
            e, wait_s = self.price(method, device, schedule, host=host, catalogue=catalogue), bound.wait_s.nominal
            assert e.latency_s is not None
            chip, idle_W = catalogue.device(device), catalogue.device(gpu).figure("p_idle").band.nominal
            chip_s = e.latency_s - (bound.latency_s.nominal - wait_s)
            chips = chip.figure("chips").band.nominal if "chips" in chip.figures else 1
            static_W = static_figure(chip, float(np.median(chips))).band.nominal if "p_static" in chip.figures else 0.0
            return e.nominal + idle_W * (chip_s + wait_s) + static_W * chips * wait_s

        return of


def placement_on(method: PricedRun, device: str, extent: str = "loop") -> StoredPlacement | None:
    """The placement that this method is priced with there; a placement holds the whole loop."""
    return method.placement if device == DEVICE and extent == "loop" else None


def placement_fields(method: PricedRun, device: str) -> dict[str, int | None]:
    """Replicas, spread and cores that a row names; None where it is not placed."""
    placement = placement_on(method, device)
    return {name: None if placement is None else getattr(placement, name) for name in ("replicas", "spread", "cores")}


def on_chip(methods: Sequence[PricedRun], chip: str) -> list[PricedRun]:
    """The spiking methods, each in every placement that the run kept for this chip, where it kept some."""
    spiking = [method for method in methods if method.spiking]
    return [one for method in spiking for one in ((chip == DEVICE and method.placed) or (method,))]


def gains(spiking: float, dense: float, spiking_ops: float, dense_ops: float) -> dict[str, float]:
    """Dense over spiking: how many fewer operations (algorithm) and how much less energy each (hardware); their product is
    the ratio of energies. Synop-equivalents count a dense MAC as one."""
    return {
        "ratio": spiking / dense,
        "algorithm_gain": dense_ops / spiking_ops,
        "hardware_gain": (dense / dense_ops) / (spiking / spiking_ops),
    }
