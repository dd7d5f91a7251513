"""Our operation counts and Loihi 1 energies beside those of other tools, on the same network and the same traces.

    NeuroBench   SynapticOperations of the LIF predictor, of a sigma-delta chain
    sinabs       synops of strided, padded, dilated and grouped convolutions
    SANA-FE      Joules of the LIF predictor on Loihi 1, in a process of its own (GPL-3.0)

Each comparison gives rows {name, ours, other, explained, unit, holds, note}: `explained` is what the other tool leaves out by
its definition, and a row holds when ours - explained equals theirs (SANA-FE: within 1 %). Two differences are definitions:

    zero weights   a chip processes every stored synapse; NeuroBench's "effective" operations skip weights of zero
    graded         NeuroBench counts a layer call as accumulates (AC) only if all of its inputs are -1, 0 or 1, else as MACs;
                   we count a message as synops whatever it carries. The numbers are equal, their kind is not

A tool that is not installed gives one row without figures that says so: `make peers` installs them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from energy import estimate
from experiments.jobs import Job, make_predictor
from experiments.sanafe_worker import NOT_INSTALLED
from snn.delta_predictor import DeltaPredictor
from snn.lif import LIFConfig, LIFNetwork, LIFPredictor
from spec.errors import UserError
from spec.fan_out import synops
from spec.ledger import Ledger, LedgerRow, total
from spec.network import Conv
from worldmodel.planner import CEMConfig

Row = dict[str, Any]
TASK = "two-room"
ROWS, PASSES = 8, 6  # network inputs, and how many predictions in a row each makes
SANAFE_LIMIT = 0.01
MESH_HEIGHT = 4  # of SANA-FE's arch/loihi.yaml: 8 x 4 tiles
SANAFE_TIMEOUT_S = 300.0
CONVS = {  # name -> (channels in, out, image side, settings)
    "plain": (2, 6, 12, {"kernel_size": 3}),
    "strided": (3, 4, 13, {"kernel_size": 5, "stride": 2, "padding": 1}),
    "dilated": (2, 4, 12, {"kernel_size": 3, "dilation": 2, "padding": 2}),
    "grouped": (4, 8, 9, {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0), "groups": 2}),
}


class NotInstalledError(Exception):
    """A tool that is compared with is missing; the text says which and what to do."""


def need(*names: str) -> list[Any]:
    """Imports modules of a tool, its warnings muted: they are not ours to mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return [import_module(name) for name in names]
        except ImportError as error:
            raise NotInstalledError(f"{names[0].split('.')[0]}: {error}; `make peers` installs it") from error


def row(
    name: str, ours: float, other: float, *, explained: float = 0, unit: str = "synops", note: str, holds: bool
) -> Row:
    return {
        "name": name,
        "ours": ours,
        "other": other,
        "explained": explained,
        "unit": unit,
        "holds": holds,
        "note": note,
    }


# ---------------------------------------------------------------------------------------------------- NeuroBench
class SpikeBySpike(nn.Module):
    """The LIF network as a chip runs it: the output weights take each step's spikes, not their mean."""

    def __init__(self, net: LIFNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, x_RI: Tensor) -> Tensor:
        net = self.net
        current, value = net.w1(x_RI), x_RI.new_zeros(len(x_RI), net.w3.out_features)
        u1, u2 = torch.zeros_like(current), x_RI.new_zeros(len(x_RI), net.w2.out_features)
        for _ in range(net.config.time_steps):
            s1, u1 = net.lif1(current, u1)
            s2, u2 = net.lif2(net.w2(s1), u2)
            value = value + net.w3(s2)
        return value / net.config.time_steps


class Messages(nn.Module):
    """Linear layers that are fed recorded messages, so that a tool with hooks can watch them."""

    def __init__(self, weights: list[Tensor]) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(w.shape[1], w.shape[0], bias=False) for w in weights])
        with torch.no_grad():
            for layer, weight in zip(self.layers, weights, strict=True):
                assert isinstance(layer, nn.Linear)
                layer.weight.copy_(weight)

    def forward(self, sent: list[Tensor]) -> Tensor:
        for layer, s in zip(self.layers, sent, strict=True):
            out = layer(s)
        return out


def neurobench_counts(module: nn.Module, batches: Iterable[Any]) -> tuple[int, int]:
    """(MACs, ACs) that NeuroBench's SynapticOperations counts while `module` runs over `batches`."""
    metrics, models = need("neurobench.metrics.workload", "neurobench.models")
    metric, model = metrics.SynapticOperations(), models.TorchModel(module)
    model.register_hooks()
    with torch.no_grad():
        for batch in batches:
            out = model(batch)
            metric(model, out, (out, out))
            model.reset_hooks()
    model.cleanup_hooks()
    return int(metric.MAC), int(metric.AC)


