"""MatMul-free: ternary weights, int8 activations, no product of two matrices; fine-tuned to what `forward` computes.

    s = mean |W|;   T = clip(round(W / s), -1, 1);   y = s sum_j T_ij q_j + b                  q: int8, one scale a layer

What a synapse does is add or subtract a message. A scale a layer is a gain of the neurons that it ends in. Everything that is not
a layer of weights (norms, gates, products element by element) is computed anew and charged as what it is: it multiplies.

A module whose tokens meet by attention is refused, for that multiplies two matrices which both depend on the inputs. The
predictor `gated` is one that converts. ternary.py trains, snn/delta_program.py is what runs: an int8 activation is its graded
spike.
Sources: weights of BitNet b1.58, Ma et al. 2024 (arXiv 2402.17764), equations 1 to 3; Zhu et al. 2024 (arXiv 2406.02528); static
activation scales on a chip, Abreu et al. 2025 (arXiv 2503.18002).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NoReturn

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.recipes.base import Built, RecipeKind
from spikeplan.conversion.recipes.compiled import Compiled
from spikeplan.conversion.recipes.delta_transformer import DeltaTransformer
from spikeplan.conversion.recipes.program_of import compiled
from spikeplan.conversion.recipes.ternary import TernaryTraining, fine_tuned
from spikeplan.conversion.tracing import Traced
from spikeplan.conversion.tracing.costs import CONVOLUTIONS, MIXED
from spikeplan.core.errors import UserError
from spikeplan.snn.delta_program import DeltaProgram

BITS = 8  # of an activation
MATRICES = ("linear", "addmm", "mm", "bmm", "matmul", "baddbmm", "einsum", "mv", "dot", *CONVOLUTIONS, *MIXED)
LABEL = (
    "MatMul-free: synapses add and subtract; norms, gates and products element by element multiply, and no Loihi 2 neuron of "
    "this package does them"
)


@dataclass(frozen=True, kw_only=True)
class MatMulFree:
    """Ternary weights.

    Args:
        thresholds: below which an activation is not sent, in units of its standard deviation; at least one of its 127 steps.
        steps: of fine-tuning on the calibration data; 0 for none, which few networks survive.
        rows: of calibration a step.
        span: predictions in a row that fine-tuning compares, each from the one before.
        rate: of learning.
        seed: of the batches.

    Raises UserError for settings out of range, and in `build` for a module that multiplies two values which both depend on its
    inputs as matrices, for layers of weights that are not linear, and for one without any.

    >>> spiking = convert(load_predictor("two-room.gated.safetensors"), (latents, actions), MatMulFree(steps=3000))
    """

    thresholds: float = 0.0
    steps: int = 2000
    rows: int = 128
    span: int = 3
    rate: float = 2e-3
    seed: int = 0

    def __post_init__(self) -> None:
        made = self._delta, self._training  # each refuses what is out of range
        assert all(made)

    @property
    def _delta(self) -> DeltaTransformer:
        return DeltaTransformer(bits=BITS, thresholds=self.thresholds)

    @property
    def _training(self) -> TernaryTraining:
        return TernaryTraining(steps=self.steps, rows=self.rows, span=self.span, rate=self.rate, seed=self.seed)

    def build(self, traced: Traced, data: Calibration) -> Built[DeltaProgram]:
        found = compiled(traced, (), bits=BITS)
        _check(found)
        built = self._delta.built(
            fine_tuned(found, traced, data, self._training), traced, data, label=LABEL, save=_save
        )
        built.network.provenance["recipe"] = f"{self}"
        return built


def _check(found: Compiled) -> None:
    """Refuses what has no form of this kind."""
    for step in found.program.anew:
        name = step.target.overloadpacket.__name__ if hasattr(step.target, "overloadpacket") else ""
        if name in MATRICES:
            raise UserError(
                f"layer '{step.layer}': {name} multiplies matrices that both depend on the inputs, which matmul_free has no form "
                "for; train a predictor whose tokens meet in a recurrence (`spikeplan train --predictors gated`), or use "
                'recipe="delta_transformer"'
            )
    for layer in found.program.coded:
        if layer.whole.dim() != 2 or layer.weight != 1:
            raise UserError(
                f"layer '{layer.layer}': matmul_free makes ternary weights of nn.Linear alone; use one, or another recipe"
            )


def _save(path: str | os.PathLike[str]) -> NoReturn:
    raise UserError(
        f"{path}: a matmul_free network has no file form yet; keep the module and convert it again with the same seed"
    )


RECIPE = RecipeKind(name="matmul_free", make=MatMulFree, has_file=False)
