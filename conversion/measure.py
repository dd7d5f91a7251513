"""Errors and densities of a converted network, against the dense one on the same inputs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.report import LayerReport, Report
from spikeplan.conversion.tracing import CODE, OUT, AffineNet
from spikeplan.core.errors import UserError
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta import DeltaNetwork
from spikeplan.snn.delta_predictor import DeltaPredictor


@torch.no_grad()
def measure(
    artifact: Artifact, net: AffineNet, data: Calibration, dense: dict[str, Tensor], state_lsb: dict[str, float]
) -> Report:
    """Layer by layer, of one pass from the zero state. `dense`: what `net.run` gave; `state_lsb`: real values a state LSB.

    Raises UserError that names a layer which sends nothing at its threshold.
    """
    network = DeltaNetwork(artifact)
    latent, action = artifact.scales["latent"], artifact.scales["action"]
    x = torch.cat([(data.latent_ND / latent).round(), (data.action_NA / action).round()], -1).to(network.dtype)
    done, state = network.run(x, None)
    of_inputs = torch.cat(
        [torch.full((data.latent_ND.shape[1],), latent), torch.full((data.action_NA.shape[1],), action)]
    )
    rows: dict[str, LayerReport] = {}
    for i, layer in enumerate(artifact.layers):
        lsb = state_lsb[layer.name]
        if layer.name == OUT:
            approx = done.value_RD * latent
        else:
            approx = state[i].told * (of_inputs if layer.name == CODE else lsb)
        error = (approx - dense[layer.name]).square().mean() / dense[layer.name].var().clamp_min(1e-12)
        sent = done.messages[i]
        rows[layer.name] = LayerReport(
            nmse=float(error),
            density=float((sent != 0).double().mean()),
            saturated=done.saturated[i] / sent.numel(),
            threshold_lsb=layer.threshold_lsb,
            threshold=layer.threshold_lsb * lsb,
        )
        if layer.name != OUT and rows[layer.name].density == 0:
            least = layer.threshold_lsb <= 1 << layer.shift
            raise UserError(
                f"{net.where(layer.name)}: its threshold {layer.threshold_lsb * lsb:.4g} silences it on all "
                f"{len(sent)} calibration inputs; {'give the recipe more bits' if least else 'lower its thresholds'}"
            )
    return Report(rows, artifact.synapses)


def one_step(artifact: Artifact) -> Callable[[Tensor, Tensor], Tensor]:
    """One prediction of rows by the network itself, from the zero state: (N, D), (N, A) -> (N, D)."""

    def run(latent_ND: Tensor, action_NA: Tensor) -> Tensor:
        spiking = DeltaPredictor(artifact)
        state = spiking.begin(latent_ND[:1], action_NA[None, :, None], "zero")
        after, _, _ = spiking.step(latent_ND[None], action_NA[None], state)
        return after[0]

    return run
