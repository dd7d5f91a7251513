"""Latency code: every ReLU neuron becomes one that fires at most once a prediction, the earlier the larger its value.

Windows of T steps, one a layer, so that ReLUs are exact but for rounding to T steps (Stanojevic et al. 2023; snn/latency/net.py).
A neuron's window spans its own range: of some parts of the largest value that calibration shows, the one whose rounding and
clipping together have the smallest squared error. Then weights are fine-tuned with a surrogate gradient so that the output comes
back to the module's own, and rounded to 8 bits, a scale a neuron: what a neuron adds up has any unit as long as its ramp has it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn

import torch
from torch import Tensor

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.recipes.base import Built, RecipeKind
from spikeplan.conversion.recipes.surrogate import Batches, fine_tune, report_of, round_weights, step_of
from spikeplan.conversion.tracing import CODE, OUT, AffineNet, Traced, affine_net
from spikeplan.core.errors import UserError
from spikeplan.snn.latency import LatencyNet, LatencyPredictor, LatencySettings
from spikeplan.snn.latency.net import MAX_STEPS
from spikeplan.snn.rate_net import Wire

SPANS = (1.0, 1.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)  # of a neuron's largest value; of equal ones the first
FINEST = 8  # times the time steps, for the comparison with forward
LABEL = "latency code: windows of T steps, one a layer; at most one spike a neuron and prediction"


@dataclass(frozen=True)
class LatencyArtifact:
    """The network, and words about it."""

    net: LatencyNet
    provenance: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class LIFLatency:
    """A latency code with windows of `time_steps` steps.

    Args:
        time_steps: of a window; a value is rounded to that many steps.
        graded_inputs: inputs as one graded spike each, before all windows, instead of timed ones of +1 or -1: exact to 8 bits
            whatever `time_steps` is, but multiplied.
        steps: of fine-tuning on the calibration data; 0 for none.
        rows: of a step of fine-tuning.
        seed: of the batches.

    Raises UserError for settings out of range, and in `build` for a module with more than affine maps and ReLUs.

    >>> spiking = convert(predictor, (latents, actions), LIFLatency(time_steps=16))
    """

    time_steps: int = 16
    graded_inputs: bool = False
    steps: int = 200
    rows: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        LatencySettings(time_steps=self.time_steps, graded_inputs=self.graded_inputs)
        Batches(self.steps, self.rows, self.seed).checked()

    def build(self, traced: Traced, data: Calibration) -> Built[LatencyArtifact]:
        affine = affine_net(traced, data)
        dense = affine.run(data.latent_ND, data.action_NA)
        settings = LatencySettings(time_steps=self.time_steps, graded_inputs=self.graded_inputs)
        net = spanned(affine, dense, settings)
        batches = Batches(self.steps, self.rows, self.seed)
        fine_tune(net, dense[CODE], dense[OUT], batches, time_steps=self.time_steps)
        for name in (*net.groups, OUT):
            round_weights(net.fan_in(name))
        predictor = LatencyPredictor(net, latent_dim=affine.latent_dim, residual=affine.residual)
        finest = replace(settings, time_steps=min(MAX_STEPS, FINEST * self.time_steps))
        return Built(
            network=LatencyArtifact(net, {"recipe": f"{self}", "time_steps": self.time_steps}),
            report=report_of(affine, net, dense, _read, LABEL),
            residual=affine.residual,
            running=step_of(net, affine.residual),
            finest=step_of(spanned(affine, dense, finest), affine.residual),
            predictor=lambda: predictor,
            save=_save,
        )


def spanned(net: AffineNet, dense: dict[str, Tensor], settings: LatencySettings) -> LatencyNet:
    """Weights in windows: W x top of the sender / top of the receiver. Raises UserError for a layer that is always zero."""
    tops = {CODE: top_of(dense[CODE], settings.input_steps), OUT: torch.ones(1)}
    for group in net.groups:
        if not bool(dense[group.name].any()):
            raise UserError(f"{net.where(group.name)}: no neuron of it is ever above 0; train the network first")
        tops[group.name] = top_of(dense[group.name], settings.time_steps)
    tops = {name: top.double() for name, top in tops.items()}
    weights = {Wire(la.src, la.dst): la.weight * tops[la.src] / tops[la.dst].view(-1, 1) for la in net.links}
    biases = {name: bias / tops[name] for name, bias in net.biases.items()}
    return LatencyNet([group.name for group in net.groups], weights, biases, tops[CODE], settings)


def top_of(values_Nn: Tensor, time_steps: int) -> Tensor:
    """The value that a whole window stands for (n,), with the smallest squared error of rounding and clipping over SPANS.

    A neuron that is never above 0 gets its layer's largest.
    """
    size_Nn = values_Nn.abs()
    largest_n = size_Nn.amax(0)
    largest_n = torch.where(largest_n > 0, largest_n, largest_n.max().clamp_min(1e-12))
    best_n, least_n = largest_n, torch.full_like(largest_n, torch.inf)
    for span in SPANS:
        unit_n = span * largest_n / time_steps
        error_n = ((size_Nn / unit_n).add(0.5).floor().clamp(max=time_steps) * unit_n - size_Nn).square().mean(0)
        best_n = torch.where(error_n < least_n, span * largest_n, best_n)
        least_n = torch.minimum(error_n, least_n)
    return best_n


def _read(left_Nn: Tensor, values_Nn: Tensor) -> tuple[Tensor, float]:
    """Densities are spikes a neuron and prediction."""
    scale_n = (values_Nn * left_Nn).sum(0) / left_Nn.square().sum(0).clamp_min(1e-12)  # of a step, after fine-tuning
    return left_Nn * scale_n, float(left_Nn.ne(0).double().mean())


def _save(path: str | os.PathLike[str]) -> NoReturn:
    raise UserError(
        f"{path}: a lif_latency network has no file form, since no neuron of a network graph drops its current at a set step; "
        "keep the module and convert it again with the same seed"
    )


RECIPE = RecipeKind(name="lif_latency", make=LIFLatency, has_file=False)