def neurobench_lif(predictor: LIFPredictor, x_RI: Tensor) -> list[Row]:
    """The shipped LIF network, its counts from the Predictor contract."""
    module = SpikeBySpike(predictor.network)
    mac, ac = neurobench_counts(module, [x_RI])
    d = predictor.network.w3.out_features
    ours = {c.layer: c for c in predictor.step(x_RI[None, :, :d], x_RI[None, :, d:], None)[2]}
    spikes = _spikes(predictor.network, x_RI)
    net = predictor.network
    zero = sum(
        int((s.sum(0) * (layer.weight == 0).sum(0)).sum()) for s, layer in zip(spikes, (net.w2, net.w3), strict=True)
    )
    code_zero = len(x_RI) * int((net.w1.weight == 0).sum())
    sent = ours["h1"].synops + ours["h2"].synops
    return [
        row("neurobench_lif_spikes", sent, ac, explained=zero, holds=sent - zero == ac, note="ACs; explained: weights of zero"),
        row("neurobench_lif_input", ours["code"].synops, mac, explained=code_zero,
            holds=ours["code"].synops - code_zero == mac,
            note="the graded input: MACs there, synops here; explained: weights of zero"),
    ]  # fmt: skip


def _spikes(net: LIFNetwork, x_RI: Tensor) -> list[Tensor]:
    """Spikes of both hidden layers summed over time, (R, N) each."""
    with torch.no_grad():
        return list(net(x_RI).spikes)


def neurobench_delta(predictor: DeltaPredictor, x_TRI: Tensor) -> list[Row]:
    """The shipped sigma-delta network over predictions that follow one another (rollout axis). x in state LSB."""
    network, state = predictor.network, None
    weights = [w.T for w in network.weight_t[1:]]
    sent, ours = [], 0
    for x_RI in x_TRI:
        done, state = network.run(x_RI.to(network.dtype), state)
        sent.append([s.float() for s in done.messages[:-1]])
        ours += sum(c.synops for c in network.counts(done, rows=len(x_RI), restored_rows=0, dense_rows=len(x_RI)))
    mac, ac = neurobench_counts(Messages(weights), sent)
    zero = sum(
        int(((s != 0).sum(0) * (w == 0).sum(0)).sum()) for step in sent for s, w in zip(step, weights, strict=True)
    )
    values = torch.cat([s.flatten() for step in sent for s in step])
    graded = float((values.abs() > 1).sum() / (values != 0).sum())
    return [
        row("neurobench_delta", ours, mac + ac, explained=zero, holds=ours - zero == mac + ac,
            note=f"explained: weights of zero. Of the operations NeuroBench calls {mac} MACs and {ac} ACs: one message beyond "
                 f"-1, 0, 1 makes a whole layer call MACs, and {graded:.0%} of the messages are beyond"),
    ]  # fmt: skip


# -------------------------------------------------------------------------------------------------------- sinabs
def sinabs_conv(generator: torch.Generator) -> list[Row]:
    (hooks,) = need("sinabs.hooks")
    rows = []
    for name, (n_in, n_out, side, settings) in CONVS.items():
        layer = nn.Conv2d(n_in, n_out, bias=False, **settings)  # type: ignore[arg-type]
        spikes = (torch.rand(10, n_in, side, side, generator=generator) < 0.2).float()
        layer.register_forward_hook(hooks.conv_layer_synops_hook)
        with torch.no_grad():
            layer(spikes)
        other = float(layer.hook_data["layer_synops_per_timestep"]) * len(spikes)  # type: ignore[index]
        ours = synops(spikes.numpy(), conv_of(layer), (n_in, side, side))
        rows.append(
            row(f"sinabs_conv_{name}", ours, other, holds=abs(ours - other) < 0.5,  # theirs is a mean in fp32
                note="binary spikes; of a graded message sinabs counts its value, we count one")
        )  # fmt: skip
    return rows


