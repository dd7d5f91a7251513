"""Spikes that our LIF and Lava's own fire differently on the same random train, fixed and floating."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from spikeplan.core.ir.network import Dense, Layer, LIFNeuron, Network
from spikeplan.lava_procs.network_run import run_network

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


def network_of(case: Case) -> Network:
    """12 inputs, layers of 16 and 9 LIF neurons, random even weights (Lava's Dense keeps no odd ones)."""
    rng, inputs = np.random.default_rng(3), 12
    layers: list[Layer] = []
    kind = np.int64 if isinstance(case.du, int) else np.float64
    for n, low in ((16, -case.top), (9, -case.top // 2)):
        weight = (2 * rng.integers(low, case.top, (n, inputs))).astype(kind)
        du, dv, vth, bias = (np.full(n, value, kind) for value in (case.du, case.dv, case.vth, case.bias))
        neuron = LIFNeuron(du=du, dv=dv, vth=vth, bias=bias, bias_exp=case.bias_exp)
        layers.append(Layer(name=f"lif{len(layers)}", shape=(n,), synapse=Dense(weight=weight), neuron=neuron))
        inputs = n
    return Network(input_shape=(12,), layers=tuple(layers), graded_input=False)


def spikes_of(case: Case, folder: Path, *, form: str, steps: int) -> NDArray[Any]:
    """Output spikes (steps, 9)."""
    train = (np.random.default_rng(4).random((steps, 12)) < 0.3).astype(np.int64)
    return run_network(network_of(case), train, workdir=folder, timeout_s=TIMEOUT_S, form=form).out


def stock_difference(folder: Path, steps: int = 1000) -> tuple[int, list[float]]:
    """Spikes that differ, and the share of neurons and steps that fire in each case: silence would agree, too."""
    different, rates = 0, []
    for number, case in enumerate(CASES):
        ours, theirs = (
            spikes_of(case, folder / f"{number}-{form}", form=form, steps=steps) for form in ("lif", "stock")
        )
        different += int((ours != theirs).sum())
        rates.append(float((ours != 0).mean()))
    return different, rates
