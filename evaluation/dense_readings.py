"""A spiking network's own function, charged to dense hardware: the opponents that cost no extra episode.

On reference zero the sigma-delta network starts every pass from zero: it is a chain of int8 layers with thresholded ReLUs.
The same actions then come from hardware that computes all of its MACs (`METHOD/full`) and from hardware that skips zero
activations and pays no neuron update for it (`METHOD/skip`). Whatever was trained into the network serves them as well.

A pruned network is charged all of its MACs; `METHOD/skip` is the same network where weights of zero take no MAC, no byte and
no index. Zero activations are computed on both readings.
"""

from __future__ import annotations

from dataclasses import replace

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.evaluation.aggregate import Run, set_memory
from spikeplan.evaluation.bundle import PRUNED_METHODS
from spikeplan.evaluation.shard import make_predictor
from spikeplan.worldmodel.int8 import Int8Predictor


def as_dense(run: Run) -> list[Run]:
    """Both readings of a sigma-delta run, none where its state makes it more than a dense network; that of a pruned one
    without its zeros."""
    if run.op_counts is not None and run.job.method in PRUNED_METHODS:
        return [_without_zeros(run)]
    if run.op_counts is None or run.job.method == "lif" or run.job.reference != "zero" or not run.spiking:
        return []
    return [_read(run, skip) for skip in (False, True)]


def _read(run: Run, skip: bool) -> Run:
    assert run.op_counts is not None
    op_counts = OperationCounts(
        method=f"{run.job.method}/{'skip' if skip else 'full'}", reference="zero", precision="int8", spiking=False
    )
    for (phase, layer, iteration, step), c in run.op_counts.counts():
        if phase == "predictor":
            macs = c.synops if skip else c.dense_macs
            inputs = c.dense_macs * c.calls // c.updates if c.updates else 0  # calls x fan-in
            counts = LayerCounts(
                layer=layer,
                macs=macs,
                dense_macs=c.dense_macs,
                calls=c.calls,
                state_reads=inputs,
                state_writes=c.updates if c.dense_macs else 0,
            )
        elif phase in ("evaluation", "selection"):
            # A distance takes a subtraction and an addition; selection and refit as many additions as synops.
            counts = LayerCounts(layer=layer, acs=c.synops * (2 if phase == "evaluation" else 1))
        else:
            counts = c
        op_counts.add(phase, counts, iteration=iteration, step=step)
    op_counts.actions = run.op_counts.actions
    for phase, words in run.op_counts.host_words.items():
        op_counts.add_host_words(phase, words)
    set_memory(op_counts, run.job)
    return replace(run, job=replace(run.job, method=op_counts.method), op_counts=op_counts)


def _without_zeros(run: Run) -> Run:
    assert run.op_counts is not None
    predictor = make_predictor(run.job)
    assert isinstance(predictor, Int8Predictor)
    kept = predictor.weights_left()
    op_counts = OperationCounts(method=f"{run.job.method}/skip", reference="zero", precision="int8", spiking=False)
    for (phase, layer, iteration, step), c in run.op_counts.counts():
        counts = c
        if phase == "predictor":
            counts = replace(c, macs=c.calls * kept[layer])
        op_counts.add(phase, counts, iteration=iteration, step=step)
    op_counts.actions = run.op_counts.actions
    for phase, words in run.op_counts.host_words.items():
        op_counts.add_host_words(phase, words)
    set_memory(op_counts, run.job)
    for layer, number in kept.items():
        op_counts.set_memory(layer, weight_bytes=number, state_bytes=0)
    return replace(run, job=replace(run.job, method=op_counts.method), op_counts=op_counts)
