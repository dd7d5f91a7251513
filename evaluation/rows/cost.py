"""What a method costs: operation counts and energy, with the points of the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikeplan.core.counts.operations import OperationCounts
from spikeplan.core.format import Interval
from spikeplan.evaluation.replicas import StoredPlacement
from spikeplan.evaluation.rows.codec import Row
from spikeplan.placement.hops import MessageHops


@dataclass(frozen=True, kw_only=True)
class PointEnergy:
    """Joules of a point on one device, scope system; a spiking point on its chip also names the placement that takes least,
    and in `by_host` the same with the encoder on each opponent's device."""

    low: float
    nominal: float
    high: float
    replicas: int | None = None
    spread: int | None = None
    cores: int | None = None
    by_host: dict[str, PointEnergy] | None = None


@dataclass(frozen=True, kw_only=True)
class FrontRow(Row):
    """A point of the front, on the first planner seed's episodes. `episodes_won`: a digit an episode, 1 where it was won."""

    kind: ClassVar[str] = "front"
    method: str
    family: str
    budget: str
    reference: str
    threshold: float | None
    success: float
    role: str
    ci95: Interval
    paired_vs_dense: Interval
    episodes: int
    episodes_won: str
    schedule: str
    synop_equivalents: float
    joules: dict[str, PointEnergy]


@dataclass(frozen=True, kw_only=True)
class OpCountsRow(Row):
    """The operations of a run, so that its energy can be asked again on devices that it did not know.

    `hops`: of a spiking network's messages where it is placed; `placements`: of several replicas.
    """

    kind: ClassVar[str] = "op_counts"
    once: ClassVar[bool] = True
    method: str
    family: str
    budget: str
    reference: str
    threshold: float | None
    role: str
    success: float
    episodes: int
    ci95: Interval
    paired_vs_dense: Interval | None
    evaluations: int
    samples: int
    op_counts: OperationCounts
    hops: MessageHops | None = None
    placements: tuple[StoredPlacement, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EnergyRow(Row):
    """Energy of a run on one device. `latency_s`: seconds an action, None where the device states none."""

    kind: ClassVar[str] = "energy"
    device: str
    method: str
    scope: str
    extent: str
    schedule: str
    low: float
    nominal: float
    high: float
    unit: str
    evidence: str
    latency_s: float | None


@dataclass(frozen=True, kw_only=True)
class EnergyRefusedRow(Row):
    """Why the catalogue gives no energy of a method on a device."""

    kind: ClassVar[str] = "energy_refused"
    device: str
    method: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PlacedEnergyRow(Row):
    """Energy of a whole planning loop as it was placed on a chip."""

    kind: ClassVar[str] = "energy_placed"
    device: str
    method: str
    budget: str
    extent: str
    schedule: str
    replicas: int
    cores: int
    chips: int
    scope: str
    low: float
    nominal: float
    high: float
    unit: str
    evidence: str
    latency_s: float | None


@dataclass(frozen=True, kw_only=True)
class BreakEvenRow(Row):
    """s*: the density below which spikes win, as its terms are taken off."""

    kind: ClassVar[str] = "break_even"
    device: str
    first_term: float
    update_term: float
    static_term: float
    s_star: float
