"""summary.json from metric rows: per task and method what was asked for, the verdict, and the targets with their figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from spikeplan.core.counts.operations import REFERENCES
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.rows import (
    AdmissionRow,
    AgreementRow,
    EnergyRow,
    FrontRow,
    LavaLoopRow,
    LavaReplayRow,
    MethodRow,
    PlacedEnergyRow,
    Row,
    rows_of_kind,
)
from spikeplan.evaluation.summary import (
    AdmissionSummary,
    EnergySummary,
    MethodSummary,
    Summary,
    Target,
    TaskSummary,
    Value,
)
from spikeplan.evaluation.verdict import verdict
from spikeplan.experiments.main_study.contenders import contenders
from spikeplan.experiments.main_study.grid import Size
from spikeplan.worldmodel.tasks import task_of

LEVELS = ("full", "budget5", "greedy", "policy")


def summarise(rows: Sequence[Row], size: Size, *, seconds: float, core_seconds: float) -> Summary:
    """The figures of a whole study."""
    tasks = dict.fromkeys(row.task for row in rows_of_kind(rows, MethodRow))
    return Summary(
        episodes=size.episodes,
        left_out=size.left_out,
        seeds=size.seeds,
        seconds=round(seconds, 1),
        core_seconds=core_seconds,
        tasks={task: task_summary(rows, task) for task in tasks},
    )


def task_summary(rows: Sequence[Row], task: str) -> TaskSummary:
    """The figures of one task: what its rows say in short."""
    level = rows_of_kind(rows, AdmissionRow, task)[0]
    admission = AdmissionSummary(
        full=level.full, budget5=level.budget5, greedy=level.greedy, policy=level.policy, holds=level.holds
    )
    devices: dict[str, dict[str, EnergySummary]] = {}
    for row in rows_of_kind(rows, EnergyRow, task):
        if row.scope == "system" and row.extent == "loop" and row.schedule in ("interleaved", "batched"):
            devices.setdefault(row.device, {})[row.method] = EnergySummary(
                scope=row.scope,
                low=row.low,
                nominal=row.nominal,
                high=row.high,
                unit=row.unit,
                evidence=row.evidence,
                latency_s=row.latency_s,
            )
    named = contenders(task)
    methods = {method: method_summary(rows, task, method) for method in (*named.headline, named.in_lava)}
    placed = rows_of_kind(rows, PlacedEnergyRow, task)
    return TaskSummary(
        dense=named.dense,
        spiking=named.spiking,
        admission=admission,
        methods=methods,
        energy=devices,
        verdict=verdict(rows_of_kind(rows, FrontRow, task), level.full, placed),
        targets=targets(rows, task, methods, admission),
    )


def method_summary(rows: Sequence[Row], task: str, method: str) -> MethodSummary:
    """One method in short; an empty summary where it was not run."""
    if METHODS[method].closed_loop is not None:
        return _lava_summary(rows, task)
    run = next((row for row in rows_of_kind(rows, MethodRow, task) if row.method == method), None)
    if run is None:
        return MethodSummary()
    per_action, equivalents = run.per_action or {}, run.equivalents or {}
    agreements = [row for row in rows_of_kind(rows, AgreementRow, task) if row.method == method]
    own = next((row for row in agreements if row.reference == run.reference), agreements[0] if agreements else None)
    densities = {
        row.reference: row.density.total
        for row in agreements
        if row.density is not None and row.reference in REFERENCES
    }
    return MethodSummary(
        planner_name=run.planner_name,
        episodes=run.episodes,
        seeds=run.seeds,
        success=run.success,
        ci95=run.ci95,
        paired_vs_dense=run.paired_vs_dense,
        reference=run.reference,
        synop_share=run.synop_share,
        macs_per_action=per_action.get("macs"),
        synops_per_action=per_action.get("synops"),
        neuron_updates_per_action=per_action.get("updates"),
        synop_equivalents_per_action=equivalents.get("interleaved", equivalents.get("batched")),
        synop_equivalents_by_schedule=run.equivalents,
        update_floor_per_action=run.floor,
        latent_nmse=None if own is None else own.latent_nmse,
        spearman=None if own is None else own.spearman,
        topk_overlap=None if own is None else own.topk_overlap,
        density=densities or None,
    )


def _lava_summary(rows: Sequence[Row], task: str) -> MethodSummary:
    """Of whole episodes in Lava where they were run, else of the replay."""
    loops, replays = rows_of_kind(rows, LavaLoopRow, task), rows_of_kind(rows, LavaReplayRow, task)
    if loops:
        return MethodSummary(**{name: value for name, value in asdict(loops[0]).items() if name != "task"})
    if not replays:
        return MethodSummary()
    return MethodSummary(
        values_compared=sum(row.values_compared for row in replays),
        values_different=sum(row.values_different for row in replays),
        nonzero_share={f"{row.reference} x{row.threshold:g}": row.nonzero_share for row in replays},
    )


def targets(
    rows: Sequence[Row], task: str, methods: dict[str, MethodSummary], admission: AdmissionSummary
) -> list[Target]:
    """The figures asked for, with what this run found."""
    asked: list[Target] = []
    named = contenders(task)

    def add(name: str, goal: str, value: Value, holds: bool | None) -> None:
        asked.append(Target(name=name, goal=goal, value=value, holds=holds))

    least = task_of(task).target_success
    if least is not None:
        success = methods[named.dense].success
        add("dense success", f">= {least}", success, success is not None and success >= least)
    if not task_of(task).tutorial and admission.policy is not None:
        add(
            "planning admission (greedy, 5 % budget and policy >= 20 points below)",
            "holds",
            {n: level for n in LEVELS if (level := getattr(admission, n)) is not None},
            admission.holds,
        )
    if task == "two-room":
        share = methods[named.spiking].synop_share
        add(
            "synops of the whole loop / dense MACs of the predictor",
            "<= 0.30",
            share,
            share is not None and share <= 0.30,
        )
    for method in (named.int8, named.spiking):
        interval = methods[method].paired_vs_dense
        low = None if interval is None else interval[0]
        add(
            f"{method} - dense, lower bound of the paired 95 % interval",
            ">= -0.03",
            low,
            low is not None and low >= -0.03,
        )
    replays = rows_of_kind(rows, LavaReplayRow, task)
    if replays:
        compared, different = sum(r.values_compared for r in replays), sum(r.values_different for r in replays)
        add("Lava: values compared", ">= 1,000,000", compared, compared >= 1_000_000)
        add("Lava: values different", "0", different, different == 0)
        layers = replays[0].positive_crossed
        least = min(max(r.nonzero_share[layer] for r in replays) for layer in layers)
        add("Lava: least share of non-zero messages of a layer (its busier replay)", ">= 0.10", least, least >= 0.10)
        crossed = all(
            any(r.positive_crossed[layer] > 0 for r in replays) and any(r.negative_crossed[layer] > 0 for r in replays)
            for layer in layers
        )
        add("Lava: positive and negative thresholds crossed in every layer", "yes", crossed, crossed)
    return asked
