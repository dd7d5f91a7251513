"""How long the steps of a placed network take: the busiest core, the busiest link, every neuron's update, the barrier.

    t_step = max( synop_s x synops of the busiest core,  update_s x neurons of the fullest,  link_s x messages of the busiest
                  link,  barrier_s )

as in `spikeplan.placement.timing`, but for a stream of inputs: every layer works in every step, on what was sent one step
before. Input from outside takes no link. Every replica does the same, so the load is that of one, but for links.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.graph import Linear
from spikeplan.placement.graph import Graph, Link, reach
from spikeplan.placement.load import lasting
from spikeplan.placement.place import TILES_PER_ROW, CoreUse, Placement, way
from spikeplan.placement.recording import Recording
from spikeplan.placement.timing import Speed

Reals = NDArray[np.float64]
CHUNK = 1 << 22  # values of one table of steps
PARTS = ("synops", "updates", "links", "barrier")


@dataclass(frozen=True, kw_only=True)
class StepLoad:
    """(T,) each: synops of the busiest core, messages of the busiest link; `updates`: neurons of the fullest core. `busiest`: the
    layer with the most synops a step on one core, and that core; `hops`: source -> hops of one message of one replica."""

    synops_T: Reals
    messages_T: Reals
    updates: int
    busiest: tuple[str, int, int]
    hops: dict[str, float]

    def seconds(self, speed: Speed) -> Reals:
        """(T,): how long each step takes."""
        return np.asarray(lasting(self._busy(speed).max(0), speed.barrier_s, speed.barrier_adds))

    def set_by(self, speed: Speed) -> dict[str, float]:
        """Share of the steps in which each part takes longest, the barrier among them also where it comes on top."""
        busy = np.vstack([self._busy(speed), np.full(len(self.synops_T), speed.barrier_s)])
        first = busy.argmax(0)
        return {name: float((first == number).mean()) for number, name in enumerate(PARTS)}

    def _busy(self, speed: Speed) -> Reals:
        updates = np.full(len(self.synops_T), self.updates * speed.update_s)
        return np.stack([self.synops_T * speed.synop_s, updates, self.messages_T * speed.link_s])


def load_of(placement: Placement, graph: Graph, recording: Recording) -> StepLoad:
    """Of every step of a recording.

    >>> load_of(place_graph(graph, LOIHI2), graph, recording).seconds(speed).mean()
    """
    synops, busiest = _synops(placement, graph, recording)
    links, hops = _links(placement, graph, recording)
    return StepLoad(
        synops_T=synops,
        messages_T=_most(links, recording),
        updates=max(use.neurons for use in placement.uses),
        busiest=busiest,
        hops=hops,
    )


def _synops(placement: Placement, graph: Graph, recording: Recording) -> tuple[Reals, tuple[str, int, int]]:
    most, least_mean, busiest = np.zeros(recording.steps), -1.0, (graph.layers[0].name, 0, 0)
    for layer in graph.layers:
        uses, into = placement.of(layer.name), graph.into(layer.name)
        each = np.array([[_a_message(link, use, recording) for link in into] for use in uses])
        if not into:
            continue
        means = each @ np.array([recording.messages[link.src].mean() for link in into])
        if means.max() > least_mean:
            least_mean, worst = float(means.max()), uses[int(means.argmax())]
            busiest = (layer.name, worst.chip, worst.core)
        columns = np.unique(each, axis=0) if len(into) > 1 else each.max(0)[None]
        most = np.maximum(
            most, _most([dict(zip((k.src for k in into), row, strict=True)) for row in columns], recording)
        )
    return most, busiest


def _a_message(link: Link, use: CoreUse, recording: Recording) -> float:
    """Synops on one core for a message of the link's source."""
    if isinstance(link.synapse, Linear):
        return float(use.neurons)
    synapses = reach(link, use.first, use.neurons)
    return float(recording.share(link.src, len(synapses)) @ synapses)


def _most(rows: list[dict[str, float]], recording: Recording) -> Reals:
    """(T,): the largest of several sums of messages, each with weights by source."""
    names = [name for name in recording.messages if any(name in row for row in rows)]
    if not names:
        return np.zeros(recording.steps)
    weights = np.array([[row.get(name, 0.0) for name in names] for row in rows])
    sent = np.stack([recording.messages[name] for name in names])
    each = max(1, CHUNK // len(weights))
    parts = [(weights @ sent[:, at : at + each]).max(0) for at in range(0, recording.steps, each)]
    return np.concatenate(parts)


def _links(placement: Placement, graph: Graph, recording: Recording) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Weights of every link by source, and hops of one message."""
    loads: dict[tuple[Any, ...], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    hops = dict.fromkeys(graph.sources, 0.0)
    layers = {layer.name for layer in graph.layers}
    for link in graph.links:
        if link.src not in layers:
            continue
        copies = _copies(placement, link, recording)
        for replica in range(placement.replicas):
            for line, length, share in _routes(
                placement.of(link.src, replica), placement.of(link.dst, replica), copies
            ):
                loads[line][link.src] += share
                hops[link.src] += length * share / placement.replicas
    return list(map(dict, loads.values())), hops


def _copies(placement: Placement, link: Link, recording: Recording) -> Reals:
    """(sending cores, receiving cores): copies that go from one to the other for a message of the source; one column for all
    where every neuron reaches every core."""
    sending = placement.of(link.src)
    share = recording.share(link.src, int(np.prod(link.before)))
    begins = np.array([use.first for use in sending])
    if isinstance(link.synapse, Linear):
        return np.add.reduceat(share, begins)[:, None]
    return np.stack(
        [np.add.reduceat(share * (reach(link, u.first, u.neurons) > 0), begins) for u in placement.of(link.dst)], axis=1
    )


def _routes(
    sending: list[CoreUse], taking: list[CoreUse], copies: Reals
) -> Iterator[tuple[tuple[Any, ...], int, float]]:
    """(link, hops that it stands for, copies on it)."""
    tiles, rows = _numbered([(use.chip, *use.tile) for use in sending])
    others, columns = _numbered([(use.chip, *use.tile) for use in taking])
    by_row = np.zeros((len(tiles), copies.shape[1]))
    np.add.at(by_row, rows, copies)
    flow = np.zeros((len(tiles), len(others)))
    if copies.shape[1] == 1:
        flow += by_row * np.bincount(columns, minlength=len(others))
    else:
        np.add.at(flow.T, columns, by_row.T)
    here, there = np.array([tile[0] for tile in tiles]), np.array([tile[0] for tile in others])
    for a in np.unique(here):
        for b in np.unique(there):
            if a != b and (share := float(flow[here == a][:, there == b].sum())):
                yield ("chips", int(a), int(b)), TILES_PER_ROW, share
    for i, j in np.argwhere((here[:, None] == there) & (flow > 0)):
        for line in way(int(here[i]), tiles[i][1:], others[j][1:]):
            yield line, 1, float(flow[i, j])


def _numbered(tiles: list[tuple[int, int, int]]) -> tuple[list[tuple[int, int, int]], NDArray[np.intp]]:
    known = list(dict.fromkeys(tiles))
    number = {tile: i for i, tile in enumerate(known)}
    return known, np.array([number[tile] for tile in tiles], dtype=np.intp)
