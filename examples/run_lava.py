"""Run a network in Lava, which simulates Loihi 2, and compare every value with a reference.

    python examples/run_lava.py                             # makes a small NIR network and runs it
    python examples/run_lava.py --network mine.nir          # LIF, from snnTorch, Norse or any tool that writes NIR
    python examples/run_lava.py --network mine.safetensors  # sigma-delta, from `spikeplan convert`

Lava runs in an interpreter of its own, so torch may be imported here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro

from spikeplan.conversion.lif_fixed import quantise
from spikeplan.conversion.nir import read_nir, write_nir
from spikeplan.core.ir.artifact import load
from spikeplan.core.ir.graph import LIF, Graph, Input, Linear, chain, pipelined
from spikeplan.evaluation.lava.replay import Program
from spikeplan.lava_procs import compare, replay
from spikeplan.lava_procs.graph.run import run_graph


@dataclass(frozen=True)
class Settings:
    network: Path | None = None  # .nir or .safetensors; None: a small LIF network is made
    steps: int = 100
    rate: float = 0.3  # share of the inputs that spike in a step
    seed: int = 0
    workdir: Path = Path("lava-run")
    timeout_s: float = 120.0


def small_network(rng: np.random.Generator) -> Graph:
    """8 inputs, 16 hidden, 4 outputs; the membrane keeps 90 % a step."""

    def lif(name: str) -> LIF:
        return LIF(name=name, du=np.ones(1), dv=np.full(1, 0.1), vth=np.ones(1), bias=np.zeros(1))

    first = Linear(name="w1", weight=rng.normal(0.2, 0.4, (16, 8)))
    second = Linear(name="w2", weight=rng.normal(0.2, 0.4, (4, 16)))
    return chain([Input(name="input", shape=(8,), spikes=True), first, lif("hidden"), second, lif("out")])


def run_nir(path: Path, settings: Settings, rng: np.random.Generator) -> dict[str, Any]:
    """Fixed point with a chip's delays, in our executor and in Lava's own processes: the same spikes."""
    network, report = quantise(read_nir(path))
    network = pipelined(network)
    for name, layer in report.items():
        print(f"  quantised {name}: {layer}")
    inputs = (rng.random((settings.steps, *network.source.shape)) < settings.rate).astype(int)
    outputs = [
        run_graph(
            network,
            {network.source.name: inputs},
            workdir=settings.workdir / form,
            timeout_s=settings.timeout_s,
            form=form,
        ).out[network.outputs[0]]
        for form in ("fused", "readable")
    ]
    different = int((outputs[0] != outputs[1]).sum())
    return {"spikes": int(outputs[0].sum()), "compared": outputs[0].size, "different": different}


def run_artifact(path: Path, settings: Settings, rng: np.random.Generator) -> dict[str, Any]:
    """A chain of sigma-delta processes beside the integer reference in PyTorch: messages, states and values."""
    program = Program(load(path))
    coder = program.network.layers[0]
    top = 100 << coder.shift  # a graded spike of 100 of the 127 that 8 bits carry
    for _ in range(settings.steps):
        x = rng.integers(-top, top + 1, coder.n_out)
        program.run(torch.from_numpy(x).to(program.network.dtype))
    passes, reference = program.finish()
    trace = replay(path, passes, timeout_s=settings.timeout_s, workdir=settings.workdir)
    found = compare(reference, trace)
    spikes = sum(int(np.count_nonzero(messages)) for messages in trace.messages.values())
    return {"spikes": spikes, "compared": found.values_compared, "different": found.values_different}


def main(settings: Settings) -> dict[str, Any]:
    rng = np.random.default_rng(settings.seed)
    settings.workdir.mkdir(parents=True, exist_ok=True)
    path = settings.network or write_nir(small_network(rng), settings.workdir / "small.nir")
    run = run_artifact if path.suffix == ".safetensors" else run_nir
    found = run(path, settings, rng)
    print(f"{path}: {found['spikes']} spikes; {found['different']} of {found['compared']} values differ")
    return found


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
