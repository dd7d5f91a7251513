"""Error and operations of a converted network by one rule, whoever converted it.

    synops       spikes of a neuron x its synapses, which are the non-zero entries of the network's affine maps
    updates      neurons x time steps, inputs and outputs included; a latency code takes two windows a layer
    operations   synops + 10 updates (core/counts/row.py), per prediction
    error        |found - wanted|^2 / var(wanted), of the chain's output on rows that were not used before

A spike that counts for several (sinabs) is as many spikes; a graded one is one. Inputs are graded and sent once a prediction by
every rate code, ours and theirs. Resets of membranes are not charged to anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from spikeplan.conversion import Calibration
from spikeplan.conversion.tracing import CODE, AffineNet, affine_net, trace
from spikeplan.core.counts.row import UPDATE_WEIGHT
from spikeplan.experiments.bench.converters.networks import Case


@dataclass(frozen=True, kw_only=True)
class Point:
    """One conversion. `recipe`: by what; `label`: by what and how; `binary`: whether all spikes but the inputs' are 0 or 1;
    `weight_bits`: 8, or 32 of floats."""

    recipe: str
    label: str
    time_steps: int
    error: float
    operations: float
    binary: bool
    weight_bits: int = 8


def affine_of(case: Case) -> AffineNet:
    z, a, _ = case.calibration
    data = Calibration(z, a)
    return affine_net(trace(case.module, data), data)


def operations(net: AffineNet, spikes: Mapping[str, Tensor], steps: int) -> float:
    """`spikes`: of each neuron that sends, per prediction (n,). `steps`: in which each neuron is updated."""
    synops = 0.0
    for name, sent in spikes.items():
        fan_out = torch.stack([link.weight.count_nonzero(0) for link in net.links if link.src == name]).sum(0)
        synops += float((sent.double() * fan_out).sum())
    return synops + UPDATE_WEIGHT * steps * sum(net.sizes.values())


def graded_inputs(net: AffineNet) -> dict[str, Tensor]:
    """Spikes of inputs that are each sent once."""
    return {CODE: torch.ones(net.sizes[CODE])}


def error_of(found_ND: Tensor, wanted_ND: Tensor) -> float:
    return float((found_ND.double() - wanted_ND).square().mean() / wanted_ND.double().var(0).mean())
