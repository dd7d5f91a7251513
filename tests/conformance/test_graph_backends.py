"""Every kind of node, in every backend, against the integer reference: `==` on each value that a node sends and keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spikeplan.core.ir.graph import KINDS, Graph
from spikeplan.core.ir.graph.reference import Running
from spikeplan.experiments.bench.drawn_graphs import drawn, grow, inputs_of
from spikeplan.experiments.bench.graph_conformance import agree_in_lava
from spikeplan.lava_procs.graph.fused import Compiled


@st.composite
def graphs(draw: Any) -> Graph:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return grow(lambda options: draw(st.sampled_from(options)), rng)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(graph=graphs(), seed=st.integers(0, 2**16))
def test_the_fused_executor_is_the_reference(graph: Graph, seed: int) -> None:
    steps = 8
    rows = inputs_of(graph, steps, seed)
    ours, other = Running(graph), Compiled(graph)
    for t in range(steps):
        now = {name: values[t] for name, values in rows.items()}
        want, got = ours.step(now), other.step(now)
        for name in graph.outputs:
            assert want[name].shape == got[name].shape and (want[name] == got[name]).all(), (t, graph.node(name))
        for name, state in ours.state.items():
            for what, values in state.items():
                assert (other.state[name][what] == values).all(), (t, name, what)
    assert ours.overflows == other.overflow


def test_every_kind_is_drawn_and_most_of_them_speak() -> None:
    kinds, active = set(), []
    for seed in range(60):
        graph = drawn(seed)
        running, rows = Running(graph), inputs_of(graph, 8, seed)
        kinds |= {type(node).__name__ for node in graph.nodes}
        for t in range(8):
            running.step({name: values[t] for name, values in rows.items()})
        active += [bool(values.any()) for values in running.sent.values()]
    assert kinds == set(KINDS) and np.mean(active) > 0.6


@pytest.mark.slow
def test_lavas_processes_are_the_reference(tmp_path: Path) -> None:
    """`spikeplan bench convert` does the same with 200 graphs."""
    found = agree_in_lava([drawn(seed) for seed in range(8)], folder=tmp_path)
    assert found.different == 0, found.first
    assert found.compared > 5000 and found.active > 0.2 and len(found.kinds) >= 10
