"""What a run costs in Joules: rows of its points, on every device, in its placements.

Every figure comes from `evaluation.pricing.price`, which `energy report` uses, too: version 0.1 priced the same run by two
paths and printed two numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from spikeplan import energy
from spikeplan.core.chips import LOIHI2, ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.groups import NeuronGroups
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.aggregate import Run, operations
from spikeplan.evaluation.intervals import paired, success_interval
from spikeplan.evaluation.methods import METHODS
from spikeplan.evaluation.placed_energy import placed
from spikeplan.evaluation.pricing.price import Pricing
from spikeplan.evaluation.pricing.runs import PricedRun
from spikeplan.evaluation.replicas import DEVICE, Copies, copies_of
from spikeplan.evaluation.shard import Job, make_predictor, site_of
from spikeplan.evaluation.traffic import Traffic, traffic_of_run
from spikeplan.evaluation.verdict import DENSE_DEVICES as VERDICT_DEVICES  # each is the chip's host in its own pair
from spikeplan.placement.groups import contexts_of
from spikeplan.placement.hops import Ways, ways_of

SPIKING_DEVICES = ("loihi2", "loihi1", "loihi1_sanafe")
DENSE_DEVICES = ("orin_nano", "h100", "cpu", "jepa_r")


def front_rows(run: Run, dense: Run, cpu: energy.CpuPeak | None, copies: Sequence[Copies] = ()) -> list[dict[str, Any]]:
    """One row per schedule, with Joules of scope system. Every point of a front stands on the first planner seed's episodes,
    however many seeds the headline has. No device of the catalogue skips unstructured zeros: such points have no Joules.
    On loihi2 the cheapest of `copies`, where there are some; a sweep has no Joules there."""
    ops = operations(run)
    first = run.success_KN[:1]
    same = dense.success_KN[:1, : first.shape[1]]  # a reference sweep covers the first of the front's episodes
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
                "episodes_won": "".join(str(int(won)) for won in first[0]),
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


def priced(run: Run, copies: Sequence[Copies] = ()) -> PricedRun:
    """The run as `energy report` prices it: one path from counts to Joules. Raises ValueError for a run without counts."""
    if run.op_counts is None:
        raise ValueError(f"{run.job.method} keeps no counts")
    ways = ways_of_job(run.job) if run.spiking else None
    row = {"method": run.job.method, "budget": run.job.planner.label, "family": run.family}
    return PricedRun(
        row=row, op_counts=run.op_counts, ways=None if ways is None else Ways.load(ways), options=tuple(copies)
    )


def pricing_of(cpu: energy.CpuPeak | None = None) -> Pricing:
    return Pricing(catalogue=energy.default(), cpu=cpu)


def cheapest_copies(run: Run, copies: Sequence[Copies], schedule: str) -> dict[str, Any]:
    """Scope system, whole loop, of the placement that takes least; `by_host`: with the encoder on each opponent's device."""
    pricing, placements = pricing_of(), priced(run, copies).placed
    found: dict[str, dict[str, Any]] = {}
    for host in VERDICT_DEVICES:
        energies = [(pricing.price(one, DEVICE, schedule, host=host), one) for one in placements]
        e, best = min(energies, key=lambda pair: pair[0].nominal)
        assert best.copies is not None
        found[host] = {"low": e.low, "nominal": e.nominal, "high": e.high, **best.copies.told}
    return {**found[VERDICT_DEVICES[0]], "by_host": found}


def energy_rows(
    run: Run,
    cpu: energy.CpuPeak | None,
    *,
    schedules: tuple[str, ...] | None = None,
    scopes: tuple[str, ...] = energy.SCOPES,
    extents: tuple[str, ...] = ("predictor", "loop"),
) -> list[dict[str, Any]]:
    """Energy of a run on every device that can run this method; where the catalogue refuses, a row says why.

    A spiking network has one neurocore a layer, the least that interleaving takes; a real placement may use more.

    Args:
        run: all shards of one method; one without operation counts has no rows.
        cpu: measured peak of this machine; None: the CPU is refused.
        schedules, scopes, extents: which to price; all of them where not given.

    >>> [(row["device"], row["nominal"]) for row in energy_rows(run, None) if row["kind"] == "energy"]
    """
    if run.op_counts is None:
        return []
    pricing, method = pricing_of(cpu), priced(run)
    found: list[dict[str, Any]] = []
    for device in SPIKING_DEVICES if run.spiking else DENSE_DEVICES:
        for schedule in schedules or run.schedules:
            for scope in scopes:
                for extent in extents:
                    row = {"task": run.job.task, "device": device, "method": run.job.method}
                    try:
                        e = pricing.price(method, device, schedule, scope=scope, extent=extent)
                    except UserError as error:
                        refused = {"kind": "energy_refused", **row, "reason": str(error)}
                        found += [] if refused in found else [refused]
                        continue
                    kept = {
                        name: getattr(e, name) for name in ("low", "nominal", "high", "unit", "evidence", "latency_s")
                    }
                    found.append(
                        {"kind": "energy", **row, "scope": scope, "extent": extent, "schedule": schedule, **kept}
                    )
    return found
