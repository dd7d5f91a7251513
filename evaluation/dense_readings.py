"""A network's own function, charged to other hardware: opponents that cost no extra episode.

With reference `zero` the sigma-delta network starts every pass from zero: it is a chain of int8 layers with thresholded
ReLUs. The same actions then come from hardware that computes all of its MACs (`METHOD/dense`) and from hardware that skips
zero activations and pays no neuron update for it (`METHOD/skip`). Whatever was trained into the network serves them as well.

A pruned network is charged all of its MACs; `METHOD/skip` is the same network where weights of zero take no MAC, no byte and
no index. Zero activations are computed on both readings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.evaluation.aggregate import Run
from spikeplan.evaluation.iso_success import family_of

Charge = Callable[[str, LayerCounts], LayerCounts]


def own_function(run: Run) -> list[Run]:
    """Both readings of a sigma-delta run; none where its state makes it more than a dense network."""
    if run.op_counts is None or run.job.reference != "zero":
        return []
    dense = _read(run, "dense", lambda phase, c: _computed(phase, c, c.dense_macs))
    return [dense, _read(run, "skip", lambda phase, c: _computed(phase, c, c.synops))]


def without_zeros(run: Run) -> list[Run]:
    """A pruned network without its zeros."""
    if run.op_counts is None:
        return []
    left = run.weights_left
    read = _read(
        run,
        "skip",
        lambda phase, c: replace(c, macs=_without(c, left[c.layer])) if phase == "predictor" else c,
    )
    assert read.op_counts is not None
    for layer, number in left.items():
        read.op_counts.set_memory(layer, weight_bytes=number, state_bytes=0)
    return [read]


def _without(c: LayerCounts, left: int) -> int:
    """MACs of the weights that are left, of a layer that rows may share in part: as of all inputs."""
    weights = c.state_reads * c.state_writes
    unshared = weights // c.calls if c.calls else 0
    return c.calls * left if c.macs >= unshared else round(c.macs * left * c.calls * c.calls / weights)


def _computed(phase: str, c: LayerCounts, macs: int) -> LayerCounts:
    if phase == "predictor":
        inputs = c.dense_macs * c.calls // c.updates if c.updates else 0  # calls x fan-in
        return LayerCounts(
            layer=c.layer,
            macs=macs,
            dense_macs=c.dense_macs,
            calls=c.calls,
            state_reads=inputs,
            state_writes=c.updates if c.dense_macs else 0,
        )
    if phase in ("evaluation", "selection"):
        # A distance takes a subtraction and an addition, an inner product's term a MAC; selection and refit as many additions as
        # synops.
        if c.dense_macs:
            return LayerCounts(layer=c.layer, macs=c.dense_macs, dense_macs=c.dense_macs)
        return LayerCounts(layer=c.layer, acs=c.synops * (2 if phase == "evaluation" else 1))
    return c


def _read(run: Run, how: str, charge: Charge) -> Run:
    assert run.op_counts is not None
    op_counts = OperationCounts(
        method=f"{run.job.method}/{how}", reference="zero", precision=run.op_counts.precision, spiking=False
    )
    for (phase, _, iteration, step), c in run.op_counts.counts():
        op_counts.add(phase, charge(phase, c), iteration=iteration, step=step)
    op_counts.actions = run.op_counts.actions
    for phase, words in run.op_counts.host_words.items():
        op_counts.add_host_words(phase, words)
    for layer, (weight_bytes, state_bytes) in run.op_counts.memory.items():
        op_counts.set_memory(layer, weight_bytes=weight_bytes, state_bytes=state_bytes)
    job = replace(run.job, method=op_counts.method, with_planner=run.job.planner_name)  # no method of that name
    return replace(run, job=job, family=family_of(op_counts.method), op_counts=op_counts)
