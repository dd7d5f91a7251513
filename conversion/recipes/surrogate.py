"""Of spiking networks, whatever their code: fine-tuning to a dense output with a surrogate gradient, 8-bit weights, a step of the
network as a prediction, and the report of its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from spikeplan.conversion.recipes.base import Step
from spikeplan.conversion.report import LayerReport, Report
from spikeplan.conversion.tracing import CODE, OUT, AffineNet
from spikeplan.core.descent import descend
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import WEIGHT_BITS, limit

RATE = 1e-3  # the highest, of a cycle that rises and falls


class Answer(Protocol):
    """Output (N, D), and a count a neuron and prediction of each group, 0 to the network's time steps."""

    @property
    def out(self) -> Tensor: ...
    @property
    def counts(self) -> Mapping[str, Tensor]: ...


class Trainable(Protocol):
    """A spiking network that keeps its gradient. `groups`: names of its hidden neurons; `weights`: (n, n_source) a wire."""

    @property
    def groups(self) -> Sequence[str]: ...
    @property
    def weights(self) -> Any: ...

    def __call__(self, x_NI: Tensor) -> Any: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...


class Batches(NamedTuple):
    """`steps` of `rows` rows each, drawn with `seed`. Raises UserError in `checked` for settings out of range."""

    steps: int
    rows: int
    seed: int

    def checked(self) -> Batches:
        for (name, value), (low, high) in zip(
            self._asdict().items(), ((0, 10**6), (1, 10**6), (0, 2**63 - 1)), strict=True
        ):
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise UserError(f"recipe: {name} {value!r:.40} must be an integer from {low} to {high}")
        return self


def fine_tune(
    net: Trainable,
    inputs_NI: Tensor,
    wanted_ND: Tensor,
    batches: Batches,
    *,
    time_steps: int,
    rate_weight: float = 0.0,
) -> None:
    """Descends squared error over its variance + rate_weight x mean count over time steps."""
    if not batches.steps:
        return
    generator = torch.Generator().manual_seed(batches.seed)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=batches.steps, pct_start=0.1)
    variance = wanted_ND.var(0).mean().clamp_min(1e-12)

    def losses(step: int) -> dict[str, Tensor]:
        pick = torch.randint(len(inputs_NI), (min(batches.rows, len(inputs_NI)),), generator=generator)
        run: Answer = net(inputs_NI[pick])
        error = (run.out - wanted_ND[pick]).square().mean() / variance
        rates = [count.mean() / time_steps for count in run.counts.values()]
        rate = torch.stack(rates).mean() if rates else error.new_zeros(())
        return {"total": error + rate_weight * rate, "error": error, "rate": rate}

    with torch.enable_grad():
        descend(
            range(1, batches.steps + 1),
            losses,
            optimizer=optimizer,
            schedule=schedule,
            clip=lambda: nn.utils.clip_grad_norm_(net.parameters(), 1.0),
        )


@torch.no_grad()
def round_weights(received: Sequence[Tensor]) -> None:
    """Of one layer, in place, (n, n_source) a source: to 8 bits in one unit for all that a neuron receives.

    The unit is the neuron's own, since a threshold, or a ramp, in the same unit undoes it.
    """
    unit = torch.cat(list(received), 1).abs().amax(1, keepdim=True).clamp_min(1e-12) / limit(WEIGHT_BITS)
    for weight in received:
        weight.copy_((weight / unit).round() * unit)


def step_of(net: Trainable, residual: bool) -> Step:
    """One prediction; `residual`: the output is added to the latent."""

    @torch.no_grad()
    def run(latent_ND: Tensor, action_NA: Tensor) -> Tensor:
        out: Tensor = net(torch.cat([latent_ND, action_NA], -1).float()).out
        return latent_ND + out if residual else out

    return run


@torch.no_grad()
def report_of(
    affine: AffineNet,
    net: Trainable,
    dense: Mapping[str, Tensor],
    read: Callable[[Tensor, Tensor], tuple[Tensor, float]],
    label: str,
) -> Report:
    """`read(count, values)`: what counts of a group stand for, and their density. The threshold is 1 by construction.

    Raises UserError for a group of which no neuron fires.
    """
    run: Answer = net(dense[CODE].float())
    rows: dict[str, LayerReport] = {}
    for name in (*net.groups, OUT):
        values = dense[name]
        approx, density = (run.out, 1.0) if name == OUT else read(run.counts[name], values)
        if not density:
            raise UserError(
                f"{affine.where(name)}: none of its neurons fires on the calibration inputs; add time steps"
            )
        error = (approx - values).square().mean() / values.var().clamp_min(1e-12)
        rows[name] = LayerReport(nmse=float(error), density=density, saturated=0.0, threshold_lsb=1, threshold=1.0)
    return Report(rows, sum(weight.numel() for weight in net.weights.values()), label=label)
