"""A network graph as Lava processes between sources and recorders.

    fused      sources -> Whole -> recorders                       one process computes every node
    readable   sources -> a process a node, a Delay a delayed edge -> recorders
    stock      sources -> Lava's own processes -> recorders        stock.py; what lava-dl's netx builds

Nothing imports Lava before `build` is called. Arrays keep the graph's order, (C, H, W), but for the stock form's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph.base import Input, Shape
from spikeplan.core.ir.graph.graph import Graph
from spikeplan.lava_procs.graph.steps import MODELS

FORMS = ("fused", "readable", "stock")


@dataclass(frozen=True, kw_only=True)
class Built:
    """`start` starts and stops all of it; `files`: what is recorded -> .npy, one row a step."""

    start: Any
    tag: str
    files: dict[str, Path]


def _ring(rows: NDArray[Any], *, fixed: bool) -> Any:
    """Lava's own source: 32-bit integers, as its processes compute in them; (W, H, C) with time last."""
    from lava.proc.io.source import RingBuffer

    turned = rows.transpose(*reversed(range(1, rows.ndim)), 0)
    return RingBuffer(data=np.ascontiguousarray(turned.astype(np.int32 if fixed else np.float64)))


class _Recorder:
    def __init__(self, folder: Path, steps: int) -> None:
        self.folder, self.steps = folder, steps
        self.files: dict[str, Path] = {}

    def port(self, port: Any, name: str) -> None:
        from spikeplan.lava_procs.graph.processes.wire import Record

        path = self.files[name] = self.folder / f"rows_{len(self.files)}.npy"
        port.connect(Record(path=str(path), steps=self.steps, shape=port.shape, name=f"record {name}").a_in)


def build(graph: Graph, inputs: Mapping[str, NDArray[Any]], *, form: str, folder: Path, watch: bool) -> Built:
    """inputs: (T, *shape) for every Input node, checked. `watch`: outputs and states of every node are recorded."""
    from spikeplan.lava_procs.graph.processes.wire import Given

    if form not in FORMS:
        raise UserError(f"form {form!r:.40} is unknown; use {' or '.join(FORMS)}")
    dtype: Any = np.int64 if graph.fixed else np.float64
    recorder = _Recorder(folder, len(next(iter(inputs.values()))))
    ports: dict[str, Any] = {}
    sources: list[Any] = []
    for number, node in enumerate(graph.inputs):
        path = folder / f"given_{number}.npy"
        rows = inputs[node.name] != 0 if node.spikes else inputs[node.name]
        if form == "stock":
            sources.append(_ring(rows, fixed=graph.fixed))
            ports[node.name] = sources[-1].s_out
            continue
        np.save(path, rows.astype(dtype))
        sources.append(Given(path=str(path), shape=node.shape, name=f"given {node.name}"))
        ports[node.name] = sources[-1].out
    for one, following in pairwise(sources if form != "stock" else []):
        one.tied_out.connect(following.tied_in)
    {"fused": _whole, "readable": _readable, "stock": _stock}[form](graph, ports, recorder, watch)
    return Built(start=sources[0], tag="fixed_pt" if graph.fixed else "floating_pt", files=recorder.files)


def _whole(graph: Graph, ports: dict[str, Any], recorder: _Recorder, watch: bool) -> None:
    from spikeplan.lava_procs.graph.processes.whole import Whole

    whole = Whole(graph=graph, watch=watch)
    for number, port in enumerate(ports.values()):
        port.connect(getattr(whole, f"in{number}"))
    recorder.port(whole.out, "out")
    recorder.port(whole.sent_out, "sent")
    if watch:
        recorder.port(whole.kept_out, "kept")


def _readable(graph: Graph, ports: dict[str, Any], recorder: _Recorder, watch: bool) -> None:
    from spikeplan.lava_procs.graph.processes.node import NodeProcess
    from spikeplan.lava_procs.graph.processes.wire import Delay

    made = {}
    for node in graph.nodes:
        if not isinstance(node, Input):
            before = tuple(graph.shapes[edge.src] for edge in graph.into(node.name))
            made[node.name] = NodeProcess(node=node, before=before, shape=graph.shapes[node.name], name=node.name)
            ports[node.name] = made[node.name].out
    for edge in graph.edges:
        out, shape = ports[edge.src], graph.shapes[edge.src]
        if edge.delay_steps:
            delay = Delay(steps=edge.delay_steps, shape=shape, name=f"{edge.src} to {edge.dst}.{edge.port}")
            out.connect(delay.a_in)
            out = delay.out
        out.connect(getattr(made[edge.dst], f"in{edge.port}"))
    for name, process in made.items():
        recorder.port(process.out, f"{name}.out")
        if MODELS[type(graph.node(name))].keeps and watch:  # type: ignore[attr-defined]
            recorder.port(process.kept_out, f"{name}.kept")


def _stock(graph: Graph, ports: dict[str, Any], recorder: _Recorder, watch: bool) -> None:
    from spikeplan.lava_procs.graph.stock import build_stock

    for name, port in build_stock(graph, ports).items():
        recorder.port(port, f"{name}.out")


def sizes(graph: Graph) -> list[tuple[str, tuple[str, ...], Shape]]:
    """(node, names of its states, shape), in the order in which states are recorded."""
    found = []
    for node in graph.nodes:
        keeps = () if isinstance(node, Input) else MODELS[type(node)].keeps  # type: ignore[attr-defined]
        found.append((node.name, keeps, graph.shapes[node.name]))
    return found
