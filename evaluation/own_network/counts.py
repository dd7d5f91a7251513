"""Operation counts of a network's own run: spiking rows from what its neurons sent, dense rows from its layers.

    synops         messages x the synapses that each sets off, in the row of the layer that sends them
    updates        every neuron in every step; active where it sent a message
    weight_bytes   int8 a synapse; the kernel of a convolution once, as a chip that shares kernels stores it
    state_bytes    24 bits a state word
    chip_steps     the steps of the run, in the first row
    hops           of a placement, else unknown
    host_words     inputs and outputs, in a row of the host: a value a neuron of a coder, else a word a message

`energy compare` reads these rows (`core/counts/exchange.py`), and a placement is priced with the same ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spikeplan.core.counts.operations import CountRow
from spikeplan.placement.graph import INPUT, Graph
from spikeplan.placement.recording import Recording

SCHEDULE = "interleaved"  # every layer works in every step
HOST = "inputs and outputs"


def spiking_rows(
    graph: Graph, recording: Recording, *, method: str, hops: Mapping[str, float] | None = None
) -> list[CountRow]:
    """Of the whole recording, `recording.repeats` times. `hops`: source -> hops of one message.

    >>> dump_rows(spiking_rows(graph, recording, method="lif"), actions=1)
    """
    times, steps = recording.repeats, recording.steps * recording.repeats
    blank = CountRow(method=method, phase="predictor", layer="", reference="zero", schedule=SCHEDULE, precision="int8")
    rows: list[CountRow] = []
    for name in graph.sources:
        sent = recording.total(name) * times
        synops = round(sent * recording.synops_a_message(graph, name))
        outside = name == INPUT and graph.input_bits > 0
        layer = None if outside else graph.layer(name)
        bits = graph.input_bits if layer is None else layer.message_bits
        updates = 0 if layer is None else steps * layer.neurons
        active = 0 if layer is None else min(round(sent), updates)
        known = hops is not None and not outside
        rows.append(
            replace(
                blank,
                layer=name,
                synops=synops,
                updates_active=active,
                updates_idle=updates - active,
                messages=round(sent),
                message_bits=round(sent) * bits,
                hops=round(sent * hops[name]) if known and hops is not None else None,
                weight_bytes=0 if outside else sum(link.stored for link in graph.into(name)),
                state_bytes=0 if layer is None else layer.state_bytes,
                chip_steps=0 if rows else steps,
                weight_reads=synops,
                state_reads=updates,
                state_writes=updates,
            )
        )
    words = outside_words(graph, recording) * times
    return [*rows, replace(blank, phase="host", layer=HOST, host_words=round(words), precision="int32")]


def outside_words(graph: Graph, recording: Recording) -> float:
    """Words that cross the chip's border in the recording."""
    into = recording.total(INPUT) if graph.input_bits else recording.steps * math.prod(graph.input_shape)
    return into + recording.total(graph.layers[-1].name)


def dense_rows(graph: Graph, *, passes: int, batch: int = 1) -> list[CountRow]:
    """Of the same layers in int8, computed densely: their own MACs, weights and activations. The inferences of a batch share a
    read of the weights; the rows are of all of them.

    >>> sum(row.macs for row in dense_rows(graph, passes=1)) == graph.macs
    True
    """
    return [
        CountRow(
            method="int8",
            phase="predictor",
            layer=f"{link.src} to {link.dst}" if len(graph.into(link.dst)) > 1 else link.dst,
            reference="zero",
            schedule="batched",
            rollout_step=number,
            macs=batch * link.macs,
            dense_macs=batch * link.macs,
            weight_bytes=link.stored,
            weight_reads=link.stored,
            state_reads=batch * math.prod(link.before),
            state_writes=batch * math.prod(link.after),
            precision="int8",
        )
        for number in range(passes)
        for link in graph.links
    ]


def scaled(rows: list[CountRow], factor: int, *, chip_steps: int, idle: int) -> list[CountRow]:
    """`factor` times the work in other chip steps, and a row of neurons that update meanwhile without any."""
    names = ("synops", "updates_active", "updates_idle", "messages", "message_bits", "host_words", "weight_reads")
    more = [
        replace(
            row,
            **{name: factor * getattr(row, name) for name in (*names, "state_reads", "state_writes")},
            hops=None if row.hops is None else factor * row.hops,
            chip_steps=chip_steps if row is rows[0] else 0,
        )
        for row in rows
    ]
    if not idle:
        return more
    spare = CountRow(
        method=rows[0].method,
        phase="predictor",
        layer="waiting",
        reference="zero",
        schedule=SCHEDULE,
        updates_idle=idle,
        precision="int8",
    )
    return [*more, spare]


def mean_rate(graph: Graph, recording: Recording) -> float:
    """Messages per neuron and step, over all layers."""
    sent = sum(recording.total(layer.name) for layer in graph.layers)
    return float(sent / recording.steps / np.maximum(1, graph.neurons))
