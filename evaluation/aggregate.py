"""From shard results to figures per method: success with intervals, operations per action, energy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.counts.operations import OperationCounts, per_action
from spikeplan.evaluation.intervals import paired, success_interval
from spikeplan.evaluation.iso_success import family_of
from spikeplan.evaluation.methods import METHODS, Method
from spikeplan.evaluation.rows import MethodRow
from spikeplan.evaluation.rows.shard_result import ShardResult
from spikeplan.evaluation.shard import Job

FIELDS = (
    "macs",
    "acs",
    "synops",
    "updates",
    "updates_active",
    "state_restores",
    "messages",
    "message_bits",
    "host_words",
    "chip_steps",
    "saturated",
)


@dataclass
class Run:
    """All shards of one method at one budget: success (seeds, episodes) and the merged op_counts."""

    job: Job
    success_KN: NDArray[np.float64]
    op_counts: OperationCounts | None
    seconds: float
    poses: list[Any] | None
    weights_left: dict[str, int] = field(default_factory=dict)

    family: str = ""  # of the method, or of the reading that this is

    @property
    def method(self) -> Method:
        return METHODS[self.job.method]

    @property
    def spiking(self) -> bool:
        return self.op_counts is not None and self.op_counts.spiking

    @property
    def schedules(self) -> tuple[str, ...]:
        return ("sequential", "interleaved") if self.spiking else ("batched",)


def group(results: Iterable[ShardResult], jobs: Iterable[Job]) -> list[Run]:
    """Merge the shards of each (task, method, role, budget, reference, threshold, planner, cost, trained files)."""
    groups: dict[tuple[Any, ...], list[tuple[Job, ShardResult]]] = defaultdict(list)
    for job, result in zip(jobs, results, strict=True):
        point = (job.task, job.method, job.role, job.planner, job.reference, job.threshold, job.with_planner, job.cost)
        groups[(*point, job.checkpoint, job.artifact)].append((job, result))
    runs = []
    for members in groups.values():
        first = members[0][0]
        seeds = sorted({job.seed for job, _ in members})
        success = np.zeros((len(seeds), max(job.first + job.count for job, _ in members)))
        poses = None
        for job, result in members:
            success[seeds.index(job.seed), job.first : job.first + job.count] = result.success
            poses = poses or result.poses
        op_counts = _merged(result.op_counts for _, result in members)
        seconds = sum(result.seconds for _, result in members)
        family = family_of(first.method)
        runs.append(Run(first, success, op_counts, seconds, poses, members[0][1].weights_left, family))
    return runs


def pooled(runs: Sequence[Run]) -> Run:
    """The same point with networks of several training seeds, as one run: (seeds, episodes) of all of them, counts added.

    Raises ValueError for runs of several points.
    """
    first = runs[0]
    points = {(r.job.task, r.job.method, r.job.planner, r.job.reference, r.job.threshold) for r in runs}
    if len(points) > 1 or len({r.success_KN.shape for r in runs}) > 1:
        raise ValueError("runs of several points are not pooled")
    success = np.concatenate([run.success_KN for run in runs])
    op_counts = _merged(run.op_counts for run in runs)
    return replace(first, success_KN=success, op_counts=op_counts, seconds=sum(run.seconds for run in runs))


def _merged(several: Iterable[OperationCounts | None]) -> OperationCounts | None:
    """A sum of its own; None where nothing was counted."""
    total: OperationCounts | None = None
    for counts in several:
        if counts is None:
            continue
        if total is None:
            total = OperationCounts.load(counts.dump())
        else:
            total.merge(counts.dump())
    return total


@dataclass(frozen=True, kw_only=True)
class Operations:
    """The fields of a MethodRow that come of its operation counts."""

    per_action: dict[str, float] | None = None
    equivalents: dict[str, float] | None = None
    equivalents_without_restores: dict[str, float] | None = None
    equivalents_predictor: dict[str, float] | None = None
    floor: float | None = None
    by_phase: dict[str, float] | None = None


def operations(run: Run) -> Operations:
    """Per action: raw operations (interleaved counts for spiking methods) and synop-equivalents by schedule and phase."""
    if run.op_counts is None:
        return Operations()
    actions = run.op_counts.actions
    rows = {schedule: run.op_counts.rows(schedule) for schedule in run.schedules}
    last = rows[run.schedules[-1]]
    phases = sorted({row.phase for row in last})
    return Operations(
        per_action={name: per_action(last, actions, name) for name in FIELDS},
        equivalents={s: per_action(r, actions) for s, r in rows.items()},
        equivalents_without_restores={s: per_action(r, actions, "without_restores") for s, r in rows.items()},
        equivalents_predictor={
            s: per_action([x for x in r if x.phase == "predictor"], actions) for s, r in rows.items()
        },
        floor=10 * per_action(last, actions, "updates") if run.spiking else None,
        by_phase={p: per_action([x for x in last if x.phase == p], actions) for p in phases},
    )


def synop_share(run: Run) -> float | None:
    """Everything counted: all synops of the loop (coding, mean's own pass, distance, selection) over the dense MACs."""
    if run.op_counts is None or not run.spiking:
        return None
    rows = run.op_counts.rows("interleaved")
    dense = sum(c.dense_macs for _, c in run.op_counts.counts("predictor"))
    return sum(row.synops for row in rows) / dense


def method_row(run: Run, dense: Run | None) -> MethodRow:
    """The row of a run; paired with the dense run on the same episodes where there is one."""
    seeds, episodes = run.success_KN.shape
    other = None if dense is None or dense is run else dense.success_KN[:seeds, :episodes]
    return MethodRow(
        task=run.job.task,
        method=run.job.method,
        planner_name=run.job.planner_name,
        reference=run.job.reference,
        threshold=run.job.threshold,
        episodes=episodes,
        seeds=seeds,
        success=float(run.success_KN.mean()),
        ci95=success_interval(run.success_KN),
        paired_vs_dense=None if other is None else paired(run.success_KN, other),
        synop_share=synop_share(run),
        seconds=run.seconds,
        **asdict(operations(run)),
    )
