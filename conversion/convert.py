"""convert(predictor, calibration, recipe) -> network and report. What converts is what `forward` computes, and it is compared."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, overload

import torch
from torch import Tensor

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.recipes import RECIPES
from spikeplan.conversion.recipes.base import Built, Network, Recipe
from spikeplan.conversion.report import Report
from spikeplan.conversion.tracing import Traced, trace
from spikeplan.core.chips import ChipLimits
from spikeplan.core.errors import UserError
from spikeplan.core.fit import Violation, groups_of, split, violations
from spikeplan.core.ir.artifact import Artifact

MIN_ROWS = 8  # of calibration
COMPARED_ROWS = 2048
COMPARED_PRODUCTS = 2**33  # rows x weights: a large network is compared on fewer rows
MAX_NMSE = 0.5  # at the finest thresholds; a network that puts out nothing has 1
ROUNDING = 1e-12  # of a float32 number, squared
STILL = 1e-3  # of the mean square of an output: less than that hardly depends on the inputs
N = TypeVar("N", bound=Network)


class _Pair(NamedTuple, Generic[N]):
    artifact: N
    report: Report


class Converted(_Pair[N]):
    """A converted network and its report; unpacks as both.

    >>> spiking = convert(predictor, (latents, actions))
    >>> print(spiking.report); spiking.save("network.safetensors")
    >>> artifact, report = spiking
    """

    _built: Built[Any]

    @classmethod
    def of(cls, built: Built[Any], report: Report) -> Converted[N]:
        made = cls(built.network, report)
        made._built = built
        return made

    def __repr__(self) -> str:
        return f"Converted({type(self.artifact).__name__}, {self.report.synapses} synapses, error {self.report.output_nmse:.2g})"

    def predictor(self) -> Any:
        """The network behind the planner's contract (begin, step), made anew: it keeps no state of an earlier one."""
        return self._built.predictor()

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it. Raises UserError for a path that cannot be written, and for a network that has no file form."""
        return self._built.save(path)


@overload
def convert(
    predictor: Any, calibration: Calibration | tuple[Any, Any], recipe: Recipe[N], **provenance: Any
) -> Converted[N]: ...
@overload
def convert(
    predictor: Any, calibration: Calibration | tuple[Any, Any], recipe: str = ..., **provenance: Any
) -> Converted[Any]: ...
def convert(
    predictor: Any,
    calibration: Calibration | tuple[Any, Any],
    recipe: Recipe[Any] | str = "sigma_delta",
    **provenance: Any,
) -> Converted[Any]:
    """Dense predictor -> spiking network and a report of each layer's error.

    Args:
        predictor: a torch module called as `module(latent (N, D), action (N, A))` that returns the next latent (N, D).
        calibration: inputs of real plans, a `Calibration` or a pair (latents, actions); they set scales and thresholds.
        recipe: how neurons code, such as `SigmaDelta()`, or the name of a recipe.
        provenance: words that are stored in the network's header, such as `task="two-room"`.

    Raises UserError in one line: an operation that has no spiking form, by the module that it belongs to; inputs that do not
    fit; a layer that is dead; a network that does not compute what the module's forward does.

    >>> artifact, report = convert(model.predictor, Calibration(latent_ND, action_NA), SigmaDelta(bits=8))
    >>> check(artifact, LOIHI2)
    []
    """
    data = calibration if isinstance(calibration, Calibration) else Calibration.of(calibration)
    if len(data.latent_ND) < MIN_ROWS:
        raise UserError(
            f"calibration: {len(data.latent_ND)} rows are too few to set ranges; give at least {MIN_ROWS}, better thousands"
        )
    made_by = RECIPES[recipe].made() if isinstance(recipe, str) else recipe
    traced = trace(predictor, data)
    built = made_by.build(traced, data)
    built.network.provenance.update(provenance)
    return Converted.of(built, compared(traced, built, data))


@torch.no_grad()
def compared(traced: Traced, built: Built[Any], data: Calibration) -> Report:
    """The report with the errors of the output against `forward`. Raises UserError for a network that computes something else."""
    weights = sum(p.numel() for p in traced.module.parameters())
    most = min(COMPARED_ROWS, max(MIN_ROWS, COMPARED_PRODUCTS // max(weights, 1)))
    stride = -(-len(data.latent_ND) // most)
    z, a = data.latent_ND[::stride], data.action_NA[::stride]
    wanted = traced.forward(z, a).double()
    output = wanted - z if built.residual else wanted
    what, size = (
        "change" if built.residual else "output",
        output.var(0).mean(),
    )  # over rows: a constant explains nothing
    if float(size) <= ROUNDING * float(wanted.square().mean()):
        raise UserError(
            f"predictor: forward has the same {what} for all calibration inputs, as far as float32 tells; "
            "train the network first, or give other inputs"
        )

    def error(found: Tensor) -> float:
        return float((found.double() - wanted).square().mean() / size)

    finest = error(built.finest(z, a))
    if not finest <= MAX_NMSE:
        remedy = "give the recipe more bits, or calibration inputs of the size that the network sees, or keep it dense"
        if (share := float(size / output.square().mean())) < STILL:
            remedy = (
                f"from row to row it varies by {share:.1g} of its mean square alone, as a deep network before training; "
                "train it"
            )
        raise UserError(
            f"predictor: at its finest thresholds the converted network still differs from forward by {finest:.2g} of the "
            f"variance of its {what}, at most {MAX_NMSE:g}; {remedy}"
        )
    return replace(built.report, output_nmse=error(built.running(z, a)), finest_nmse=finest)


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
