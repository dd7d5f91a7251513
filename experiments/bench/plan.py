"""`spikeplan bench NAME`: side by side in one run. NAME: plan, lava (experiments/bench/lava.py), events
(experiments/bench/events.py), energy (experiments/bench/energy.py: counts, MACs and prices),
planner (experiments/bench/planner.py: success and operations), references (experiments/bench/references.py: the same on each
reference, networks trained for it), convert
(experiments/bench/convert.py: speed of the simulation, graphs in Lava, networks of other tools), converters
(experiments/bench/converters: error and operations beside SpikingJelly's and sinabs' converters), sparse_front
(experiments/bench/sparse/front.py: networks trained for the chip's bill, half an hour), shared_work
(experiments/bench/sparse/shared_work.py: what candidates have in common, each way alone), wide
(experiments/bench/sparse/wide.py: a wide predictor trained for cost), predictors
(experiments/bench/predictors: a transformer and a gated recurrence, dense and converted).

`bench plan`: candidate steps per second of every method, as ratios to dense measured in the same run.

Methods take turns, round after round, so that a slow moment of the machine hits all of them; the best round counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Column, Table

from spikeplan.core.errors import UserError
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.bundle import load_bundle
from spikeplan.evaluation.shard import Job, make_predictor, one_thread
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.experiments.runner.output import check_outputs, write_report
from spikeplan.experiments.runner.progress import progress_bar
from spikeplan.worldmodel.planning.rollout import rollout
from spikeplan.worldmodel.predictor import Predictor

EPISODES, HORIZON, ROUNDS = 16, 4, 5
CANDIDATES = (64, 256)
HELD = {True: "yes", False: "no", None: "-"}


def rollout_seconds(
    predictor: Predictor, latent_BD: torch.Tensor, candidates_BSHA: torch.Tensor, reference: str
) -> float:
    began = time.perf_counter()
    rollout(predictor, latent_BD, candidates_BSHA, reference=reference)
    return time.perf_counter() - began


def bench_plan(console: Console, task: str = "two-room") -> list[BenchRow]:
    one_thread()
    reference, factor = load_bundle(task).artifact.reference, 1.0
    methods = {"dense": "zero", "int8": "zero", "sigma_delta": reference, "lif": "zero"}
    predictors = {}
    for method, on in methods.items():
        job = Job(
            task=task,
            method=method,
            role="bench",
            planner=CEMConfig(),
            episodes=1,
            count=1,
            reference=on,
            threshold=factor if method == "sigma_delta" else None,
        )
        predictors[method] = make_predictor(job)
    generator = torch.Generator().manual_seed(0)
    rows = []
    with progress_bar(console) as bar:
        ticks = bar.add_task("bench plan", total=len(CANDIDATES) * ROUNDS * len(methods))
        for samples in CANDIDATES:
            d = predictors["dense"].module.latent_dim  # type: ignore[attr-defined]
            latent = torch.randn(EPISODES, d, generator=generator)
            candidates = torch.rand(EPISODES, samples, HORIZON, 2, generator=generator) * 0.16 - 0.08
            best = dict.fromkeys(methods, float("inf"))
            for _ in range(ROUNDS):
                for method, on in methods.items():
                    best[method] = min(best[method], rollout_seconds(predictors[method], latent, candidates, on))
                    bar.advance(ticks)
            steps = EPISODES * samples * HORIZON
            for method in ("int8", "sigma_delta", "lif"):
                ours, other = steps / best[method], steps / best["dense"]
                rows.append(
                    BenchRow(
                        name=f"{method}_vs_dense_{samples}",
                        ours=ours,
                        other=other,
                        ratio=ours / other,
                        unit="candidate steps/s",
                    )
                )
    return rows


def _bench_lava(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.lava import bench_lava

    return bench_lava(console)


def _bench_events(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.events import bench_events

    return bench_events(console)


def _bench_energy(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.energy import bench_energy

    return bench_energy(console)


def _bench_planner(console: Console, parts: Path | None = None, trained: Sequence[str] = ()) -> list[BenchRow]:
    from spikeplan.experiments.bench.planner import bench_planner

    return bench_planner(console, parts, trained=trained)


def _bench_references(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.references import bench_references

    return bench_references(console)


def _bench_convert(console: Console, files: Path | None = None) -> list[BenchRow]:
    from spikeplan.experiments.bench.convert import bench_convert

    return bench_convert(console, files)


def _bench_sparse_front(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.sparse.front import bench_sparse_front

    return bench_sparse_front(console)


def _bench_shared_work(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.sparse.shared_work import bench_shared_work

    return bench_shared_work(console)


def _bench_wide(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.sparse.wide import bench_wide

    return bench_wide(console)


def _bench_predictors(console: Console, trained: Sequence[str] = ()) -> list[BenchRow]:
    from spikeplan.experiments.bench.predictors import bench_predictors

    return bench_predictors(console, trained)


def _bench_converters(console: Console) -> list[BenchRow]:
    from spikeplan.experiments.bench.converters import bench_converters

    return bench_converters(console)


BENCHES: dict[str, Callable[..., list[BenchRow]]] = {
    "plan": bench_plan,
    "lava": _bench_lava,
    "events": _bench_events,
    "energy": _bench_energy,
    "planner": _bench_planner,
    "references": _bench_references,
    "convert": _bench_convert,
    "converters": _bench_converters,
    "sparse_front": _bench_sparse_front,
    "shared_work": _bench_shared_work,
    "wide": _bench_wide,
    "predictors": _bench_predictors,
}


def bench_command(
    name: str,
    json_file: str | None,
    *,
    parts: str | None = None,
    trained: tuple[str, ...] = (),
    files: str | None = None,
    console: Console,
) -> None:
    """`parts`: folder of finished shards, for a bench that can go on from them. `trained`: folders of further training seeds,
    for one that plans with them. `files`: a folder of other tools' network files, for one that reads them."""
    if name not in BENCHES:
        raise UserError(f"bench {name!r} is unknown; use one of {', '.join(BENCHES)}")
    check_outputs({"--json": json_file})
    if parts is not None and "parts" not in signature(BENCHES[name]).parameters:
        raise UserError(f"bench {name} keeps nothing of an interrupted run; leave out --parts")
    if trained and "trained" not in signature(BENCHES[name]).parameters:
        raise UserError(f"bench {name} plans with no trained networks; leave out --trained")
    if files is not None and "files" not in signature(BENCHES[name]).parameters:
        raise UserError(f"bench {name} reads no network files; leave out --files")
    if files is not None and not Path(files).is_dir():
        raise UserError(f"--files {files}: no such folder; give one with .nir and .net files")
    given: dict[str, Any] = {"parts": Path(parts)} if parts is not None else {}
    given |= {"trained": trained} if trained else {}
    given |= {"files": Path(files)} if files is not None else {}
    rows = BENCHES[name](console, **given)
    if json_file:
        write_report(json_file, [row.to_json() for row in rows])
    table = Table(
        Column("name", overflow="fold"), "ours", "other", "ratio", "unit", "goal", "holds", title=f"bench {name}"
    )
    for row in rows:
        cells = ("-" if figure is None else f"{figure:.4g}" for figure in (row.ours, row.other, row.ratio))
        table.add_row(row.name, *cells, row.unit, row.goal or "-", HELD[row.holds])
    console.print(table)
