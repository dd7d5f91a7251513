"""Sigma-delta: what `forward` computes, where that is ReLUs and affine maps, as graded signed spikes.

Each ReLU becomes a group of neurons, each affine map between them int8 weights; scales.py says in which units. A layer that is
fed by one other is a layer of a chain; several feeds (skip links, residual blocks) make a network that branches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikeplan.conversion.calibration import Calibration, LayerRange, range_of, whole_weights
from spikeplan.conversion.measure import measure, one_step
from spikeplan.conversion.recipes.base import Built, RecipeKind
from spikeplan.conversion.recipes.scales import WEIGHT_TOP, Scales, scales_of, stretched
from spikeplan.conversion.tracing import CODE, OUT, AffineNet, Traced, affine_net
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.ir.artifact import Artifact, Layer, save
from spikeplan.core.ir.edge import Edge
from spikeplan.snn.delta_predictor import DeltaPredictor

__all__ = ["WEIGHT_TOP", "SigmaDelta"]
FINEST = 1e-9  # times any threshold is below one message LSB, where it stops


@dataclass(frozen=True, kw_only=True)
class SigmaDelta:
    """Graded, signed spikes that carry the change of a neuron's output.

    Args:
        bits: of a graded spike, 2 to 8, its sign included.
        thresholds: one number for all layers or one per sending layer (coder first), in units of the layer's standard deviation.
        absolute: thresholds are real values instead; fine-tuning learns these.

    Raises UserError for other bits and for thresholds that are negative or not finite.

    >>> artifact, report = convert(predictor, data, SigmaDelta(bits=8, thresholds=0.25))
    """

    bits: int = 8
    thresholds: float | tuple[float, ...] = 0.25
    absolute: bool = False

    def __post_init__(self) -> None:
        values = self.thresholds if isinstance(self.thresholds, tuple) else (self.thresholds,)
        if not 2 <= self.bits <= 8:
            raise UserError(f"recipe: {self.bits} bits of a graded spike; use 2 to 8")
        if not all(math.isfinite(t) and t >= 0 for t in values):
            raise UserError(f"recipe: thresholds {values} must be finite and >= 0")

    def build(self, traced: Traced, data: Calibration) -> Built[Artifact]:
        """The network of a traced module, with scales from the calibration data.

        Raises UserError for an operation that is neither affine nor a ReLU, for a number of thresholds that does not fit, and
        for a layer that is always the same.
        """
        net = affine_net(traced, data)
        values = net.run(data.latent_ND, data.action_NA)
        ranges = ranges_of(net, data, values)
        scales = scales_of(net, ranges, limit(self.bits))
        artifact = self.artifact(net, scales, ranges)
        return built(artifact, net, data, values, scales)

    def _thresholds(self, senders: list[str], ranges: dict[str, LayerRange]) -> dict[str, float]:
        """Of each sending layer, in real units."""
        given = self.thresholds if isinstance(self.thresholds, tuple) else (self.thresholds,) * len(senders)
        if len(given) != len(senders):
            raise UserError(f"recipe: {len(given)} thresholds for {len(senders)} sending layers (coder first)")
        spread = [ranges["latent" if name == CODE else name].std for name in senders]
        real = given if self.absolute else tuple(t * s for t, s in zip(given, spread, strict=True))
        return dict(zip(senders, real, strict=True))

    def artifact(self, net: AffineNet, scales: Scales, ranges: dict[str, LayerRange]) -> Artifact:
        """The network in given scales."""
        *senders, _ = net.sizes
        real = self._thresholds(senders, ranges)
        weights = stretched(net, scales.stretch)
        layers, edges, depth = [], [], {CODE: 0}
        for name, size in net.sizes.items():
            shift = scales.shift[name]
            theta = 1 if name == OUT else max(1 << shift, round(real[name] / scales.state[name]))
            if name == CODE:
                layers.append(
                    Layer(
                        name=name,
                        kind="delta",
                        n_in=size,
                        n_out=size,
                        shift=shift,
                        message_bits=self.bits,
                        threshold_lsb=theta,
                    )
                )
                continue
            into = net.into(name)
            depth[name] = 1 + max(depth[link.src] for link in into)
            parts = [whole_weights(weights[link.src, name] / scales.unit[link.src, name]) for link in into]
            alone = len(into) == 1
            layers.append(
                Layer(
                    name=name,
                    kind="sigma" if name == OUT else "sigma_delta",
                    n_in=sum(part.shape[1] for part in parts),
                    n_out=size,
                    weight=parts[0] if alone else np.concatenate(parts, 1),
                    weight_exp=scales.exp[into[0].src, name] if alone else 0,
                    bias=_whole_bias(net, name, scales.state[name]),
                    act="identity" if name == OUT else "relu",
                    shift=shift,
                    threshold_lsb=theta,
                    message_bits=STATE_BITS if name == OUT else self.bits,
                )
            )
            edges += [
                Edge(
                    src=link.src,
                    dst=name,
                    delay_steps=depth[name] - depth[link.src],
                    weight_exp=0 if alone else scales.exp[link.src, name],
                )
                for link in into
            ]
        if net.residual:  # The output is added to the coder's latent inputs as a value, once per prediction.
            edges.append(Edge(src=OUT, dst=CODE, role="residual"))
        return Artifact(
            layers=tuple(layers),
            edges=tuple(edges),
            scales={"latent": scales.latent, "action": scales.action},
            provenance={"recipe": f"{self}"},
        )


def built(
    artifact: Artifact, net: AffineNet, data: Calibration, values: dict[str, Tensor], scales: Scales
) -> Built[Artifact]:
    """A network of sigma-delta neurons, measured, and how it runs. `values`: what the dense one computes on the data."""
    return Built(
        network=artifact,
        report=measure(artifact, net, data, values, scales.state),
        residual=net.residual,
        running=one_step(artifact),
        finest=one_step(artifact.scaled(FINEST)),
        predictor=partial(DeltaPredictor, artifact),
        save=partial(save, artifact),
    )


def ranges_of(net: AffineNet, data: Calibration, values: dict[str, Tensor]) -> dict[str, LayerRange]:
    """Of latent, action and each layer. Raises UserError by name for a layer that is always the same."""
    if float(data.latent_ND.std()) == 0.0:
        raise UserError("calibration: the latents are all the same; record them from real plans")
    for group in net.groups:
        reached = values[group.name]
        if not bool(reached.any()):
            raise UserError(
                f"{net.where(group.name)}: its activations are all zero on the calibration inputs; "
                "give inputs of real plans, or train the network first"
            )
        if bool((reached == reached[:1]).all()):
            raise UserError(
                f"{net.where(group.name)}: its activations are the same for all calibration inputs; "
                "give inputs of real plans that differ"
            )
    latent, action = range_of(data.latent_ND), data.action_NA
    return {
        "latent": LayerRange(latent.top, float(data.latent_ND.std())),
        "action": LayerRange(float(action.abs().max()), float(action.std())),
        **{name: range_of(values[name]) for name in list(net.sizes)[1:]},
    }


def _whole_bias(net: AffineNet, name: str, lsb: float) -> NDArray[np.int32]:
    whole = (net.biases[name] / lsb).round()
    if float(whole.abs().max()) > limit(STATE_BITS):
        raise UserError(
            f"{net.where(name)}: a bias of {float(net.biases[name].abs().max()):.3g} is beyond what its neurons hold "
            f"({limit(STATE_BITS) * lsb:.3g}); give calibration inputs of the size that the network sees, or rescale the layer"
        )
    return whole.to(torch.int32).numpy()


RECIPE = RecipeKind(name="sigma_delta", make=SigmaDelta, untuned={"thresholds": 0.1})
