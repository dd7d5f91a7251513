"""Action-conditioned predictors and the contract every method obeys.

    z[t+1] = z[t] + f(z[t], a[t])      f: ReLU MLP

The residual form is already delta-coded: f's output is the change of its next input.

Contract (structural; spiking predictors in `snn/` obey it too):
    begin(latent_BD, candidates_BSHA, reference, previous=None) -> State
    step(latent_BSD, action_BSA, State) -> latent_BSD, State, [LayerCounts]
`previous` is the State of the last CEM iteration, for the one reference that looks back at it.
Shapes: B episodes, S candidates, H rollout steps, A action, D latent.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from spikeplan.core.chips import ChipLimits
from spikeplan.core.counts.once import Once
from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError
from spikeplan.core.groups import NeuronGroups
from spikeplan.worldmodel.tasks.world import World


class Predictor(Protocol):
    @property
    def references(self) -> tuple[str, ...]: ...
    @property
    def spiking(self) -> bool: ...
    @property
    def precision(self) -> str: ...

    @property
    def pipeline_steps(self) -> tuple[int, int]:
        """Chip steps of one prediction: layers one after the other, and interleaved."""
        ...

    def memory(self) -> dict[str, tuple[int, int]]:
        """Layer -> bytes of its weights and of its states."""
        ...

    def weights_left(self) -> dict[str, int]:
        """Layer -> weights that are not zero."""
        ...

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None:
        """What is placed on a chip of these limits, with `contexts` stored states a neuron; None: it runs on no such chip."""
        ...

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str, previous: Any = None) -> Any: ...
    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: Any) -> tuple[Tensor, Any, list[LayerCounts]]: ...


def check_reference(reference: str, references: tuple[str, ...]) -> None:
    if reference not in references:
        raise UserError(f"reference {reference!r} is not offered by this predictor; use one of {', '.join(references)}")


class ResidualPredictor(nn.Module):
    """Residual ReLU MLP. Its layers are `net`, so that the converter reads them without knowing the class."""

    def __init__(self, latent_dim: int, action_dim: int, hidden: tuple[int, ...] = (256, 256)) -> None:
        super().__init__()
        self.latent_dim, self.action_dim, self.hidden = latent_dim, action_dim, tuple(hidden)
        sizes = (latent_dim + action_dim, *hidden)
        layers: list[nn.Module] = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], latent_dim))

    def forward(self, latent: Tensor, action: Tensor) -> Tensor:
        after: Tensor = latent + self.net(torch.cat([latent, action], -1))
        return after

    def linears(self) -> list[nn.Linear]:
        return [module for module in self.net if isinstance(module, nn.Linear)]


class OffChip:
    """What a predictor answers that runs as one batched pass and on no spiking chip."""

    pipeline_steps = (1, 1)

    def neuron_groups(self, chip: ChipLimits, *, contexts: int = 0) -> NeuronGroups | None:
        return None


class DensePredictor(OffChip):
    """The fp32 network behind the Predictor contract."""

    references = ("zero",)
    spiking = False
    precision = "fp32"

    def __init__(self, module: Any, *, shared: bool = False) -> None:
        """Any module with `latent_dim`, `action_dim` and forward(latent, action); its MACs are counted on one row. `shared`: the
        latent that all candidates start from takes part in the first layer once; for a chain of linears."""
        if shared and not isinstance(module, ResidualPredictor):
            raise UserError(
                f"predictor {type(module).__name__}: only a chain of linears shares its first layer; plan without"
            )
        self.module, self.shared = module.eval(), shared
        self._layers = _layers_of(module)

    def memory(self) -> dict[str, tuple[int, int]]:
        return {la.name: (4 * la.weights, 3 * la.outputs) for la in self._layers}

    def weights_left(self) -> dict[str, int]:
        return {la.name: la.weights_left for la in self._layers}

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str = "zero", previous: Any = None) -> Any:
        check_reference(reference, self.references)
        return _Begun() if self.shared else None

    @torch.no_grad()
    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: Any) -> tuple[Tensor, Any, list[LayerCounts]]:
        rows = latent_BSD.shape[0] * latent_BSD.shape[1]
        saved = 0
        if isinstance(state, _Begun) and not state.moved:
            saved = Once(slice(0, latent_BSD.shape[-1]), len(latent_BSD)).saved(rows)
            state.moved = True
        counts = [
            LayerCounts(
                layer=la.name,
                macs=la.macs * rows - (0 if i else la.outputs * saved),
                dense_macs=la.macs * rows - (0 if i else la.outputs * saved),
                calls=rows,
                state_reads=la.inputs * rows,
                state_writes=la.outputs * rows,
            )
            for i, la in enumerate(self._layers)
        ]
        return self.module(latent_BSD, action_BSA), state, counts


@dataclass
class _Begun:
    """Where a rollout that shares its first step stands."""

    moved: bool = False


class _LayerSize(NamedTuple):
    name: str
    macs: int
    inputs: int
    outputs: int
    weights: int
    weights_left: int


def _layers_of(module: Any) -> list[_LayerSize]:
    """Layers of one prediction. A chain of linears is read off; anything else is counted while it predicts one row."""
    if isinstance(module, ResidualPredictor):
        named = [(f"h{i}", linear) for i, linear in enumerate(module.linears(), 1)]
        return [
            _LayerSize(
                name, m.weight.numel(), m.in_features, m.out_features, m.weight.numel(), int(m.weight.count_nonzero())
            )
            for name, m in named
        ]
    from spikeplan.worldmodel.mac_counter import count_macs

    modules = dict(module.named_modules())
    counted = count_macs(module, torch.zeros(1, module.latent_dim), torch.zeros(1, module.action_dim))
    found = []
    for counts in counted.layer_counts():
        own = modules.get(counts.layer, module)
        weights = [p for p in own.parameters(recurse=False) if p.dim() > 1]
        number = sum(p.numel() for p in weights)
        sides = [(p.shape[1:].numel(), p.shape[0]) for p in weights] or [(0, 0)]
        left = sum(int(p.count_nonzero()) for p in weights)
        found.append(_LayerSize(counts.layer, counts.macs, sides[0][0], sides[0][1], number, left))
    return found


class TrueStatePredictor(OffChip):
    """Oracle: the simulator itself as the predictor. The latent is [pose, layout]; nothing is counted."""

    references = ("zero",)
    spiking = False
    precision = "simulator"

    def __init__(self, world: World) -> None:
        self.world = world

    def memory(self) -> dict[str, tuple[int, int]]:
        return {}

    def weights_left(self) -> dict[str, int]:
        return {}

    def begin(self, latent_BD: Tensor, candidates_BSHA: Tensor, reference: str = "zero", previous: Any = None) -> None:
        check_reference(reference, self.references)

    def step(self, latent_BSD: Tensor, action_BSA: Tensor, state: None) -> tuple[Tensor, None, list[LayerCounts]]:
        b, s, d = latent_BSD.shape
        flat = latent_BSD.reshape(b * s, d).numpy().astype(np.float64)
        pose, layout = flat[:, : self.world.pose_dim], flat[:, self.world.pose_dim :]
        moved = self.world.move(pose, action_BSA.reshape(b * s, -1).numpy().astype(np.float64), layout)
        return torch.from_numpy(np.concatenate([moved, layout], 1)).float().view(b, s, d), None, []
