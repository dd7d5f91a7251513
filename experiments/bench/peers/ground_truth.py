"""Networks of lava-dl whose spikes its own tests hold, run here: (name, ours, theirs) for each that is installed.

    ntidigits      axonal delays; 3,000 steps of spikes. Its log is a step late, so the first step is left out
    tinynet        convolutions, values as biases of the input layer, no input
    pilotnet_lif   eight layers behind spikes of the input layer; the first steps are of the sample before

The last two were recorded with a reset that goes through the network layer by layer, so a bias begins with the first input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.conversion.netx import read_netx
from spikeplan.core.ir.graph import LIF, Graph, Input, from_first_input
from spikeplan.lava_procs.graph.fused import Compiled

Pair = tuple[str, NDArray[Any], NDArray[Any]]
PILOTNET = {"1-conv": "conv-0", "3-conv": "conv-2", "5-conv": "conv-4", "7-dense": "fc-0", "9-dense": "fc-2"}
SAMPLE = 16  # steps until the reset


def ran(graph: Graph, given: NDArray[np.int64], names: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """What nodes send for each row of the input."""
    running, source = Compiled(graph), graph.source.name
    rows: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for row in given:
        running.step({source: row})
        for name, found in rows.items():
            found.append(running.slots[name])
    return {name: np.array(found) for name, found in rows.items()}


def _in_our_order(rows: NDArray[Any]) -> NDArray[Any]:
    """From (W, H, C, T) or (n, T)."""
    return rows.transpose(*reversed(range(rows.ndim)))


def ground_truths(tests: Path) -> Iterator[Pair]:
    """`tests`: lava-dl's folder tests/lava/lib/dl/netx, which its wheel brings along."""
    yield from _digits(tests / "gts/ntidigits")
    yield from _tiny(tests)
    yield from _pilotnet(tests / "gts/pilotnet_lif")


def _digits(folder: Path) -> Iterator[Pair]:
    graph, _ = read_netx(folder / "ntidigits.net")
    given = np.load(folder / "input.npy").T.reshape(-1, *graph.source.shape).astype(np.int64)
    ours = ran(graph, given, ("4-dense",))["4-dense"]
    yield "ntidigits", ours[:-1], np.load(folder / "output.npy").T[1:]


def _tiny(tests: Path) -> Iterator[Pair]:
    graph, _ = read_netx(tests / "tiny.net")
    bias = _in_our_order(np.load(tests / "gts/tinynet/input_bias.npy")).astype(np.int64)
    first = graph.node("0-input")
    assert isinstance(first, LIF)
    nodes = tuple(replace(first, bias=bias) if node is first else node for node in graph.nodes)
    graph = from_first_input(replace(graph, nodes=nodes))
    theirs = np.load(tests / "gts/tinynet/output.npy")[0].transpose(3, 0, 1, 2)[1:]
    still = np.zeros((2 + len(theirs), *graph.source.shape), np.int64)
    yield "tinynet", ran(graph, still, ("2-conv",))["2-conv"][2:], theirs


def _pilotnet(folder: Path) -> Iterator[Pair]:
    whole, _ = read_netx(folder / "network.net")
    source = Input(name="0-input", shape=whole.source.shape, spikes=True)
    nodes = (source, *(node for node in whole.nodes if node.name not in ("input", "0-input")))
    edges = tuple(edge for edge in whole.edges if edge.dst != "0-input")
    graph = from_first_input(Graph(nodes=nodes, edges=edges, outputs=whole.outputs))
    given = _in_our_order(np.load(folder / "input-s.npy")).astype(np.int64)[:SAMPLE]
    ours = ran(graph, given, tuple(PILOTNET))
    for depth, (name, file) in zip((1, 3, 5, 6, 8), PILOTNET.items(), strict=True):
        theirs = _in_our_order(np.load(folder / f"{file}.npy"))[depth:SAMPLE]
        yield f"pilotnet_lif {name}", ours[name][depth:], theirs
