"""Spikes that our LIF and Lava's own fire differently on the same random train, fixed and floating."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph import LIF, Graph, Input, Linear, Node, chain
from spikeplan.lava_procs.graph.run import run_graph

TIMEOUT_S = 600.0


class Case(NamedTuple):
    """One pair of runs; `top` is the largest weight. Real numbers make a floating-point network."""

    du: float
    dv: float
    vth: float
    bias: float
    bias_exp: int
    top: int


CASES = (
    Case(du=700, dv=300, vth=90, bias=3, bias_exp=5, top=60),
    Case(du=0, dv=0, vth=2000, bias=-7, bias_exp=-1, top=120),
    Case(du=0.2, dv=0.07, vth=90.0, bias=0.5, bias_exp=0, top=60),
)


def network_of(case: Case) -> Graph:
    """12 inputs, layers of 16 and 9 LIF neurons, random even weights (Lava's Dense keeps no odd ones)."""
    rng, inputs = np.random.default_rng(3), 12
    nodes: list[Node] = [Input(name="x", shape=(inputs,), spikes=True)]
    kind: Any = np.int64 if isinstance(case.du, int) else np.float64
    for number, (n, low) in enumerate(((16, -case.top), (9, -case.top // 2))):
        weight = (2 * rng.integers(low, case.top, (n, inputs))).astype(kind)
        du, dv, vth, bias = (np.full(n, value, kind) for value in (case.du, case.dv, case.vth, case.bias))
        nodes.append(Linear(name=f"w{number}", weight=weight))
        nodes.append(LIF(name=f"lif{number}", du=du, dv=dv, vth=vth, bias=bias, bias_exp=case.bias_exp))
        inputs = n
    return chain(nodes, delay_steps=1)


def spikes_of(case: Case, folder: Path, *, form: str, steps: int) -> NDArray[Any]:
    """Output spikes (steps, 9)."""
    train = (np.random.default_rng(4).random((steps, 12)) < 0.3).astype(np.int64)
    record = run_graph(network_of(case), {"x": train}, workdir=folder, timeout_s=TIMEOUT_S, form=form)
    return record.out["lif1"]


def stock_difference(folder: Path, steps: int = 1000) -> tuple[int, list[float]]:
    """Spikes that differ, and the share of neurons and steps that fire in each case: silence would agree, too."""
    different, rates = 0, []
    for number, case in enumerate(CASES):
        ours, theirs = (
            spikes_of(case, folder / f"{number}-{form}", form=form, steps=steps) for form in ("readable", "stock")
        )
        different += int((ours != theirs).sum())
        rates.append(float((ours != 0).mean()))
    return different, rates
