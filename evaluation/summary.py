"""summary.json: the figures that a run is judged by, a function of its rows. A field that was not measured is not written."""

from __future__ import annotations

from dataclasses import dataclass, field

from spikeplan.evaluation.rows import Interval

Value = bool | int | float | str | dict[str, float] | None  # of a target, as it was found


@dataclass(frozen=True, kw_only=True)
class MethodSummary:
    """One method of one task. Operations are per action, of the interleaved schedule where there is one.

    `density`: share of the dense MACs by reference, on recorded plans. The last block is of the Lava loop and replay.
    """

    planner_name: str | None = None
    episodes: int | None = None
    seeds: int | None = None
    success: float | None = None
    ci95: Interval | None = None
    paired_vs_dense: Interval | None = None
    reference: str | None = None
    threshold: float | None = None
    synop_share: float | None = None
    macs_per_action: float | None = None
    synops_per_action: float | None = None
    neuron_updates_per_action: float | None = None
    synop_equivalents_per_action: float | None = None
    synop_equivalents_by_schedule: dict[str, float] | None = None
    update_floor_per_action: float | None = None
    latent_nmse: float | None = None
    spearman: float | None = None
    topk_overlap: float | None = None
    density: dict[str, float] | None = None

    values_compared: int | None = None
    values_different: int | None = None
    nonzero_share: dict[str, dict[str, float]] | None = None
    plans: int | None = None
    plan_seconds: float | None = None
    saturated: int | None = None
    messages_per_pass: dict[str, float] | None = None
    drift_from_floating: list[float] | None = None
    drift_from_dense: list[float] | None = None


@dataclass(frozen=True, kw_only=True)
class EnergySummary:
    """Joules of an action on one device, whole loop, scope system, in the cheapest placement where there is one."""

    scope: str
    low: float
    nominal: float
    high: float
    unit: str
    evidence: str
    latency_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class AdmissionSummary:
    """The best success of each level of planning, and whether the task needs its planner."""

    full: float
    budget5: float
    greedy: float
    policy: float | None = None
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure that was asked for. `holds`: None where it was not measured."""

    name: str
    goal: str
    value: Value
    holds: bool | None


@dataclass(frozen=True, kw_only=True)
class TaskSummary:
    """`energy`: device -> method. `dense`, `spiking`: names of the two methods that the task's comparison is between."""

    dense: str = "dense"
    spiking: str = "sigma_delta"
    methods: dict[str, MethodSummary] = field(default_factory=dict)
    admission: AdmissionSummary | None = None
    energy: dict[str, dict[str, EnergySummary]] = field(default_factory=dict)
    verdict: str | None = None
    targets: list[Target] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """`seconds`: of this call; `core_seconds`: of all episodes, those of a resumed run included."""

    episodes: int | None = None
    seeds: int | None = None
    seconds: float | None = None
    core_seconds: float | None = None
    left_out: str | None = None
    tasks: dict[str, TaskSummary] = field(default_factory=dict)
