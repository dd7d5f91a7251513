"""Networks of other frameworks as they export them to NIR, and the spikes that they fire themselves.

Three biased layers each, on the same random spikes. What NIR does not say comes with each export: the seconds of a step in the
file's own unit, and whether the framework decays by Euler's step or an exponential.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from spikeplan.conversion.nir import read_nir
from spikeplan.core.ir.graph import Graph
from spikeplan.core.ir.graph.reference import Running

STEPS, INPUTS, HIDDEN, OUTPUTS, RATE = 200, 8, 16, 5, 0.4


@dataclass(frozen=True, kw_only=True)
class Export:
    """graph: of NIR; spikes: the framework's own, (steps, outputs); reading: settings of `read_nir`."""

    graph: Any
    spikes: NDArray[Any]
    reading: dict[str, Any]


def train() -> NDArray[np.float32]:
    return (np.random.default_rng(0).random((STEPS, INPUTS)) < RATE).astype(np.float32)


def _linears(*, gain: float, shift: float) -> tuple[nn.Linear, nn.Linear, nn.Linear]:
    """The same weights for every framework, at a size that makes its neurons fire."""
    generator = torch.Generator().manual_seed(0)
    made = []
    for n_in, n_out in ((INPUTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, OUTPUTS)):
        linear = nn.Linear(n_in, n_out)
        with torch.no_grad():
            linear.weight.copy_(gain * (torch.rand(n_out, n_in, generator=generator) - 0.5) * 2 / n_in**0.5 + shift)
            linear.bias.copy_(gain * 0.1 * torch.rand(n_out, generator=generator))
        made.append(linear)
    return made[0], made[1], made[2]


@torch.no_grad()
def _stepped(network: Callable[[torch.Tensor], torch.Tensor]) -> NDArray[Any]:
    return np.array([network(torch.from_numpy(x)[None])[0].numpy() for x in train()])


def snntorch_export() -> Export:
    import snntorch as snn
    from snntorch.export_nir import export_to_nir

    def leaky(n: int, beta: float) -> Any:
        parameters = {"beta": torch.full((n,), beta), "threshold": torch.ones(n)}
        return snn.Leaky(**parameters, reset_mechanism="zero", reset_delay=False, init_hidden=True)

    one, two, three = _linears(gain=1.5, shift=0.15)
    network = nn.Sequential(one, leaky(HIDDEN, 0.9), two, leaky(HIDDEN, 0.8), three, leaky(OUTPUTS, 0.95))
    spikes = _stepped(network)
    return Export(graph=export_to_nir(network, torch.zeros(INPUTS)), spikes=spikes, reading={"dt_s": 1e-4})


def norse_export() -> Export:
    """Norse writes tau = dt / tau_mem_inv where NIR means 1 / tau_mem_inv: its unit of time is a thousandth of a second."""
    import norse.torch as norse

    def lif(n: int, rate: float) -> Any:
        ones = torch.ones(n)
        values = {"tau_mem_inv": rate * ones, "v_leak": 0 * ones, "v_th": ones, "v_reset": 0 * ones}
        return norse.LIFBoxCell(norse.LIFBoxParameters(**values))

    one, two, three = _linears(gain=9.0, shift=0.9)
    cells = (lif(HIDDEN, 200.0), lif(HIDDEN, 300.0), lif(OUTPUTS, 150.0))
    network: Any = norse.SequentialState(one, cells[0], two, cells[1], three, cells[2])
    state: Any = None
    rows = []
    with torch.no_grad():
        for x in train():
            out, state = network(torch.from_numpy(x)[None], state)
            rows.append(out[0].numpy())
    graph = norse.to_nir(network, torch.zeros(1, INPUTS))
    return Export(graph=graph, spikes=np.array(rows), reading={"dt_s": 1e-6})


def sinabs_export() -> Export:
    """Its unit of time is the step, and a membrane decays by an exponential. By default a neuron of it may fire more than once a
    step, which NIR cannot say."""
    import sinabs.layers as layers
    from sinabs.activation import MembraneReset, SingleSpike
    from sinabs.nir import to_nir

    single: dict[str, Any] = {"reset_fn": MembraneReset(), "spike_fn": SingleSpike}

    def lif(n: int, tau: float) -> Any:
        return layers.LIF(tau_mem=torch.full((n,), tau), spike_threshold=torch.ones(n), **single)

    one, two, three = _linears(gain=6.0, shift=0.5)
    last = layers.IAF(spike_threshold=torch.ones(OUTPUTS), **single)
    network = nn.Sequential(one, lif(HIDDEN, 10.0), two, lif(HIDDEN, 5.0), three, last)
    data = torch.from_numpy(train())[None]
    with torch.no_grad():
        spikes = network(data)[0].numpy()
    return Export(graph=to_nir(network, data), spikes=spikes, reading={"dt_s": 1.0, "decay": "exact"})


def spikingjelly_export() -> Export:
    from spikingjelly.activation_based import functional, neuron, nir_exchange

    one, two, three = _linears(gain=4.0, shift=0.4)
    cells = (
        neuron.LIFNode(tau=4.0, v_reset=0.0, decay_input=True),
        neuron.LIFNode(tau=3.0, v_reset=0.0, decay_input=False),
        neuron.IFNode(v_reset=0.0),
    )
    network = nn.Sequential(one, cells[0], two, cells[1], three, cells[2])
    functional.reset_net(network)
    spikes = _stepped(network)
    functional.reset_net(network)
    return Export(
        graph=nir_exchange.export_to_nir(network, torch.zeros(1, INPUTS)), spikes=spikes, reading={"dt_s": 1e-4}
    )


EXPORTS: dict[str, Callable[[], Export]] = {
    "snntorch": snntorch_export,
    "norse": norse_export,
    "sinabs": sinabs_export,
    "spikingjelly": spikingjelly_export,
}


def read_back(export: Export) -> Graph:
    """The exported file as our graph."""
    import nir

    with tempfile.TemporaryDirectory() as folder:
        nir.write(Path(folder) / "net.nir", export.graph)
        return read_nir(Path(folder) / "net.nir", **export.reading)


def fired(graph: Graph) -> NDArray[Any]:
    """Our spikes on the same train, in the step in which the framework fires."""
    running, (out,) = Running(graph), graph.outputs
    return np.array([running.step({graph.source.name: x})[out] for x in train().astype(np.int64)])
