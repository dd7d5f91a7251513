"""From shard results to figures per method: success with intervals, operations per action, energy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan import energy
from spikeplan.core.chips import LOIHI2, ChipLimits
from spikeplan.core.counts.operations import CountRow, OperationCounts, per_action
from spikeplan.core.errors import UserError
from spikeplan.core.groups import NeuronGroups
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.intervals import paired, success_interval
from spikeplan.evaluation.methods import METHODS, Method
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.replicas import DEVICE, Copies, copies_of
from spikeplan.evaluation.shard import Job, make_predictor, site_of
from spikeplan.evaluation.traffic import Traffic, traffic_of_run
from spikeplan.placement.groups import contexts_of
from spikeplan.placement.hops import Ways, predictions_of, ways_of

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
SPIKING_DEVICES = ("loihi2", "loihi1", "loihi1_sanafe")
DENSE_DEVICES = ("orin_nano", "h100", "cpu", "jepa_r")


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


def group(results: Iterable[dict[str, Any]], jobs: Iterable[Job]) -> list[Run]:
    """Merge the shards of each (task, method, role, budget, reference, threshold)."""
    groups: dict[tuple[Any, ...], list[tuple[Job, dict[str, Any]]]] = defaultdict(list)
    for job, result in zip(jobs, results, strict=True):
        groups[(job.task, job.method, job.role, job.planner, job.reference, job.threshold)].append((job, result))
    runs = []
    for members in groups.values():
        first = members[0][0]
        seeds = sorted({job.seed for job, _ in members})
        success = np.zeros((len(seeds), max(job.first + job.count for job, _ in members)))
        op_counts: OperationCounts | None = None
        poses = None
        for job, result in members:
            success[seeds.index(job.seed), job.first : job.first + job.count] = result["success"]
            poses = poses or result["poses"]
            if result["op_counts"] is None:
                continue
            if op_counts is None:
                op_counts = OperationCounts.load(result["op_counts"])
            else:
                op_counts.merge(result["op_counts"])
        seconds = sum(result["seconds"] for _, result in members)
        family = METHODS[first.method].family
        runs.append(Run(first, success, op_counts, seconds, poses, members[0][1]["weights_left"], family))
    return runs


def operations(run: Run) -> dict[str, Any]:
    """Per action: raw operations (interleaved counts for spiking methods) and synop-equivalents by schedule and phase."""
    if run.op_counts is None:
        return {"per_action": None, "equivalents": None, "equivalents_predictor": None, "floor": None, "by_phase": None}
    actions = run.op_counts.actions
    rows = {schedule: run.op_counts.rows(schedule) for schedule in run.schedules}
    last = rows[run.schedules[-1]]
    phases = sorted({row.phase for row in last})
    return {
        "per_action": {name: per_action(last, actions, name) for name in FIELDS},
        "equivalents": {s: per_action(r, actions) for s, r in rows.items()},
        "equivalents_without_restores": {s: per_action(r, actions, "without_restores") for s, r in rows.items()},
        "equivalents_predictor": {
            s: per_action([x for x in r if x.phase == "predictor"], actions) for s, r in rows.items()
        },
        "floor": 10 * per_action(last, actions, "updates") if run.spiking else None,
        "by_phase": {p: per_action([x for x in last if x.phase == p], actions) for p in phases},
    }


def synop_share(run: Run) -> float | None:
    """Everything counted: all synops of the loop (coding, mean's own pass, distance, selection) over the dense MACs."""
    if run.op_counts is None or not run.spiking:
        return None
    rows = run.op_counts.rows("interleaved")
    dense = sum(c.dense_macs for _, c in run.op_counts.counts("predictor"))
    return sum(row.synops for row in rows) / dense


def method_row(run: Run, dense: Run | None) -> dict[str, Any]:
    return {
        "kind": "method",
        "task": run.job.task,
        "method": run.job.method,
        "reference": run.job.reference,
        "threshold": run.job.threshold,
        "episodes": run.success_KN.shape[1],
        "seeds": run.success_KN.shape[0],
        "success": float(run.success_KN.mean()),
        "ci95": success_interval(run.success_KN),
        "paired_vs_dense": paired(run.success_KN, dense.success_KN) if dense is not None and dense is not run else None,
        "synop_share": synop_share(run),
        "seconds": run.seconds,
        **operations(run),
    }


def front_rows(run: Run, dense: Run, cpu: energy.CpuPeak | None, copies: Sequence[Copies] = ()) -> list[dict[str, Any]]:
    """One row per schedule, with Joules of scope system. Every point of a front stands on the first planner seed's episodes,
    however many seeds the headline has. No device of the catalogue skips unstructured zeros: such points have no Joules.
    On loihi2 the cheapest of `copies`, where there are some; a sweep has no Joules there."""
    ops = operations(run)
    first = run.success_KN[:1]
    same = dense.success_KN[:1, : first.shape[1]]  # an reference sweep covers the first of the front's episodes
    rows = []
    for schedule in run.schedules:
        found = (
            []
            if run.family == "zero_skipping"
            else energy_rows(run, cpu, schedules=(schedule,), scopes=("system",), extents=("loop",))
        )
        joules = {
            row["device"]: {key: row[key] for key in ("low", "nominal", "high")}
            for row in found
            if row["kind"] == "energy"
        }
        if copies:
            joules[DEVICE] = cheapest_copies(run, copies, schedule)
        elif run.job.role == "sweep":
            joules.pop(DEVICE, None)  # not placed: beside placed points its Joules would mislead
        rows.append(
            {
                "kind": "front",
                "task": run.job.task,
                "method": run.job.method,
                "family": run.family,
                "budget": run.job.planner.label,
                "reference": run.job.reference,
                "threshold": run.job.threshold,
                "success": float(first.mean()),
                "role": "sweep" if run.job.role == "sweep" else "front",
                "ci95": success_interval(first),
                "paired_vs_dense": paired(first, same),
                "episodes": first.size,
                "schedule": schedule,
                "synop_equivalents": ops["equivalents"][schedule],
                "joules": joules,
            }
        )
    return rows


def op_counts_row(run: Run, dense: Run | None, copies: Sequence[Copies] = ()) -> list[dict[str, Any]]:
    """The operations themselves, so that energy can be asked of a run that is done, on devices that it did not know."""
    if run.op_counts is None:
        return []
    first = run.success_KN[:1]
    return [
        {
            "kind": "op_counts",
            "task": run.job.task,
            "method": run.job.method,
            "family": run.family,
            "budget": run.job.planner.label,
            "reference": run.job.reference,
            "threshold": run.job.threshold,
            "role": run.job.role,
            "success": float(first.mean()),
            "episodes": first.size,
            "ci95": success_interval(first),
            "paired_vs_dense": None if dense is None else paired(first, dense.success_KN[:1, : first.shape[1]]),
            "evaluations": run.job.planner.evaluations,
            "samples": run.job.planner.samples,
            "op_counts": run.op_counts.dump(),
            "ways": ways_of_job(run.job) if run.spiking else None,
            "copies": [one.dump() for one in copies],
        }
    ]


def ways_of_job(job: Job) -> dict[str, Any] | None:
    """Hops of a spiking method's messages where its network is placed (`place_hops.Ways`)."""
    if not METHODS[job.method].spiking:
        return None
    return _ways(job.task, job.method, job.planner, job.reference, job.checkpoint, job.artifact)


@lru_cache(maxsize=64)
def _ways(
    task: str, method: str, planner: CEMConfig, reference: str, checkpoint: str | None, artifact: str | None
) -> dict[str, Any] | None:
    site = site_of(
        Job(
            task=task,
            method=method,
            role="",
            planner=planner,
            episodes=1,
            count=1,
            checkpoint=checkpoint,
            artifact=artifact,
        )
    )
    groups = METHODS[method].predictor(site).neuron_groups
    contexts, model = contexts_of(reference, planner, 1), site.bundle.model.predictor

    def network(chip: ChipLimits) -> NeuronGroups:
        found = groups(chip, contexts=contexts)
        assert found is not None  # a spiking method's
        return found

    return ways_of(network, planner, latent_dim=model.latent_dim, action_dim=model.action_dim)


def placed_rows(run: Run, *, replicas: tuple[int, ...] = (1, 8)) -> list[dict[str, Any]]:
    """A sigma-delta method's whole loop placed on loihi2 with spatial copies, and with one a candidate: time from the
    placement, static power of the chips it takes, updates of neurons that wait. Beside `energy_rows`, which assume one copy
    with one neurocore a layer and charge no neuron that waits."""
    if run.op_counts is None or run.method.artifact is None:
        return []
    job = run.job
    traffic = _traffic(run)
    found: list[dict[str, Any]] = []
    for copies in sorted({min(n, job.planner.samples) for n in (*replicas, job.planner.samples)}):
        one = placed(traffic, LOIHI2, replicas=copies, spread=1, extent="loop")
        if one.found.broken:
            continue
        for schedule in run.schedules:
            e = one.energy(schedule)
            found.append(
                {
                    "kind": "energy_placed",
                    "task": job.task,
                    "device": "loihi2",
                    "method": job.method,
                    "budget": job.planner.label,
                    "extent": "loop",
                    "schedule": schedule,
                    "replicas": copies,
                    "cores": one.found.cores,
                    "chips": one.found.chips,
                    **{k: e[k] for k in ("scope", "low", "nominal", "high", "unit", "evidence")},
                    "latency_s": e["latency_s"],
                }
            )
    return found


def _traffic(run: Run) -> Traffic:
    """Of a spiking method, from its op_counts."""
    job = run.job
    assert run.op_counts is not None
    return traffic_of_run(run.op_counts, make_predictor(job), job, site_of(job).bundle.model.predictor)


def copies_of_run(run: Run) -> list[Copies]:
    """Placements of a spiking method's loop on one chip; none of a sweep over references or thresholds, which is no candidate."""
    if not run.spiking or run.job.role not in ("headline", "front"):
        return []
    return copies_of(_traffic(run))


def cheapest_copies(run: Run, copies: Sequence[Copies], schedule: str) -> dict[str, Any]:
    """Scope system, whole loop, of the placement that takes least."""
    assert run.op_counts is not None
    device, actions, counted = energy.default().device(DEVICE), run.op_counts.actions, run.op_counts.rows(schedule)
    found = []
    for one in copies:
        setup = energy.Setup(time_s=one.time_s(device, schedule))
        rows = one.rows(counted, actions, schedule)
        e = energy.estimate(device, rows, actions, scope="system", extent="loop", setup=setup)
        found.append({"low": e.low, "nominal": e.nominal, "high": e.high, **one.told})
    return min(found, key=lambda row: row["nominal"])


def energy_rows(
    run: Run,
    cpu: energy.CpuPeak | None,
    *,
    schedules: tuple[str, ...] | None = None,
    scopes: tuple[str, ...] = ("compute", "chip", "system"),
    extents: tuple[str, ...] = ("predictor", "loop"),
) -> list[dict[str, Any]]:
    """Every device that can run this method; where the catalogue refuses (no sourced figure), a row says why. A spiking network
    has one neurocore a layer, the least that interleaving takes; a real placement may use more."""
    if run.op_counts is None:
        return []
    found: list[dict[str, Any]] = []
    layers = {name for (_, name, _, _), c in run.op_counts.counts("predictor") if c.updates}
    found_ways = ways_of_job(run.job) if run.spiking else None
    ways = None if found_ways is None else Ways.load(found_ways)
    for device in SPIKING_DEVICES if run.spiking else DENSE_DEVICES:
        setup = energy.Setup(cpu=cpu, assume_graded=device.startswith("loihi1"), cores=max(1, len(layers)))
        for schedule in schedules or run.schedules:
            counted: list[CountRow] = run.op_counts.rows(schedule)
            for scope in scopes:
                for extent in extents:
                    rows = counted
                    if ways is not None:
                        kind = energy.default().device(device).kind
                        rows = ways.rows(counted, kind, extent, predictions=predictions_of(run.op_counts))
                    try:
                        e = energy.estimate(
                            device, rows, run.op_counts.actions, scope=scope, extent=extent, setup=setup
                        )
                    except UserError as error:
                        refused = {
                            "kind": "energy_refused",
                            "task": run.job.task,
                            "device": device,
                            "method": run.job.method,
                            "reason": str(error),
                        }
                        found += [] if refused in found else [refused]
                        continue
                    found.append(
                        {
                            "kind": "energy",
                            "task": run.job.task,
                            "device": device,
                            "method": run.job.method,
                            "scope": scope,
                            "extent": extent,
                            "schedule": schedule,
                            "low": e.low,
                            "nominal": e.nominal,
                            "high": e.high,
                            "unit": e.unit,
                            "evidence": e.evidence,
                            "latency_s": e.latency_s,
                        }
                    )
    return found
