"""Rate code: every ReLU neuron becomes a spiking one that fires as often, over T time steps, as its value is large.

Thresholds are balanced with the calibration data (Diehl et al. 2015): a neuron at the top of its range fires in every step.
Then weights are fine-tuned with a surrogate gradient so that the output comes back to the module's own, and rounded to 8 bits,
a scale a neuron.
The file is a network graph (core/ir/graph): an input is held for T steps, and the last output counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.recipes.base import Built, RecipeKind
from spikeplan.conversion.recipes.surrogate import Batches, fine_tune, report_of, round_weights, step_of
from spikeplan.conversion.tracing import OUT, AffineNet, Traced, affine_net
from spikeplan.core.errors import UserError
from spikeplan.core.ir.graph import file as graph_file
from spikeplan.snn.rate_net import CODE, RateNet, RateSettings, Wire
from spikeplan.snn.rate_predictor import RatePredictor

TOP_QUANTILE = 0.999
FINEST = 8  # times the time steps, for the comparison with forward
LABEL = "rate code: T binary time steps a prediction, every prediction from rest"


@dataclass(frozen=True)
class RateArtifact:
    """The network, and words about it."""

    net: RateNet
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LIFRate:
    """A rate code of `time_steps` steps.

    Args:
        time_steps: of a prediction; the error of a neuron's value is about half a step of that many.
        beta: what a membrane keeps from step to step; 1 integrates.
        steps: of fine-tuning on the calibration data; 0 for none.
        rate_weight: of the mean spikes a neuron and step in the loss.
        seed: of the batches.

    Raises UserError for settings out of range, and in `build` for a module with more than affine maps and ReLUs.

    >>> spiking = convert(predictor, (latents, actions), LIFRate(time_steps=8))
    """

    time_steps: int = 16
    beta: float = 1.0
    steps: int = 200
    rate_weight: float = 0.01
    rows: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        RateSettings(time_steps=self.time_steps, beta=self.beta)
        Batches(self.steps, self.rows, self.seed).checked()
        if not 0 <= self.rate_weight < float("inf"):
            raise UserError(f"recipe: rate_weight {self.rate_weight} must be >= 0 and finite")

    def build(self, traced: Traced, data: Calibration) -> Built[RateArtifact]:
        affine = affine_net(traced, data)
        dense = affine.run(data.latent_ND, data.action_NA)
        settings = RateSettings(time_steps=self.time_steps, beta=self.beta)
        net = balanced(affine, dense, settings)
        fine_tune(
            net,
            dense[CODE],
            dense[OUT],
            Batches(self.steps, self.rows, self.seed),
            time_steps=self.time_steps,
            rate_weight=self.rate_weight,
        )
        for name in (*net.groups, OUT):
            round_weights(net.fan_in(name))
        artifact = RateArtifact(net, {"recipe": f"{self}", "time_steps": self.time_steps})
        predictor = RatePredictor(net, latent_dim=affine.latent_dim, residual=affine.residual)
        return Built(
            network=artifact,
            report=report_of(affine, net, dense, partial(_read, self.time_steps), LABEL),
            residual=affine.residual,
            running=step_of(net, affine.residual),
            finest=step_of(_longer(affine, dense, settings), affine.residual),
            predictor=lambda: predictor,
            save=lambda path: graph_file.save(replace(net.graph(), provenance=artifact.provenance), path),
        )


def balanced(net: AffineNet, dense: dict[str, Tensor], settings: RateSettings) -> RateNet:
    """Weights in thresholds: W x top of the sender / top of the receiver. Raises UserError for a layer that is always zero."""
    tops: dict[str, float] = {CODE: 1.0, OUT: 1.0}
    for group in net.groups:
        values = dense[group.name].flatten()
        k = max(1, int(len(values) * TOP_QUANTILE))
        tops[group.name] = float(values.kthvalue(k).values) or float(values.max())
        if tops[group.name] <= 0:
            raise UserError(f"{net.where(group.name)}: no neuron of it is ever above 0; train the network first")
    weights = {Wire(la.src, la.dst): la.weight * (tops[la.src] / tops[la.dst]) for la in net.links}
    half = 0.5 / settings.time_steps  # of a threshold, over all steps: counts are rounded and not floored
    biases = {name: bias / tops[name] + (0.0 if name == OUT else half) for name, bias in net.biases.items()}
    return RateNet([group.name for group in net.groups], weights, biases, settings)


def _longer(affine: AffineNet, dense: dict[str, Tensor], settings: RateSettings) -> RateNet:
    """Without fine-tuning and with many more steps: what the code itself computes."""
    return balanced(affine, dense, replace(settings, time_steps=min(1024, FINEST * settings.time_steps)))


def _read(time_steps: int, count_Nn: Tensor, values_Nn: Tensor) -> tuple[Tensor, float]:
    """Densities are spikes a neuron and step."""
    rate_Nn = count_Nn / time_steps
    scale = values_Nn.square().sum() / (rate_Nn * values_Nn).sum().clamp_min(1e-12)
    return rate_Nn * scale, float(rate_Nn.mean())


RECIPE = RecipeKind(name="lif_rate", make=LIFRate)
