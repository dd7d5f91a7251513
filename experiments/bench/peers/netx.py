"""Rows of `spikeplan bench lava`: networks in netx's format through our one process and through lava-dl's netx itself.

Two random networks, written as HDF5, and PilotNet SDNN where lava-dl brings it along. Both sides read the same file, run on
the same random walk between the same source and recorder, in turns; the best part of the best round counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikeplan.conversion.netx import read_netx, write_netx
from spikeplan.core.ir.graph import Conv, Delta, Graph, Input, Linear, Node, Shape, SigmaDelta, chain
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.lava_procs import child
from spikeplan.lava_procs.graph.run import run_graph

STEPS, ROUNDS = 200, 3
TIMEOUT_S = 300.0
PILOTNET = "pilotnet_sdnn/network.net"
NOT_INSTALLED = "lava-dl 0.6.0 not installed; run `make peers`"


def random_network(input_shape: Shape, plan: tuple[int | tuple[int, int], ...], *, seed: int) -> Graph:
    """`plan`: an integer for a dense layer, (channels, stride) for a 3x3 conv. Weights near 64, which netx takes for 1."""
    rng = np.random.default_rng(seed)
    sending: dict[str, Any] = {"shift": 6, "residue": "lost", "message_bits": 0}
    nodes: list[Node] = [Input(name="input", shape=input_shape, bits=32)]
    nodes.append(Delta(name="in", threshold_lsb=2 << 12, input_exp=12, **sending))
    before = input_shape
    for number, entry in enumerate(plan):
        n_in = int(np.prod(before)) if isinstance(entry, int) else before[0] * 9
        size = (entry, n_in) if isinstance(entry, int) else (entry[0], before[0], 3, 3)
        weight = np.clip(np.rint(rng.normal(0, 90 / n_in**0.5, size)), -120, 120).astype(np.int64)
        weight.reshape(-1)[0], weight.reshape(-1)[-1] = 7, -9  # odd, of both signs, whatever was drawn
        synapse: Linear | Conv
        if isinstance(entry, int):
            synapse = Linear(name=f"l{number}.w", weight=weight, wrap_bits=32)
        else:
            stride = (entry[1], entry[1])
            synapse = Conv(name=f"l{number}.w", weight=weight, stride=stride, padding=(1, 0), wrap_bits=24)
        before = synapse.shape_after((before,))
        bias = np.broadcast_to(rng.integers(-20, 40, before[0]).reshape(-1, *[1] * (len(before) - 1)), before) << 12
        neuron = SigmaDelta(name=f"l{number}", threshold_lsb=3 << 12, bias=bias, target_bits=24, **sending)
        nodes += [synapse, neuron]
    return chain(nodes, delay_steps=1)


NETWORKS: dict[str, Callable[[], Graph]] = {
    "dense": lambda: random_network((64,), (256, 128, 10), seed=1),
    "conv": lambda: random_network((2, 24, 24), ((8, 2), (16, 1), 10), seed=2),
}


def walk(shape: Shape, steps: int, *, seed: int) -> NDArray[np.int64]:
    """An input of which a third changes every step."""
    rng = np.random.default_rng(seed)
    moves = rng.integers(-20, 21, (steps, *shape)) * (rng.random((steps, *shape)) < 1 / 3)
    return np.clip(np.cumsum(moves, 0), -127, 127)


def run_netx(file: Path, inputs: NDArray[np.int64], folder: Path) -> tuple[NDArray[np.int64], float]:
    """Output (T, *output_shape) and seconds a step of lava-dl's netx."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "inputs.npy", inputs)
    job = {
        "netx": str(file.resolve()),
        "inputs": str(folder / "inputs.npy"),
        "record": str(folder / "record.npz"),
        "parent": os.getpid(),
    }
    (folder / "job.json").write_text(json.dumps(job))
    child.run("spikeplan.experiments.bench.peers.netx_worker", folder, TIMEOUT_S)
    with np.load(folder / "record.npz") as found:
        return found["out"], float(found["step_s"])


def netx_installed() -> bool:
    try:
        metadata.version("lava-dl")
    except metadata.PackageNotFoundError:
        return False
    return True


def pilotnet() -> Path | None:
    """lava-dl's wheel carries its own tests, and with them a trained network."""
    for file in metadata.files("lava-dl") or []:
        if str(file).endswith(PILOTNET):
            return Path(str(file.locate()))
    return None


def against_netx(file: Path, folder: Path, *, steps: int = STEPS, rounds: int = ROUNDS) -> dict[str, Any]:
    network, _ = read_netx(file, residue="lost")
    source, (out,) = network.source, network.outputs
    ours_s, theirs_s, different, compared, busy = [], [], 0, 0, 0.0
    for number in range(rounds):
        inputs = walk(source.shape, steps, seed=3 + number)
        ours = run_graph(network, {source.name: inputs}, workdir=folder / f"ours-{number}", timeout_s=TIMEOUT_S)
        theirs, seconds = run_netx(file, inputs, folder / f"netx-{number}")
        different += int((ours.out[out] != theirs).sum())
        compared, busy = compared + ours.out[out].size, float(np.mean(theirs != 0))
        ours_s.append(ours.step_s)
        theirs_s.append(seconds)
    return {"different": different, "compared": compared, "busy": busy, "ours": min(ours_s), "netx": min(theirs_s)}


def netx_rows(folder: Path) -> list[BenchRow]:
    goals = {"netx_values_different": "0", "vs_netx_step": "< 1"}
    if not netx_installed():
        return [BenchRow(name=name, ours=None, unit=NOT_INSTALLED, goal=goal) for name, goal in goals.items()]
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: write_netx(make(), folder / f"{name}.net") for name, make in NETWORKS.items()}
    if (trained := pilotnet()) is not None:
        files["pilotnet"] = trained
    found = {name: against_netx(file, folder / name) for name, file in files.items()}
    different = sum(f["different"] for f in found.values())
    compared = sum(f["compared"] for f in found.values())
    silent = [name for name, f in found.items() if f["busy"] < 0.02]
    unit = f"of {compared:,} output values ({', '.join(found)})" + (f"; silent: {', '.join(silent)}" if silent else "")
    rows = [
        BenchRow(
            name="netx_values_different",
            ours=different,
            unit=unit,
            goal=goals["netx_values_different"],
            holds=different == 0 and not silent,
        )
    ]
    worst = max(found, key=lambda name: found[name]["ours"] / found[name]["netx"])
    for name in (worst, *(name for name in found if name != worst)):
        ours, other = found[name]["ours"] * 1e3, found[name]["netx"] * 1e3
        label = "vs_netx_step" if name == worst else f"vs_netx_step_{name}"
        rows.append(
            BenchRow(
                name=label,
                ours=ours,
                other=other,
                ratio=ours / other,
                unit=f"ms a step, {name}",
                goal=goals["vs_netx_step"],
                holds=ours < other,
            )
        )
    return rows
