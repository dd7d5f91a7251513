"""What a run costs in Joules: rows of its points, on every device, in its placements.

Every figure comes from `evaluation.pricing.price`, which `energy report` uses, too: version 0.1 priced the same run by two
paths and printed two numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from spikeplan import energy
from spikeplan.core.chips import LOIHI2, ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.groups import NeuronGroups
from spikeplan.core.guided_planning import PlannerConfig
from spikeplan.evaluation.aggregate import Run, operations
from spikeplan.evaluation.intervals import paired, success_interval
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import PricedRun
from spikeplan.evaluation.replicas import DEVICE, StoredPlacement, placements_of
from spikeplan.evaluation.rows import EnergyRefusedRow, EnergyRow, FrontRow, OpCountsRow, PlacedEnergyRow, PointEnergy
from spikeplan.evaluation.shard import Job, make_predictor, site_of
from spikeplan.evaluation.traffic import Traffic, is_placed, placed_part, places_of, traffic_of_run
from spikeplan.evaluation.verdict import DENSE_DEVICES as VERDICT_DEVICES  # each is the chip's host in its own pair
from spikeplan.placement.groups import contexts_of
from spikeplan.placement.hops import MessageHops, message_hops

SPIKING_DEVICES = ("loihi2", "loihi1", "loihi1_sanafe")
DENSE_DEVICES = ("orin_nano", "h100", "cpu", "jepa_r")
BAND = ("low", "nominal", "high")


def front_rows(
    run: Run, dense: Run, cpu: energy.CpuPeak | None, placements: Sequence[StoredPlacement] = ()
) -> list[FrontRow]:
    """One row per schedule, with Joules of scope system. Every point of a front stands on the first planner seed's episodes,
    however many seeds the headline has. No device of the catalogue skips unstructured zeros: such points have no Joules.
    On loihi2 the cheapest of `placements`, where there are some; a sweep has no Joules there."""
    first = run.success_KN[:1]
    same = dense.success_KN[:1, : first.shape[1]]  # a reference sweep covers the first of the front's episodes
    equivalents = operations(run).equivalents or {}
    return [
        FrontRow(
            task=run.job.task,
            method=run.job.method,
            family=run.family,
            budget=run.job.planner.label,
            reference=run.job.reference,
            threshold=run.job.threshold,
            success=float(first.mean()),
            role="sweep" if run.job.role == "sweep" else "front",
            ci95=success_interval(first),
            paired_vs_dense=paired(first, same),
            episodes=first.size,
            episodes_won="".join(str(int(won)) for won in first[0]),
            schedule=schedule,
            synop_equivalents=equivalents[schedule],
            joules=_point_energies(run, cpu, placements, schedule),
        )
        for schedule in run.schedules
    ]


def _point_energies(
    run: Run, cpu: energy.CpuPeak | None, placements: Sequence[StoredPlacement], schedule: str
) -> dict[str, PointEnergy]:
    if run.family == "zero_skipping":
        return {}
    joules = {
        row.device: PointEnergy(low=row.low, nominal=row.nominal, high=row.high)
        for row in energy_rows(run, cpu, schedules=(schedule,), scopes=("system",), extents=("loop",))
        if isinstance(row, EnergyRow)
    }
    if placements:
        joules[DEVICE] = cheapest_placement(run, placements, schedule)
    elif run.job.role == "sweep" or not is_placed(run.job.planner):
        joules.pop(DEVICE, None)  # not placed: beside placed points its Joules would mislead
    return joules


def op_counts_rows(run: Run, dense: Run | None, placements: Sequence[StoredPlacement] = ()) -> list[OpCountsRow]:
    """The operations themselves, so that energy can be asked of a run that is done, on devices that it did not know."""
    if run.op_counts is None:
        return []
    first = run.success_KN[:1]
    row = OpCountsRow(
        task=run.job.task,
        method=run.job.method,
        family=run.family,
        budget=run.job.planner.label,
        reference=run.job.reference,
        threshold=run.job.threshold,
        role=run.job.role,
        success=float(first.mean()),
        episodes=first.size,
        ci95=success_interval(first),
        paired_vs_dense=None if dense is None else paired(first, dense.success_KN[:1, : first.shape[1]]),
        evaluations=run.job.planner.evaluations,
        samples=run.job.planner.samples,
        op_counts=run.op_counts,
        hops=hops_of_job(run.job) if run.spiking else None,
        placements=tuple(placements),
    )
    return [row]


def hops_of_job(job: Job) -> MessageHops | None:
    """Hops of a spiking method's messages where its network is placed; None for a dense one, and for a planner whose parts
    are not placed."""
    if not METHODS[job.method].spiking or not is_placed(job.planner):
        return None
    return _hops(job.task, job.method, job.planner, job.reference, job.checkpoint, job.artifact)


@lru_cache(maxsize=64)
def _hops(
    task: str, method: str, planner: PlannerConfig, reference: str, checkpoint: str | None, artifact: str | None
) -> MessageHops:
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
    groups = placed_part(METHODS[method].predictor(site), planner).neuron_groups
    contexts, model = contexts_of(reference, planner, 1), site.bundle.model.predictor

    def network(chip: ChipLimits) -> NeuronGroups:
        placeable = groups(chip, contexts=contexts)
        assert placeable is not None  # a spiking method's
        return placeable

    return message_hops(
        network, planner, latent_dim=model.latent_dim, action_dim=model.action_dim, places=places_of(task)
    )


def placed_rows(run: Run, *, replicas: tuple[int, ...] = (1, 8)) -> list[PlacedEnergyRow]:
    """A sigma-delta method's whole loop placed on loihi2 with several replicas, and with one a candidate: time from the
    placement, static power of its chips, updates of idle neurons. `energy_rows` beside it assume one replica
    with one neurocore a layer and charge no idle neuron."""
    if run.op_counts is None or run.method.artifact is None or not is_placed(run.job.planner):
        return []
    job = run.job
    traffic = traffic_of_planned(run)
    rows = []
    for number in sorted({min(n, job.planner.samples) for n in (*replicas, job.planner.samples)}):
        one = placed(traffic, LOIHI2, replicas=number, spread=1, extent="loop")
        if one.found.broken:
            continue
        for schedule in run.schedules:
            e = one.energy(schedule)
            rows.append(
                PlacedEnergyRow(
                    task=job.task,
                    device=DEVICE,
                    method=job.method,
                    budget=job.planner.label,
                    extent="loop",
                    schedule=schedule,
                    replicas=number,
                    cores=one.found.cores,
                    chips=one.found.chips,
                    **{name: e[name] for name in (*BAND, "scope", "unit", "evidence", "latency_s")},
                )
            )
    return rows


def traffic_of_planned(run: Run) -> Traffic:
    """Of a spiking method, from its op_counts."""
    job = run.job
    assert run.op_counts is not None
    return traffic_of_run(run.op_counts, make_predictor(job), job, site_of(job).bundle.model.predictor)


def placements_of_run(run: Run) -> list[StoredPlacement]:
    """Placements of a spiking method's loop on one chip; none for a sweep over references or thresholds."""
    if not run.spiking or not is_placed(run.job.planner) or run.job.role not in ("headline", "front"):
        return []
    return placements_of(traffic_of_planned(run))


