"""What a sigma-delta network says of itself to whoever counts, places or plans with it: predictor and policy alike."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from spikeplan.core.chips import ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS, limit
from spikeplan.core.groups import NeuronGroups, network_of
from spikeplan.core.ir.artifact import Artifact, Layer
from spikeplan.snn.delta import DeltaNetwork


class DeltaOnChip:
    """A sigma-delta network whose artifact has the scales of latent and action.

    `what`: the word for it in an error. `sparse`: weights of zero are not stored, each other one with the byte that says where.
    `shared`: inputs that candidates have in common are sent once and kept as a bias (core/counts/once.py).
    Raises UserError for a missing scale, for an artifact that is no such network, and for one that cannot share.
    """

    spiking = True
    precision = "int8"

    def __init__(self, artifact: Artifact, what: str, *, sparse: bool = False, shared: bool = False) -> None:
        self.network, self.sparse = DeltaNetwork(artifact, sparse=sparse), sparse
        self.shared = shared
        if shared and not (artifact.is_chain and artifact.passes == 1):
            raise UserError(f"artifact: the {what} branches or takes several passes; plan without shared work")
        missing = {"latent", "action"} - artifact.scales.keys()
        if missing:
            raise UserError(f"artifact: scale {', '.join(sorted(missing))} is missing; convert the {what} again")
        self.latent_scale, self.action_scale = artifact.scales["latent"], artifact.scales["action"]

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        passes = self.network.artifact.passes
        return self.network.depth + passes - 1, passes

    def memory(self) -> dict[str, tuple[int, int]]:
        """int8 weights, 24-bit states: sigma and ref where a layer has both."""
        return {
            layer.name: (
                self._weight_bytes(layer),
                layer.n_out * 3 * (2 if layer.kind == "sigma_delta" else 1),
            )
            for layer in self.network.layers
        }

    def _weight_bytes(self, layer: Layer) -> int:
        if layer.weight is None:
            return 0
        return 2 * int(np.count_nonzero(layer.weight)) if self.sparse else layer.weight.size

    def weights_left(self) -> dict[str, int]:
        """Weights that are not zero, by layer."""
        return {la.name: int(np.count_nonzero(la.weight)) for la in self.network.layers if la.weight is not None}

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups:
        """The groups of neurons that a placement puts on cores. `contexts`: stored states a neuron keeps beside its own."""
        return network_of(self.network.artifact, contexts=contexts)

    def encode(self, latent: Tensor) -> Tensor:
        """Real latent -> integer latent, saturated to 24 bits."""
        return self._saturated((latent / self.latent_scale).round())[0]

    def _saturated(self, integer: Tensor) -> tuple[Tensor, int]:
        """Within the state's width, and how many values were not."""
        top = float(limit(STATE_BITS))
        inside = integer.clamp(-top, top)
        over = 0 if integer.equal(inside) else int((inside != integer).sum())
        return inside.to(self.network.dtype), over
