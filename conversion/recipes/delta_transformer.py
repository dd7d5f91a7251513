"""Delta-coded layers in a network of any operations: transformers, gates, norms.

Every layer of weights (linear, convolution, product with a constant) is sent the changes of its input, as graded spikes into
int8 weights. Every other operation that is no sum, gain or ReLU is computed anew on running values, and sends its result on
where it moved. A Loihi 2 neuron does not do that: the report says so and lists what a chip would have to support.
snn/delta_program.py is what runs.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import torch
from torch import Tensor, fx

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.recipes.base import Built, RecipeKind, Step
from spikeplan.conversion.recipes.compiled import Compiled
from spikeplan.conversion.recipes.program_of import compiled
from spikeplan.conversion.report import LayerReport, Report
from spikeplan.conversion.tracing import Traced
from spikeplan.conversion.tracing.ops import packet
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import limit
from spikeplan.snn.delta_program import Anew, Coded, DeltaProgram
from spikeplan.snn.delta_program import Step as Operation
from spikeplan.snn.delta_program_predictor import DeltaProgramPredictor

SMALL, FEW = 256, 16  # rows at once: of a network with few weights, and with many
MANY_WEIGHTS = 2**24
MAX_ROWS = 512  # that ranges are taken from
Save = Callable[[str | os.PathLike[str]], NoReturn]
LABEL = "delta transformer: more than a Loihi 2 neuron does; a chip would have to support what is computed anew"


@dataclass(frozen=True, kw_only=True)
class DeltaTransformer:
    """Graded spikes into every layer of weights; everything else is computed anew on running values.

    Args:
        bits: of a graded spike, 2 to 8, its sign included.
        thresholds: of layers, in units of the standard deviation of their input.
        hysteresis: how far a value that is computed anew moves before it is sent on, in units of its standard deviation.
            None: as `thresholds`.
        keep_dense: modules whose layers run dense on a host and are charged as MACs, by their path or the beginning of it.

    Raises UserError for other bits, and for thresholds that are negative or not finite.

    >>> spiking = convert(vit, (latents, actions), DeltaTransformer(keep_dense=("head",)))
    >>> print(spiking.report)
    """

    bits: int = 8
    thresholds: float = 0.05
    hysteresis: float | None = None
    keep_dense: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise UserError(f"recipe: {self.bits} bits of a graded spike; use 2 to 8")
        for value in (self.thresholds, self.thresholds if self.hysteresis is None else self.hysteresis):
            if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
                raise UserError(f"recipe: threshold {value} must be one number, finite and >= 0")
        given: Any = self.keep_dense
        if not isinstance(given, tuple) or not all(isinstance(path, str) for path in given):
            raise UserError(
                f"recipe: keep_dense {self.keep_dense!r} must be a tuple of module paths, such as ('head',)"
            )

    def build(self, traced: Traced, data: Calibration) -> Built[DeltaProgram]:
        """The program of a traced module, with steps and thresholds from the calibration data.

        Raises UserError for a module without layers of weights, for unknown names in `keep_dense`, and for a layer whose input
        is always zero.
        """
        return self.built(compiled(traced, self.keep_dense, bits=self.bits), traced, data, label=LABEL, save=_save)

    def built(
        self, found: Compiled, traced: Traced, data: Calibration, *, label: str, save: Save
    ) -> Built[DeltaProgram]:
        """The same of what was compiled already."""
        stride = -(-len(data.latent_ND) // MAX_ROWS)
        chunk = SMALL if found.weights < MANY_WEIGHTS else FEW
        rows = list(zip(data.latent_ND[::stride].split(chunk), data.action_NA[::stride].split(chunk), strict=True))
        program = self._scaled(found, rows)
        return Built(
            network=program,
            report=replace(self._report(found, program, rows), label=label),
            residual=_adds(traced),
            running=_step(program, chunk),
            finest=_step(program.finest(), chunk),
            predictor=lambda: DeltaProgramPredictor(program),
            save=save,
        )

    def _scaled(self, found: Compiled, rows: list[tuple[Tensor, Tensor]]) -> DeltaProgram:
        """Steps and thresholds from what a dense pass sees."""
        spread = found.spreads(rows)
        hysteresis = self.thresholds if self.hysteresis is None else self.hysteresis
        steps: list[Operation] = []
        for step in found.program.steps:
            if isinstance(step, Coded):
                top, std = spread[step.name]
                if top == 0.0:
                    raise UserError(
                        f"layer '{step.layer}': its input is zero on all calibration inputs; give inputs of real plans, "
                        "or train the network first"
                    )
                size = top / limit(self.bits)
                steps.append(replace(step, step=size, theta=max(size, self.thresholds * std)))
            elif isinstance(step, Anew):
                steps.append(replace(step, theta=hysteresis * spread[step.name][1] if step.theta > 0 else 0.0))
            else:
                steps.append(step)
        provenance = {"recipe": f"{self}"}
        return replace(found.program, steps=tuple(steps), provenance=provenance)

    def _report(self, found: Compiled, program: DeltaProgram, rows: list[tuple[Tensor, Tensor]]) -> Report:
        errors = found.errors(program, rows)
        layers: dict[str, LayerReport] = {}
        for step in program.coded:
            seen = errors[step.name]
            density = seen.sent / seen.numbers
            if density == 0.0:
                least = step.theta <= step.step
                raise UserError(
                    f"layer '{step.layer}': its threshold {step.theta:.4g} silences it on all calibration inputs; "
                    f"{'give the recipe more bits' if least else 'lower the thresholds'}"
                )
            layers[step.name if step.layer in layers else step.layer] = LayerReport(
                nmse=seen.nmse,
                density=density,
                saturated=seen.clipped / seen.numbers,
                threshold_lsb=round(step.theta / step.step),
                threshold=step.theta,
            )
        return Report(
            layers,
            synapses=sum(step.whole.numel() for step in program.coded),
            reevaluated=found.reevaluated,
            dense=tuple((name, "keep_dense") for name in found.kept_dense),
        )


def _adds(traced: Traced) -> bool:
    """The latent is one of the summands of the output; then errors are relative to the change."""
    todo, found = [traced.output], False
    while todo and not found:
        node = todo.pop()
        found = node is traced.latent
        if packet(node) in ("add", "add_", "sub"):
            todo += [one for one in node.args[: 1 if packet(node) == "sub" else 2] if isinstance(one, fx.Node)]
    return found


def _step(program: DeltaProgram, chunk: int) -> Step:
    def run(latent_ND: Tensor, action_NA: Tensor) -> Tensor:
        parts = zip(latent_ND.split(chunk), action_NA.split(chunk), strict=True)
        return torch.cat([program.run(z, a, None)[0] for z, a in parts])

    return run


def _save(path: str | os.PathLike[str]) -> NoReturn:
    raise UserError(
        f"{path}: a delta_transformer network has no file form yet; keep the module and convert it again, or use "
        'recipe="sigma_delta" where it converts'
    )


RECIPE = RecipeKind(name="delta_transformer", make=DeltaTransformer, untuned={"thresholds": 0.05}, has_file=False)