def priced(run: Run, placements: Sequence[StoredPlacement] = ()) -> PricedRun:
    """The run as `energy report` prices it: one path from counts to Joules. Raises ValueError for a run without counts."""
    rows = op_counts_rows(run, None, placements)
    if not rows:
        raise ValueError(f"{run.job.method} keeps no counts")
    return PricedRun(row=rows[0])


def pricing_of(cpu: energy.CpuPeak | None = None) -> Pricing:
    return Pricing(catalogue=energy.default(), cpu=cpu)


def cheapest_placement(run: Run, placements: Sequence[StoredPlacement], schedule: str) -> PointEnergy:
    """Scope system, whole loop, of the placement that takes least; `by_host`: with the encoder on each opponent's device."""
    pricing, placed_runs = pricing_of(), priced(run, placements).placed
    by_host: dict[str, PointEnergy] = {}
    for host in VERDICT_DEVICES:
        energies = [(pricing.price(one, DEVICE, schedule, host=host), one.placement) for one in placed_runs]
        e, best = min(energies, key=lambda pair: pair[0].nominal)
        assert best is not None
        by_host[host] = PointEnergy(
            low=e.low, nominal=e.nominal, high=e.high, replicas=best.replicas, spread=best.spread, cores=best.cores
        )
    return replace(by_host[VERDICT_DEVICES[0]], by_host=by_host)


def energy_rows(
    run: Run,
    cpu: energy.CpuPeak | None,
    *,
    schedules: tuple[str, ...] | None = None,
    scopes: tuple[str, ...] = energy.SCOPES,
    extents: tuple[str, ...] = ("predictor", "loop"),
) -> list[EnergyRow | EnergyRefusedRow]:
    """Energy of a run on every device that can run this method; where the catalogue refuses, a row says why.

    A spiking network has one neurocore a layer, the least that interleaving takes; a real placement may use more.

    Args:
        run: all shards of one method; one without operation counts has no rows.
        cpu: measured peak of this machine; None: the CPU is refused.
        schedules, scopes, extents: which to price; all of them where not given.

    >>> [(row.device, row.nominal) for row in energy_rows(run, None) if isinstance(row, EnergyRow)]
    """
    if run.op_counts is None:
        return []
    pricing, method = pricing_of(cpu), priced(run)
    rows: list[EnergyRow | EnergyRefusedRow] = []
    for device in SPIKING_DEVICES if run.spiking else DENSE_DEVICES:
        for schedule in schedules or run.schedules:
            for scope in scopes:
                for extent in extents:
                    row: dict[str, Any] = {"task": run.job.task, "device": device, "method": run.job.method}
                    try:
                        e = pricing.price(method, device, schedule, scope=scope, extent=extent)
                    except UserError as error:
                        refused = EnergyRefusedRow(**row, reason=str(error))
                        rows += [] if refused in rows else [refused]
                        continue
                    figures = {name: getattr(e, name) for name in (*BAND, "unit", "evidence", "latency_s")}
                    rows.append(EnergyRow(**row, scope=scope, extent=extent, schedule=schedule, **figures))
    return rows
