"""The rows of `spikeplan fusion`: what its metrics.jsonl and summary.json hold.

A mean is (mean, low, high) with a 95 % interval over episodes. `gain` is against the best frame-only method of the condition.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from spikeplan.core.json_file import read_json
from spikeplan.evaluation.rows import Interval, KindRow, from_json

Mean = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class FusionRow(KindRow):
    """A row of one condition of the sensors."""

    condition: str


@dataclass(frozen=True, kw_only=True)
class AgeBin:
    """Mean state error while the newest known frame is between `from_s` and `to_s` old."""

    from_s: float
    to_s: float
    error: float
    samples: int


@dataclass(frozen=True, kw_only=True)
class Gain:
    """A method against the best frame-only ones, in distance and in state error. `success` is a paired difference."""

    best_frame_only: str
    distance: Mean
    success: Mean
    best_frame_only_state: str
    state_error: Mean


@dataclass(frozen=True, kw_only=True)
class FusionMethodRow(FusionRow):
    """One estimator in one condition."""

    kind: ClassVar[str] = "method"
    method: str
    success: float
    ci95: Interval
    distance: Mean
    distance_late: Mean
    state_error: Mean
    latent_error: Mean
    by_age: list[AgeBin]
    gain: Gain | None = None


@dataclass(frozen=True, kw_only=True)
class LatencyRow(FusionRow):
    """Milliseconds from the leader's turn until the estimate follows."""

    kind: ClassVar[str] = "latency"
    method: str
    ms: Mean
    paired_vs_fused_ms: Mean


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """An extrapolation chosen on validation episodes: the fields of fusion.estimators.Extrapolation."""

    how: tuple[float, float, int]  # gain, cap in s, frames
    error: float


@dataclass(frozen=True, kw_only=True)
class TunedRow(FusionRow):
    """The extrapolations of both constant-velocity methods."""

    kind: ClassVar[str] = "tuned"
    methods: dict[str, Tuned]


@dataclass(frozen=True, kw_only=True)
class FrontEndRow(FusionRow):
    """What a front end draws on some machines (fusion_study.front_end_energy). Watts are (low, nominal, high)."""

    kind: ClassVar[str] = "front_end"
    front_end: str
    device: str
    events_per_s: float
    frames_per_s: float
    event_density: float
    saturated: int
    macs_per_s: float
    synops_per_s: float
    updates_per_s: float
    steps_per_s: float
    watts: Mean | None
    watts_at_rest: Mean
    watts_cameras: Mean | None


@dataclass(frozen=True, kw_only=True)
class FusionLavaRow(FusionRow):
    """The event encoder in Lava against the integer reference."""

    kind: ClassVar[str] = "lava"
    passes: int
    values_compared: int
    values_different: int
    nonzero_share: dict[str, float]
    first_difference: str | None
    saturated: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A target: the headline method beats the best frame-only method. `holds_...`: the lower bound lies above zero."""

    claim: str
    condition: str
    best_frame_only: str
    distance: Mean
    success: Mean
    state_error: Mean
    holds_distance: bool
    holds_success: bool
    holds_state: bool


@dataclass(frozen=True, kw_only=True)
class FusionSummary:
    """summary.json of the study; `conditions`: name -> its methods."""

    episodes: int
    seeds: int
    headline: str
    success_below: float
    seconds: float
    claims: list[Claim]
    where_events_do_not_help: list[str]
    conditions: dict[str, list[FusionMethodRow]]
    latency: list[LatencyRow]
    front_end: list[FrontEndRow] = field(default_factory=list)
    lava: FusionLavaRow | None = None


def read_summary(folder: Path) -> FusionSummary:
    """Raises ValueError where summary.json is damaged or of another version."""
    return from_json(read_json(folder / "summary.json"), FusionSummary)
