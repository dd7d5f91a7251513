"""Does a task need its planner? Lesser planners, and a policy that never plans, must fall well below the full one."""

from __future__ import annotations

from spikeplan.core.guided_planning import DirectConfig
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.intervals import success_interval
from spikeplan.evaluation.rows import AdmissionLevel, AdmissionRow
from spikeplan.evaluation.shard import Job

GAP = 0.2  # by which every lesser planner must fall below the full one, or the task needs no planner


def reduced_budgets(full: CEMConfig) -> list[CEMConfig]:
    """5 % of the full budget spent three ways; the admission test takes the best of them."""
    budget = full.evaluations * 0.05
    short = max(1, full.horizon // 2)
    return [
        full.at(samples=max(2, int(budget / (2 * full.horizon))), iterations=2),
        full.at(samples=max(2, int(budget / full.horizon)), iterations=1),
        full.at(samples=max(2, int(budget / (2 * short))), iterations=2, horizon=short),
    ]


def greedy(full: CEMConfig) -> CEMConfig:
    return full.at(horizon=1, chunk=1)


def admission_row(runs: list[Run], dense: Run) -> AdmissionRow:
    """The best dense planner against greedy, the best spending of 5 %, and a policy that does not plan: one planner seed, the
    same episodes."""
    levels = []
    for run in (dense, *(run for run in runs if run.job.role == "admission")):
        name = "full" if run is dense else _level(run.job)
        first = run.success_KN[:1]
        levels.append(
            AdmissionLevel(
                name=name, budget=run.job.planner.label, success=float(first.mean()), ci95=success_interval(first)
            )
        )
    names = dict.fromkeys(level.name for level in levels)
    best = {name: max(level.success for level in levels if level.name == name) for name in names}
    holds = all(round(best["full"] - success, 9) >= GAP for name, success in best.items() if name != "full")
    return AdmissionRow(task=dense.job.task, rows=levels, **best, holds=holds)


def _level(job: Job) -> str:
    """What an admission run stands for."""
    if isinstance(job.planner, DirectConfig):
        return "policy"
    return "greedy" if job.planner.horizon == 1 else "budget5"
