"""A spiking network's own function, charged to dense hardware: the opponents that cost no extra episode.

On axis `none` the sigma-delta network starts every pass from zero: it is a chain of int8 layers with thresholded ReLUs.
The same actions then come from hardware that computes all of its MACs (`ARM/full`) and from hardware that skips zero
activations and pays no neuron update for it (`ARM/skip`). Whatever was trained into the network serves them as well.

A pruned network is charged all of its MACs; `ARM/skip` is the same network where weights of zero take no MAC, no byte and
no index. Zero activations are computed on both readings.
"""

from __future__ import annotations

from dataclasses import replace

from spikeplan.core.counts.ledger import LayerCounts, Ledger
from spikeplan.evaluation.aggregate import Run, set_memory
from spikeplan.evaluation.bundle import PRUNED_ARMS
from spikeplan.evaluation.shard import make_predictor
from spikeplan.worldmodel.int8 import Int8Predictor


def as_dense(run: Run) -> list[Run]:
    """Both readings of a sigma-delta run, none where its state makes it more than a dense network; that of a pruned one
    without its zeros."""
    if run.ledger is not None and run.job.arm in PRUNED_ARMS:
        return [_without_zeros(run)]
    if run.ledger is None or run.job.arm == "lif" or run.job.axis != "none" or not run.spiking:
        return []
    return [_read(run, skip) for skip in (False, True)]


def _read(run: Run, skip: bool) -> Run:
    assert run.ledger is not None
    ledger = Ledger(arm=f"{run.job.arm}/{'skip' if skip else 'full'}", axis="none", precision="int8", spiking=False)
    for (phase, layer, iteration, step), c in run.ledger.counts():
        if phase == "predictor":
            macs = c.synops if skip else c.dense_macs
            inputs = c.dense_macs * c.calls // c.updates if c.updates else 0  # calls x fan-in
            counts = LayerCounts(layer=layer, macs=macs, dense_macs=c.dense_macs, calls=c.calls, state_reads=inputs,
                                 state_writes=c.updates if c.dense_macs else 0)  # fmt: skip
        elif phase in ("evaluation", "selection"):
            # A distance takes a subtraction and an addition; selection and refit as many additions as synops.
            counts = LayerCounts(layer=layer, acs=c.synops * (2 if phase == "evaluation" else 1))
        else:
            counts = c
        ledger.add(phase, counts, iteration=iteration, step=step)
    ledger.actions = run.ledger.actions
    for phase, words in run.ledger.host_words.items():
        ledger.add_host_words(phase, words)
    set_memory(ledger, run.job)
    return replace(run, job=replace(run.job, arm=ledger.arm), ledger=ledger)


def _without_zeros(run: Run) -> Run:
    assert run.ledger is not None
    predictor = make_predictor(run.job)
    assert isinstance(predictor, Int8Predictor)
    kept = predictor.weights_left()
    ledger = Ledger(arm=f"{run.job.arm}/skip", axis="none", precision="int8", spiking=False)
    for (phase, layer, iteration, step), c in run.ledger.counts():
        counts = c
        if phase == "predictor":
            counts = replace(c, macs=c.calls * kept[layer])
        ledger.add(phase, counts, iteration=iteration, step=step)
    ledger.actions = run.ledger.actions
    for phase, words in run.ledger.host_words.items():
        ledger.add_host_words(phase, words)
    set_memory(ledger, run.job)
    for layer, number in kept.items():
        ledger.set_memory(layer, weight_bytes=number, state_bytes=0)
    return replace(run, job=replace(run.job, arm=ledger.arm), ledger=ledger)
