"""Our operation counts Joules on Loihi 1 beside SANA-FE's, on one LIF network and one trace, with the same constants.

The catalogue's `loihi1_sanafe` holds the figures of SANA-FE's own arch/loihi.yaml. SANA-FE runs in a process of its own
(`spikeplan.experiments.bench.peers.sanafe_worker`, GPL-3.0). What may differ: a hop is priced by direction there and at the
mean of two directions
here, since operation counts counts hops without their direction.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spikeplan.core.counts.operations import CountRow, OperationCounts, total
from spikeplan.core.errors import UserError
from spikeplan.energy import Setup, estimate
from spikeplan.experiments.bench.peers.rows import NotInstalledError, Row, row
from spikeplan.experiments.bench.peers.sanafe_worker import NOT_INSTALLED
from spikeplan.snn.lif import LIFConfig, LIFNetwork
from spikeplan.snn.lif_predictor import LIFPredictor

LIMIT = 0.01
MESH_HEIGHT = 4  # of SANA-FE's arch/loihi.yaml: 8 x 4 tiles
TIMEOUT_S = 300.0
ONE_CORE = Setup(chips=1, cores=1)


def sanafe_case(
    generator: torch.Generator, *, sizes: tuple[int, int, int, int], steps: int
) -> tuple[LIFPredictor, Tensor]:
    """A LIF predictor without leak whose weights are multiples of 1/64, SANA-FE's resolution, and one input (1, I)."""
    net = LIFNetwork(sizes[0], (sizes[1], sizes[2]), sizes[3], LIFConfig(time_steps=steps, beta=1.0))
    with torch.no_grad():
        for layer in (net.w1, net.w2, net.w3):
            layer.weight.copy_(torch.randint(-12, 17, layer.weight.shape, generator=generator) / 64)
            layer.weight[0, 0] = 127 / 64  # the largest weight is 127 units, so that rounding to int8 changes none
            layer.bias.zero_()
    return LIFPredictor(net), torch.randint(0, 2, (1, sizes[0]), generator=generator).float()


def sanafe_rows(
    predictor: LIFPredictor, x_RI: Tensor, *, tiles: tuple[int, int, int]
) -> tuple[list[CountRow], dict[str, Any]]:
    """Our operation counts of one prediction, and the job that gives SANA-FE the same network and trace.

    SANA-FE gets the first layer's spikes: its neurons and the coding of the input are left out of ours. The output layer is
    read, not sent: all of its updates are idle there.
    """
    net = predictor.network
    d, t = net.w3.out_features, net.config.time_steps
    op_counts = OperationCounts(
        method="lif", reference="zero", precision="int8", spiking=True, sequential_steps=t + 2, interleaved_steps=t
    )
    for counts in predictor.step(x_RI[None, :, :d], x_RI[None, :, d:], None)[2]:
        if counts.layer == "h1":
            op_counts.add("predictor", replace(counts, updates=0, updates_active=0))
        elif counts.layer == "h2":
            op_counts.add("predictor", counts)
        elif counts.layer == "out":
            op_counts.add("predictor", replace(counts, updates_active=0))
    for name, layer in (("h1", net.w1), ("h2", net.w2), ("out", net.w3)):
        op_counts.set_memory(name, weight_bytes=layer.weight.numel(), state_bytes=0)
    way = dict(zip(("h1", "h2"), map(_hops, tiles, tiles[1:]), strict=False))
    rows = [replace(found, hops=found.messages * way.get(found.layer, 0)) for found in op_counts.rows("sequential")]
    with torch.no_grad():
        spikes_TN = torch.stack(_first_spikes(net, x_RI))[:, 0]
    job = {
        "spikes": spikes_TN.int().tolist(),
        "weight2": net.w2.weight.tolist(),
        "weight3": net.w3.weight.tolist(),
        "threshold": 1.0,
        "steps": t + 2,
        "tiles": tiles,
    }
    return rows, job


def _hops(a: int, b: int) -> int:
    """Between two tiles of the mesh, whose tiles are numbered column by column."""
    return abs(a // MESH_HEIGHT - b // MESH_HEIGHT) + abs(a % MESH_HEIGHT - b % MESH_HEIGHT)


def _first_spikes(net: LIFNetwork, x_RI: Tensor) -> list[Tensor]:
    current = net.w1(x_RI)
    u, spikes = torch.zeros_like(current), []
    for _ in range(net.config.time_steps):
        s, u = net.lif1(current, u)
        spikes.append(s)
    return spikes


def run_sanafe(job: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "spikeplan.experiments.bench.peers.sanafe_worker"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode == NOT_INSTALLED:
        raise NotInstalledError("sanafe does not import; `make peers` installs it")
    if done.returncode:
        raise UserError(f"SANA-FE ended with {done.returncode}: {' '.join(done.stderr.split())[-300:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def sanafe_loihi1(generator: torch.Generator, *, tiles: tuple[int, int, int] = (0, 2, 5)) -> list[Row]:
    predictor, x_RI = sanafe_case(generator, sizes=(12, 64, 48, 10), steps=40)
    rows, job = sanafe_rows(predictor, x_RI, tiles=tiles)
    other = run_sanafe(job)
    at = {
        scope: estimate("loihi1_sanafe", rows, 1, scope=scope, extent="predictor", setup=ONE_CORE)
        for scope in ("compute", "chip")
    }
    seconds = at["chip"].latency_s
    assert seconds is not None
    energy, fired = other["energy_J"], sum(other["fired2"])
    sent2 = total([found for found in rows if found.layer == "h2"], "messages")
    theirs = {"operations": energy["synapse"] + energy["soma"], "whole": energy["total"]}
    note = f"{total(rows, 'synops')} synops, {total(rows, 'updates')} updates, {total(rows, 'messages')} messages; catalogue's "
    note += "loihi1_sanafe figures"
    return [
        row(
            "sanafe_spikes",
            sent2,
            fired,
            unit="spikes",
            holds=sent2 == fired,
            note="of the second layer, which both simulate from the first one's spikes",
        ),
        row(
            "sanafe_hops",
            total(rows, "hops"),
            other["hops"],
            unit="hops",
            holds=total(rows, "hops") == other["hops"],
            note=f"layers on tiles {tiles} of the mesh",
        ),
        *(
            row(
                f"sanafe_{name}_joules",
                at[scope].nominal,
                theirs[name],
                unit="J",
                holds=abs(at[scope].nominal / theirs[name] - 1) <= LIMIT,
                note=f"scope {scope}; {note}",
            )
            for name, scope in (("operations", "compute"), ("whole", "chip"))
        ),
        row(
            "sanafe_seconds",
            float(seconds),
            other["seconds"],
            unit="s",
            holds=abs(float(seconds) / other["seconds"] - 1) <= LIMIT,
            note="SANA-FE's barrier and rates on both sides; here one core does all, there the busiest of three does nearly all",
        ),
    ]
