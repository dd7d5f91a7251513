"""Our operation counts and Loihi 1 energies beside those of other tools, on the same network and the same traces.

    NeuroBench   SynapticOperations of the LIF predictor, of a sigma-delta chain
    sinabs       synops of strided, padded, dilated and grouped convolutions
    SpikingJelly SynOpCounter on a network of its own; the others on theirs, too (profiles.py)
    torch        FLOP of the V-JEPA 2-AC skeleton, two frames, on the meta device
    SANA-FE      Joules of the LIF predictor on Loihi 1, in a process of its own (GPL-3.0)

Each comparison gives rows {name, ours, other, explained, unit, holds, note}: `explained` is what the other tool leaves out by
its definition, and a row holds when ours - explained equals theirs (SANA-FE: within 1 %). Two differences are definitions:

    zero weights   a chip processes every stored synapse; NeuroBench's "effective" operations skip weights of zero
    graded         NeuroBench counts a layer call as accumulates (AC) only if all of its inputs are -1, 0 or 1, else as MACs;
                   we count a message as synops whatever it carries. The numbers are equal, their kind is not

A tool that is not installed gives one row without figures that says so: `make peers` installs them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from spikeplan.core.counts.fan_out import synops
from spikeplan.core.ir.graph import Conv
from spikeplan.core.planning import CEMConfig
from spikeplan.evaluation.shard import Job, make_predictor
from spikeplan.experiments.bench.peers.neurobench import neurobench_delta, neurobench_lif
from spikeplan.experiments.bench.peers.profiles import neurobench_profile, sinabs_profile, spikingjelly_profile
from spikeplan.experiments.bench.peers.rows import NotInstalledError, Row, need, row
from spikeplan.experiments.bench.peers.sanafe import sanafe_loihi1
from spikeplan.worldmodel.mac_counter import count_macs
from spikeplan.worldmodel.vjepa2_ac import VJEPA2ACConfig, VJEPA2ACPredictor

TASK = "two-room"
ROWS, PASSES = 8, 6  # network inputs, and how many predictions in a row each makes
CONVS = {  # name -> (channels in, out, image side, settings)
    "plain": (2, 6, 12, {"kernel_size": 3}),
    "strided": (3, 4, 13, {"kernel_size": 5, "stride": 2, "padding": 1}),
    "dilated": (2, 4, 12, {"kernel_size": 3, "dilation": 2, "padding": 2}),
    "grouped": (4, 8, 9, {"kernel_size": (3, 2), "stride": (2, 3), "padding": (1, 0), "groups": 2}),
}


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
            row(
                f"sinabs_conv_{name}",
                ours,
                other,
                holds=abs(ours - other) < 0.5,  # theirs is a mean in fp32
                note="binary spikes; of a graded message sinabs counts its value, we count one",
            )
        )
    return rows


def conv_of(layer: nn.Conv2d) -> Conv:
    """Our description of a torch convolution with numeric padding."""
    pairs = [tuple(int(v) for v in value) for value in (layer.stride, layer.padding, layer.dilation)]
    return Conv(
        name="conv",
        weight=layer.weight.detach().numpy(),
        stride=(pairs[0][0], pairs[0][1]),
        padding=(pairs[1][0], pairs[1][1]),
        dilation=(pairs[2][0], pairs[2][1]),
        groups=layer.groups,
    )


def torch_macs(generator: torch.Generator) -> list[Row]:
    """torch's own counter, which counts matrix products as they are dispatched, too, but shares no code with ours."""
    config = VJEPA2ACConfig()
    with torch.device("meta"):
        module = VJEPA2ACPredictor(config).eval()
        latent, action = torch.zeros(1, 2, config.patches, config.encoder_width), torch.zeros(1, 2, config.action_dim)
    ours = count_macs(module, latent, action, action).macs.total
    with FlopCounterMode(display=False) as theirs, torch.no_grad():
        module(latent, action, action)
    other = theirs.get_total_flops() // 2
    return [
        row(
            "torch_vjepa2_ac_macs",
            ours,
            other,
            unit="MACs",
            holds=ours == other,
            note="2 FLOP a MAC, masked attention whole",
        )
    ]


def shipped(method: str) -> Any:
    """The shipped network behind the Predictor contract."""
    return make_predictor(Job(task=TASK, method=method, role="agreement", planner=CEMConfig(), episodes=1, count=1))


def _lif(generator: torch.Generator) -> list[Row]:
    predictor = shipped("lif")
    return neurobench_lif(predictor, torch.randn(ROWS, predictor.network.w1.in_features, generator=generator))


def _delta(generator: torch.Generator) -> list[Row]:
    predictor = shipped("sigma_delta")
    d = predictor.latent_dim
    latent = torch.randn(PASSES, ROWS, d, generator=generator) * 0.2
    action = torch.rand(PASSES, ROWS, predictor.network.layers[0].n_in - d, generator=generator) * 0.16 - 0.08
    x = torch.cat([predictor.encode(latent.cumsum(0)), predictor.encode_action(action)], -1)
    return neurobench_delta(predictor, x)


TOOLS: dict[str, Callable[[torch.Generator], list[Row]]] = {
    "neurobench_lif": _lif,
    "neurobench_delta": _delta,
    "neurobench_profile": neurobench_profile,
    "sinabs_profile": sinabs_profile,
    "spikingjelly_profile": spikingjelly_profile,
    "sinabs_conv": sinabs_conv,
    "torch": torch_macs,
    "sanafe": sanafe_loihi1,
}


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
