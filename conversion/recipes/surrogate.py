"""Of spiking networks, whatever their code: fine-tuning to a dense output with a surrogate gradient, and 8-bit weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

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
    """A spiking network that keeps its gradient."""

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
