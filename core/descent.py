"""The one training loop: every network here is trained by it, whatever its loss.

    for step in steps:
        terms = losses(step)        draws the batch, runs the network
        zero_grad, terms["total"].backward(), clip, optimizer.step, schedule.step
        progress(step, terms as numbers)

The Protocols are what the loop needs of torch, so that this package imports none of it. `progress` comes last: a caller
that saves its state there, or raises there, has a whole step behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

TOTAL = "total"


class Loss(Protocol):
    """One number that can be differentiated, such as a tensor without dimensions."""

    def backward(self) -> object: ...
    def item(self) -> float: ...


class Optimizer(Protocol):
    def zero_grad(self, set_to_none: bool = ...) -> object: ...
    def step(self) -> object: ...


class Schedule(Protocol):
    def step(self) -> object: ...


def descend(
    steps: Iterable[int],
    losses: Callable[[int], Mapping[str, Loss]],
    *,
    optimizer: Optimizer,
    schedule: Schedule,
    clip: Callable[[], object] | None,
    progress: Callable[[int, dict[str, float]], None] | None = None,
) -> None:
    """Descend the loss named `total` once a step.

    Args:
        steps: their numbers; a resumed run begins where it stopped.
        losses: the terms of a step's loss by name. Only `total` is descended, the others are reported.
        clip: limits the gradients before they are used; None: they are used as they are.
        progress: gets the step and the value of each term, after the weights and the rate have changed.

    >>> descend(range(1, 101), lambda step: {"total": net(draw()).square().mean()}, optimizer=optimizer,
    ...         schedule=schedule, clip=lambda: clip_grad_norm_(net.parameters(), 1.0))
    """
    for step in steps:
        terms = losses(step)
        optimizer.zero_grad(set_to_none=True)
        terms[TOTAL].backward()
        if clip is not None:
            clip()
        optimizer.step()
        schedule.step()
        if progress is not None:
            progress(step, {name: term.item() for name, term in terms.items()})
