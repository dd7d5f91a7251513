"""Parent side of a graph's run in Lava: a worker in its own process group, records back, nothing left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph.base import Input, check_input
from spikeplan.core.ir.graph.file import save
from spikeplan.core.ir.graph.graph import Graph
from spikeplan.lava_procs import child
from spikeplan.lava_procs.graph.build import FORMS, sizes

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class GraphRecord:
    """T steps of a graph.

    out: {output: (T, *shape)}. sent: {node: (T,)}, its values that were not zero. nodes: {node: (T, *shape)} and states:
    {"NODE.STATE": (T, *shape)}, after each step, when watched. overflows: numbers that did not fit (fused form only). step_s:
    seconds a step of the simulation.
    """

    out: dict[str, Array]
    sent: dict[str, NDArray[np.int64]]
    nodes: dict[str, Array]
    states: dict[str, Array]
    overflows: int | None
    step_s: float


@dataclass(frozen=True, kw_only=True)
class GraphRun:
    """What to run: a graph, and for each of its inputs (T, *shape)."""

    graph: Graph
    inputs: Mapping[str, Array]
    form: str = "fused"
    watch: bool = False

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise UserError(f"form {self.form!r:.40} is unknown; use {' or '.join(FORMS)}")
        lengths = {len(rows) for rows in self.inputs.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise UserError(f"inputs have {sorted(lengths)} steps; give one length, of at least 1, for all of them")
        if unknown := set(self.inputs) - {node.name for node in self.graph.inputs}:
            names = ", ".join(node.name for node in self.graph.inputs)
            raise UserError(f"input '{min(unknown)}' is none of this network's: {names}")
        dtype: Any = np.int64 if self.graph.fixed else np.float64
        for node in self.graph.inputs:
            if node.name not in self.inputs:
                raise UserError(f"input '{node.name}' is missing; give one array for each of the network's inputs")
            rows = np.asarray(self.inputs[node.name])
            check_input(node, rows, rows.shape[1:], dtype)


def run_graph(
    graph: Graph,
    inputs: Mapping[str, Array],
    *,
    workdir: str | os.PathLike[str],
    timeout_s: float,
    form: str = "fused",
    watch: bool = False,
) -> GraphRecord:
    """Run a graph in Lava, in a process of its own, and record what it does.

    Args:
        graph: any network graph, of integers or of real numbers.
        inputs: (T, *shape) for every Input node.
        workdir: receives the job, the record and worker.log.
        timeout_s: seconds until the worker is ended.
        form: "fused" in one process, "readable" with one process a node, or "stock": Lava's own processes, neurons recorded only.
        watch: record what every node sends and keeps.

    Raises UserError for inputs that do not fit and LavaError for a crash or no answer in time; the worker has ended then.

    >>> record = run_graph(graph, {"x": np.ones((100, 3), int)}, workdir="runs/net", timeout_s=60)
    >>> record.out["w"].shape
    (100, 3)
    """
    asked = GraphRun(graph=graph, inputs=inputs, form=form, watch=watch)
    return run_graphs([asked], workdir=workdir, timeout_s=timeout_s)[0]


def run_graphs(runs: Sequence[GraphRun], *, workdir: str | os.PathLike[str], timeout_s: float) -> list[GraphRecord]:
    """Several graphs one after the other in one worker: Lava is imported once."""
    child.check_timeout(timeout_s)
    folder = Path(workdir).resolve()
    jobs = []
    try:
        for number, run in enumerate(runs):
            own = folder / f"run_{number}"
            own.mkdir(parents=True, exist_ok=True)
            save(run.graph, own / "graph.safetensors")
            given = {f"in{i}": run.inputs[node.name] for i, node in enumerate(run.graph.inputs)}
            np.savez(own / "inputs.npz", **dict[str, Any](given))
            jobs.append({"folder": str(own), "form": run.form, "watch": run.watch})
        (folder / "job.json").write_text(json.dumps({"runs": jobs, "parent": os.getpid()}, indent=1))
    except OSError as error:
        raise UserError(f"{folder}: cannot write there ({error}); choose a writable directory") from error
    child.run("spikeplan.lava_procs.graph.worker", folder, timeout_s)
    return [_record(run, folder / f"run_{number}") for number, run in enumerate(runs)]


def _record(run: GraphRun, folder: Path) -> GraphRecord:
    with np.load(folder / "record.npz") as found:
        rows = {name: found[name] for name in found.files}
    graph, steps = run.graph, len(next(iter(run.inputs.values())))
    nodes: dict[str, Array] = {}
    states: dict[str, Array] = {}
    out: dict[str, Array] = {}
    if run.form == "stock":
        nodes = {node.name: _turned(rows[f"{node.name}.out"]) for node in graph.nodes if node.stateful}
        return GraphRecord(
            out={name: nodes[name] for name in graph.outputs},
            sent={name: np.count_nonzero(found.reshape(steps, -1), axis=1) for name, found in nodes.items()},
            nodes=nodes if run.watch else {},
            states={},
            overflows=None,
            step_s=float(rows["step_s"]),
        )
    if run.form == "readable":
        for name, keeps, shape in sizes(graph):
            given = {node.name: node for node in graph.inputs}
            nodes[name] = rows[f"{name}.out"] if f"{name}.out" in rows else _given(given[name], run.inputs[name])
            if f"{name}.kept" in rows:
                parts = np.split(rows[f"{name}.kept"], len(keeps), axis=1)
                states |= {f"{name}.{k}": part.reshape(steps, *shape) for k, part in zip(keeps, parts, strict=True)}
        sent = {name: np.count_nonzero(found.reshape(steps, -1), axis=1) for name, found in nodes.items()}
        out = {name: nodes[name] for name in graph.outputs}
        return GraphRecord(
            out=out,
            sent=sent,
            nodes=nodes if run.watch else {},
            states=states,
            overflows=None,
            step_s=float(rows["step_s"]),
        )
    start = 0
    for name in graph.outputs:
        size = int(np.prod(graph.shapes[name]))
        out[name] = rows["out"][:, start : start + size].reshape(steps, *graph.shapes[name])
        start += size
    start = 0
    for name, keeps, shape in sizes(graph) if run.watch else []:
        for what in ("", *keeps):
            part = rows["kept"][:, start : start + int(np.prod(shape))].reshape(steps, *shape)
            (states if what else nodes)[f"{name}.{what}" if what else name] = part
            start += int(np.prod(shape))
    counted = rows["sent"].astype(np.int64)
    return GraphRecord(
        out=out,
        sent={node.name: counted[:, i] for i, node in enumerate(graph.nodes)},
        nodes=nodes,
        states=states,
        overflows=int(counted[-1, -1]),
        step_s=float(rows["step_s"]),
    )


def _turned(rows: Array) -> Array:
    """From Lava's order, (T, W, H, C), to ours."""
    return rows.transpose(0, *reversed(range(1, rows.ndim)))


def _given(node: Input, rows: Array) -> Array:
    return (rows != 0).astype(rows.dtype) if node.spikes else rows
