"""convert(predictor, calibration, recipe) -> network and a per-layer report. Nothing is skipped silently."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikeplan.conversion.calibration import Calibration, chain_of
from spikeplan.conversion.recipes import Recipe
from spikeplan.core.chips import ChipLimits
from spikeplan.core.fit import Violation, groups_of, split, violations
from spikeplan.core.ir.artifact import Artifact
from spikeplan.snn.delta import DeltaNetwork


@dataclass(frozen=True)
class LayerReport:
    """How well one layer was converted.

    Args:
        nmse: squared error of the layer's reconstructed output over its variance.
        density: share of neurons that send a graded spike.
        saturated: share of graded spikes that were clipped.
        threshold_lsb: the threshold in state LSB.
        threshold: the same in real units.

    >>> report.layers["h1"].density
    """

    nmse: float
    density: float
    saturated: float
    threshold_lsb: int
    threshold: float


@dataclass(frozen=True)
class Report:
    """A `LayerReport` for each layer, by its name, and the number of synapses of the network.

    >>> artifact, report = convert(predictor, data, SigmaDelta())
    >>> report.layers["h1"].nmse
    """

    layers: dict[str, LayerReport]
    synapses: int

    def as_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries, ready for JSON."""
        return {"synapses": self.synapses, "layers": {name: asdict(row) for name, row in self.layers.items()}}


def convert(
    predictor: nn.Module, calibration: Calibration, recipe: Recipe, **provenance: Any
) -> tuple[Artifact, Report]:
    """Dense residual predictor -> spiking network and a report of each layer's error.

    Args:
        predictor: a module whose `net` is a chain `Linear (ReLU Linear)*`; it adds the chain's output to the latent.
        calibration: inputs of real plans, latents (N, D) and actions (N, A); they set scales and thresholds.
        recipe: how neurons code, such as `SigmaDelta()`.
        provenance: words that are stored in the network's header, such as `task="two-room"`.

    Raises UserError that names the first layer which has no exact spiking form.

    >>> artifact, report = convert(model.predictor, Calibration(latent_ND, action_NA), SigmaDelta(bits=8))
    >>> check(artifact, LOIHI2)
    []
    """
    linears = chain_of(predictor)
    artifact = recipe.build(linears, calibration)
    artifact.provenance.update(provenance)
    return artifact, measure(artifact, linears, calibration)


@torch.no_grad()
def measure(artifact: Artifact, linears: list[nn.Linear], data: Calibration) -> Report:
    """Layer-wise error of one pass from the zero state, against the dense network on the same inputs."""
    network = DeltaNetwork(artifact)
    latent, action = artifact.scales["latent"], artifact.scales["action"]
    x = torch.cat([(data.latent_ND / latent).round(), (data.action_NA / action).round()], -1).to(network.dtype)
    done, state = network.run(x, None)
    scale_in = torch.cat(
        [torch.full((data.latent_ND.shape[1],), latent), torch.full((data.action_NA.shape[1],), action)]
    )
    dense: Tensor = torch.cat([data.latent_ND, data.action_NA], -1)
    real_message = 2 ** artifact.layers[0].shift * latent
    rows: dict[str, LayerReport] = {}
    for i, layer in enumerate(artifact.layers):
        if layer.kind == "delta":
            approx, lsb = state[0].told * scale_in, latent
        else:
            dense = linears[i - 1](dense)
            unit = _weight_unit(artifact, linears, i)
            lsb = unit * real_message
            if layer.kind == "sigma":
                approx = done.value_RD * latent
            else:
                dense = dense.relu()
                approx, real_message = state[i].told * lsb, lsb * 2**layer.shift
        error = (approx - dense).square().mean() / dense.var().clamp_min(1e-12)
        sent = done.messages[i]
        rows[layer.name] = LayerReport(
            nmse=float(error),
            density=float((sent != 0).double().mean()),
            saturated=done.saturated[i] / sent.numel(),
            threshold_lsb=layer.threshold_lsb,
            threshold=layer.threshold_lsb * lsb,
        )
    return Report(rows, artifact.synapses)


def _weight_unit(artifact: Artifact, linears: list[nn.Linear], i: int) -> float:
    """Real value of one weight LSB of layer i, from the latent columns that every layer has."""
    layer = artifact.layers[i]
    if layer.kind == "sigma":
        message = artifact.scales["latent"] * 2 ** artifact.layers[0].shift
        for j in range(1, i):
            message *= _weight_unit(artifact, linears, j) * 2 ** artifact.layers[j].shift
        unit: float = artifact.scales["latent"] / message
        return unit
    d = artifact.layers[-1].n_out if i == 1 else layer.n_in
    real = linears[i - 1].weight.detach()[:, :d].abs().max()
    assert layer.weight is not None  # every layer after the coder has one
    return float(real) / int(np.abs(layer.weight[:, :d].astype(int)).max())


def check(artifact: Artifact, chip: ChipLimits) -> list[Violation]:
    """Every limit that the network breaks on one chip of this kind, layer by layer; [] means it fits.

    A placement with no stored contexts breaks the same limits, but for `cores`: it may take several chips. Each `Violation`
    says what was found, what is allowed and a remedy. Raises nothing: a network that does not fit is an answer.

    >>> [violation.limit for violation in check(artifact, LOIHI1)]
    ['message_bits', 'message_bits', 'message_bits', 'message_bits']
    """
    groups = groups_of(artifact)
    cores = split(groups, chip)
    found = list(violations(groups, chip, cores))
    if (needed := sum(cores.values())) > chip.cores:
        remedy = "use several chips or a narrower predictor"
        found.append(Violation("(all)", "cores", needed, chip.cores, remedy, "cores" in chip.assumed))
    return found