def conv_of(layer: nn.Conv2d) -> Conv:
    """Our description of a torch convolution with numeric padding."""
    pairs = [tuple(int(v) for v in value) for value in (layer.stride, layer.padding, layer.dilation)]
    return Conv(
        weight=layer.weight.detach().numpy(), stride=pairs[0], padding=pairs[1], dilation=pairs[2], groups=layer.groups  # type: ignore[arg-type]
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------- SANA-FE
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
) -> tuple[list[LedgerRow], dict[str, Any]]:
    """Our ledger of one prediction, and the job that gives SANA-FE the same network and trace.

    SANA-FE gets the first layer's spikes: its neurons and the coding of the input are left out of ours. The output layer is
    read, not sent: all of its updates are idle there.
    """
    net = predictor.network
    d, t = net.w3.out_features, net.config.time_steps
    ledger = Ledger(arm="lif", axis="none", precision="int8", spiking=True, sequential_steps=t + 2, interleaved_steps=t)
    for counts in predictor.step(x_RI[None, :, :d], x_RI[None, :, d:], None)[2]:
        if counts.layer == "h1":
            ledger.add("predictor", replace(counts, updates=0, updates_active=0))
        elif counts.layer == "h2":
            ledger.add("predictor", counts)
        elif counts.layer == "out":
            ledger.add("predictor", replace(counts, updates_active=0))
    way = dict(zip(("h1", "h2"), map(_hops, tiles, tiles[1:]), strict=False))
    rows = [replace(found, hops=found.messages * way.get(found.layer, 0)) for found in ledger.rows("sequential")]
    with torch.no_grad():
        spikes_TN = torch.stack(_first_spikes(net, x_RI))[:, 0]
    job = {
        "spikes": spikes_TN.int().tolist(), "weight2": net.w2.weight.tolist(), "weight3": net.w3.weight.tolist(),
        "threshold": 1.0, "steps": t + 2, "tiles": tiles,
    }  # fmt: skip
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
        [sys.executable, "-m", "experiments.sanafe_worker"], input=json.dumps(job), capture_output=True, text=True,
        timeout=SANAFE_TIMEOUT_S, check=False,
    )  # fmt: skip
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
    at = {ledger: estimate("loihi1_sanafe", rows, 1, ledger=ledger, scope="predictor").nominal for ledger in ("A", "B")}
    energy, fired = other["energy_J"], sum(other["fired2"])
    sent2 = total([found for found in rows if found.layer == "h2"], "messages")
    theirs = {"operations": energy["synapse"] + energy["soma"], "whole": energy["total"]}
    note = f"{total(rows, 'synops')} synops, {total(rows, 'updates')} updates, {total(rows, 'messages')} messages; catalogue's "
    note += "loihi1_sanafe figures"
    return [
        row("sanafe_spikes", sent2, fired, unit="spikes", holds=sent2 == fired,
            note="of the second layer, which both simulate from the first one's spikes"),
        row("sanafe_hops", total(rows, "hops"), other["hops"], unit="hops", holds=total(rows, "hops") == other["hops"],
            note=f"layers on tiles {tiles} of the mesh"),
        *(
            row(f"sanafe_{name}_joules", at[ledger], theirs[name], unit="J",
                holds=abs(at[ledger] / theirs[name] - 1) <= SANAFE_LIMIT, note=f"ledger {ledger}; {note}")
            for name, ledger in (("operations", "A"), ("whole", "B"))
        ),
    ]  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- all
def shipped(arm: str) -> Any:
    """The shipped network behind the Predictor contract."""
    return make_predictor(Job(task=TASK, arm=arm, role="agreement", planner=CEMConfig(), episodes=1, count=1))


def _lif(generator: torch.Generator) -> list[Row]:
    predictor = shipped("lif")
    return neurobench_lif(predictor, torch.randn(ROWS, predictor.network.w1.in_features, generator=generator))


def _delta(generator: torch.Generator) -> list[Row]:
    predictor = shipped("delta")
    d = predictor.latent_dim
    latent = torch.randn(PASSES, ROWS, d, generator=generator) * 0.2
    action = torch.rand(PASSES, ROWS, predictor.network.layers[0].n_in - d, generator=generator) * 0.16 - 0.08
    x = torch.cat([predictor.encode(latent.cumsum(0)), predictor.encode_action(action)], -1)
    return neurobench_delta(predictor, x)


TOOLS: dict[str, Callable[[torch.Generator], list[Row]]] = {
    "neurobench_lif": _lif, "neurobench_delta": _delta, "sinabs_conv": sinabs_conv, "sanafe": sanafe_loihi1,
}  # fmt: skip


def agreement(seed: int = 0) -> list[Row]:
    """Every comparison whose tool is installed; one row that says so for each whose is not."""
    rows: list[Row] = []
    for name, compare in TOOLS.items():
        try:
            rows += compare(torch.Generator().manual_seed(seed))
        except NotInstalledError as missing:
            rows.append(
                {
                    "name": name,
                    "ours": None,
                    "other": None,
                    "explained": None,
                    "unit": "",
                    "holds": None,
                    "note": str(missing),
                }
            )
    return rows


def bench_energy(console: Console) -> list[dict[str, Any]]:
    """The same as rows of `spikeplan bench`; `ours` is what is left after the explained difference."""
    found = []
    for r in agreement():
        known = r["ours"] is not None
        ours = r["ours"] - r["explained"] if known else None
        found.append(
            {"name": r["name"], "ours": ours, "other": r["other"], "ratio": ours / r["other"] if known and r["other"] else None,
             "unit": r["unit"] if known else r["note"], "goal": "within 1 %" if r["unit"] == "J" else "equal",
             "holds": r["holds"]}
        )  # fmt: skip
        console.print(f"{r['name']}: {r['note']}", markup=False)
    return found
