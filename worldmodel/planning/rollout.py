"""The one rollout: imagined latents of all candidates, step by step.

    z[t+1], state, counts = step(z[t], a[:, :, t], state)      t = 0..H-1

Planners, probes, recorders and benchmarks call it; what they want of a step they take in `on_step`.
Shapes: B episodes, S candidates, H steps, D latent, A action.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts, OperationCounts
from spikeplan.worldmodel.predictor import Predictor

Step = Callable[[Tensor, Tensor, Any], tuple[Tensor, Any, list[LayerCounts]]]
OnStep = Callable[[int, Tensor, list[LayerCounts]], None]
Propose = Callable[[int, Tensor], Tensor]


class Rollout(NamedTuple):
    """`state`: the predictor's, which the next iteration may look back at."""

    latents_BSHD: Tensor
    state: Any


def rollout(
    predictor: Predictor,
    latent_BD: Tensor,
    candidates_BSHA: Tensor,
    *,
    reference: str = "zero",
    previous: Any = None,
    on_step: OnStep | None = None,
) -> Rollout:
    """Imagine every candidate from the same latent.

    `previous`: the state of the last iteration's rollout, for the reference that looks back at it. `on_step(t, latent_BSD,
    counts)` sees each step. Raises UserError for a reference that the predictor does not offer.

    >>> latents, _ = rollout(DensePredictor(model.predictor), latent_BD, candidates_BSHA)
    """
    state = predictor.begin(latent_BD, candidates_BSHA, reference, previous)
    start_BSD = latent_BD[:, None].expand(-1, candidates_BSHA.shape[1], -1)
    return unroll(predictor.step, start_BSD, candidates_BSHA, state, on_step)


def unroll(
    step: Step,
    latent_BSD: Tensor,
    actions: Tensor | Propose,
    state: Any,
    on_step: OnStep | None = None,
    *,
    steps: int | None = None,
) -> Rollout:
    """The loop itself, over any step: real numbers, or the integers of a sigma-delta network.

    `actions`: (B, S, H, A), or a function of step and latent that proposes them as the rollout goes, for `steps` steps.
    """
    path = []
    for t in range(actions.shape[2] if isinstance(actions, Tensor) else steps or 0):
        action = actions[:, :, t] if isinstance(actions, Tensor) else actions(t, latent_BSD)
        latent_BSD, state, counts = step(latent_BSD, action, state)
        path.append(latent_BSD)
        if on_step is not None:
            on_step(t, latent_BSD, counts)
    return Rollout(torch.stack(path, 2), state)


def counting(op_counts: OperationCounts | None, iteration: int) -> OnStep | None:
    """Books the predictor's counts of each step; None where nothing is counted."""
    if op_counts is None:
        return None

    def book(step: int, _: Tensor, counts: list[LayerCounts]) -> None:
        for layer in counts:
            op_counts.add("predictor", layer, iteration=iteration, step=step)

    return book
