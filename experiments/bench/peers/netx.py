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

from spikeplan.conversion.netx import read_netx
from spikeplan.conversion.netx_write import write_netx
from spikeplan.core.ir.network import Conv, Dense, Layer, Network, SDNeuron, Shape
from spikeplan.experiments.bench.rows import BenchRow
from spikeplan.lava_procs import child
from spikeplan.lava_procs.network_run import run_network

STEPS, ROUNDS = 200, 3
TIMEOUT_S = 300.0
PILOTNET = "pilotnet_sdnn/network.net"
NOT_INSTALLED = "lava-dl 0.6.0 not installed; run `make peers`"


def random_network(input_shape: Shape, plan: tuple[int | tuple[int, int], ...], *, seed: int) -> Network:
    """`plan`: an integer for a dense layer, (channels, stride) for a 3x3 conv. Weights near 64, which netx takes for 1."""
    rng = np.random.default_rng(seed)
    layers = [Layer(name="in", shape=input_shape, neuron=SDNeuron(kind="delta", vth=2))]
    for number, entry in enumerate(plan):
        before = layers[-1].shape
        n_in = int(np.prod(before)) if isinstance(entry, int) else before[0] * 9
        size = (entry, n_in) if isinstance(entry, int) else (entry[0], before[0], 3, 3)
        weight = np.clip(np.rint(rng.normal(0, 90 / n_in**0.5, size)), -120, 120).astype(np.int64)
        weight.reshape(-1)[0], weight.reshape(-1)[-1] = 7, -9  # odd, of both signs, whatever was drawn
        synapse: Dense | Conv
        if isinstance(entry, int):
            synapse = Dense(weight=weight)
        else:
            synapse = Conv(weight=weight, stride=(entry[1], entry[1]), padding=(1, 0))
        shape = synapse.shape_after(before)
        bias = np.broadcast_to(rng.integers(-20, 40, shape[0]).reshape(-1, *[1] * (len(shape) - 1)), shape).copy()
        neuron = SDNeuron(kind="sigma_delta", vth=3, bias=bias)
        layers.append(Layer(name=f"l{number}", shape=shape, neuron=neuron, synapse=synapse))
    return Network(input_shape=input_shape, layers=tuple(layers))


NETWORKS: dict[str, Callable[[], Network]] = {
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
    network, _ = read_netx(file)
    ours_s, theirs_s, different, compared, busy = [], [], 0, 0, 0.0
    for number in range(rounds):
        inputs = walk(network.input_shape, steps, seed=3 + number)
        ours = run_network(
            network, inputs, workdir=folder / f"ours-{number}", timeout_s=TIMEOUT_S, residue="lost", counts=False
        )
        theirs, seconds = run_netx(file, inputs, folder / f"netx-{number}")
        different += int((ours.out != theirs).sum())
        compared, busy = compared + ours.out.size, float(np.mean(theirs != 0))
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
