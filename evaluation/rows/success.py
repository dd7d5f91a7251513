"""What a method reaches: success, its front, the admission test, episodes in Lava."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spikeplan.core.format import Interval
from spikeplan.evaluation.rows.codec import Row


@dataclass(frozen=True, kw_only=True)
class MethodRow(Row):
    """Success and operations of one method at its full budget. Operations are None for a method without a network.

    `equivalents`: synop-equivalents by schedule; `floor`: what updates alone cost; `by_phase`: of the last schedule.
    """

    kind: ClassVar[str] = "method"
    method: str
    planner_name: str | None  # None for a method that does not plan
    reference: str
    threshold: float | None
    episodes: int
    seeds: int
    success: float
    ci95: Interval
    paired_vs_dense: Interval | None
    synop_share: float | None
    seconds: float
    per_action: dict[str, float] | None
    equivalents: dict[str, float] | None
    equivalents_without_restores: dict[str, float] | None = None
    equivalents_predictor: dict[str, float] | None = None
    floor: float | None = None
    by_phase: dict[str, float] | None = None


@dataclass(frozen=True, kw_only=True)
class LavaLoopRow(Row):
    """Whole episodes planned by the Lava loop, every plan compared with the integer reference. Drift is by rollout step."""

    kind: ClassVar[str] = "lava_loop"
    reference: str
    threshold: float
    episodes: int
    seeds: int
    success: float
    ci95: Interval
    plans: int
    values_compared: int
    values_different: int
    plan_seconds: float
    saturated: int
    messages_per_pass: dict[str, float]
    drift_from_floating: list[float]
    drift_from_dense: list[float]


@dataclass(frozen=True, kw_only=True)
class AdmissionLevel:
    """`name`: full, budget5 (a twentieth of the evaluations), greedy (a horizon of 1) or policy (no planning at all)."""

    name: str
    budget: str
    success: float
    ci95: Interval


@dataclass(frozen=True, kw_only=True)
class AdmissionRow(Row):
    """Does the task need planning? The best success of each level, and whether both others lie 20 points below `full`."""

    kind: ClassVar[str] = "admission"
    rows: list[AdmissionLevel]
    full: float
    budget5: float
    greedy: float
    policy: float | None = None  # None: the run had no policy
    holds: bool


@dataclass(frozen=True, kw_only=True)
class EpisodeRow(Row):
    """The first episode: poses (step, P), start (P), goal (P), layout (L).

    `imagined`: poses of a policy's copies in the model, (step, copy, imagined step, P), and `winners`: which copy was the
    cheapest; None where no policy imagines.
    """

    kind: ClassVar[str] = "episode"
    method: str
    poses: list[list[float]]
    start: list[float]
    goal: list[float]
    layout: list[float]
    success: bool
    imagined: list[list[list[list[float]]]] | None = None
    winners: list[int] | None = None
