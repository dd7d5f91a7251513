"""Weights and neurons taken out of chains while they are fine-tuned.

    share(t)   = s (1 - (1 - min(1, t / (f T)))^3)               Zhu & Gupta 2017: from 0 to s over the first f of T steps
    magnitude  |W| / rms W;   movement  sum_t -W dL/dW (Sanh et al. 2020);   saliency  sum_t (W dL/dW)^2 (Molchanov et al. 2019)
    n_of_m     the same, the n largest of m inputs in a row kept
    neuron j   sum_t (W_j . dL/dW_j + b_j dL/db_j)^2 / bill_j      its saliency for what a chip charges for it
    bill_j     = passes (u updates + sent_j |{k: W_kj != 0}| + sum_i sent_i [W_ji != 0])

The least of all networks' hidden neurons go, and of the weights that these left. One loss and one bill hold for all, so the score
of a weight is over the passes that its network makes in a plan. A magnitude is in units of its layer's root mean square: compared
as they are, a layer of small weights lost all of them. What is out stays zero: it gets no gradient and no step.
Shapes: weights (N, K) of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn

from spikeplan.core.counts.operations import UPDATE_WEIGHT
from spikeplan.core.errors import UserError
from spikeplan.snn.delta_chain import SendingChain

EVERY = 10  # steps from one look at what goes to the next
DECAY = 0.99  # of what gradients told, a step
GROUP = (2, 4)  # weights kept of so many inputs in a row


class Evidence(NamedTuple):
    """What is known of a layer's weights (N, K): themselves, and both sums over steps that the module's docstring names."""

    weight_NK: Tensor
    moved_NK: Tensor
    salient_NK: Tensor


Scores = Callable[[Evidence], Tensor]


def magnitude(of: Evidence) -> Tensor:
    """The smallest weights go."""
    return of.weight_NK.abs() / of.weight_NK.square().mean().sqrt()


def movement(of: Evidence) -> Tensor:
    """Weights go that training drives to zero."""
    return of.moved_NK


def saliency(of: Evidence) -> Tensor:
    """Weights go whose absence the loss would feel least."""
    return of.salient_NK


def n_of_m(known: Evidence) -> Tensor:
    """The largest of each group never go; a last group that is not whole keeps all."""
    keep, of = GROUP
    score = magnitude(known)
    whole = score.shape[1] // of * of
    groups = score[:, :whole].unflatten(1, (-1, of))
    score[:, :whole] = groups.scatter(2, groups.topk(keep, 2).indices, torch.inf).flatten(1)
    score[:, whole:] = torch.inf
    return score


HOW: dict[str, Scores] = {"magnitude": magnitude, "movement": movement, "saliency": saliency, "n_of_m": n_of_m}


@dataclass(frozen=True, kw_only=True)
class SparseTraining:
    """What is taken out while chains are fine-tuned.

    Args:
        pruned: share of all networks' weights, of those that their neurons left; 0: none.
        how: which go first, one of HOW.
        removed: share of all networks' hidden neurons; 0: none but those that lost their weights.
        finished: share of the steps after which all are out.

    Raises UserError for shares out of range and for another name.

    >>> ActingTraining(copies=PLANNER, shared=DeltaTraining(), sparse=SparseTraining(pruned=0.5))
    """

    pruned: float = 0.5
    how: str = "magnitude"
    removed: float = 0.0
    finished: float = 0.6

    def __post_init__(self) -> None:
        for name, value in (("pruned", self.pruned), ("removed", self.removed)):
            if not 0 <= value < 1:
                raise UserError(f"sparse training: {name} {value:g} is a share that must be at least 0 and below 1")
        if not 0 < self.finished <= 1:
            raise UserError(f"sparse training: finished {self.finished:g} must be above 0 and at most 1")
        if self.how not in HOW:
            raise UserError(f"sparse training: {self.how!r} is unknown; use one of {', '.join(HOW)}")
        if self.how == "n_of_m" and self.pruned > 1 - GROUP[0] / GROUP[1]:
            raise UserError(
                f"sparse training: pruned {self.pruned:g} is more than {GROUP[0]} of {GROUP[1]} leave out; "
                f"use {1 - GROUP[0] / GROUP[1]:g} at most"
            )

    def share(self, step: int, steps: int) -> float:
        """Of the final shares, what is out after so many of all steps."""
        return 1.0 - (1.0 - min(1.0, step / (self.finished * steps))) ** 3


class Part(NamedTuple):
    """A chain, how often it runs in a candidate's plan, and what a neuron's pass takes in updates and restores."""

    chain: SendingChain
    passes: int
    updates: float


class _Linear:
    """A layer's masks and what its gradients told."""

    def __init__(self, linear: nn.Linear, stretch: Tensor | None) -> None:
        self.linear, self.stretch = linear, stretch
        self.left, self.moved, self.salient = (torch.full_like(linear.weight, x) for x in (1.0, 0.0, 0.0))
        self.rows = torch.ones_like(linear.bias)  # neurons that are left
        self.use = torch.zeros_like(linear.bias)

    def known(self) -> Evidence:
        """Weights as a chip stores them: an action's are stretched."""
        weight = self.linear.weight if self.stretch is None else self.linear.weight / self.stretch
        return Evidence(weight, self.moved, self.salient)

    def see(self) -> None:
        weight, bias = self.linear.weight, self.linear.bias
        if weight.grad is None or bias.grad is None:
            return
        told = weight.detach() * weight.grad
        self.moved.mul_(DECAY).sub_(told)
        self.salient.mul_(DECAY).add_(told.square())
        self.use.mul_(DECAY).add_((told.sum(1) + bias.detach() * bias.grad).square())
        weight.grad.mul_(self.left)
        bias.grad.mul_(self.rows)

    @torch.no_grad()
    def apply(self) -> None:
        self.linear.weight.mul_(self.left)
        self.linear.bias.mul_(self.rows)


class Pruner:
    """Keeps masks of all chains and tightens them as a schedule says.

    `see_gradients()` once the loss was differentiated, `prune(step)` once the optimizer made its step.
    """

    def __init__(self, parts: Sequence[Part], config: SparseTraining, steps: int) -> None:
        self.parts, self.config, self.steps = parts, config, steps
        self.layers = [
            [
                _Linear(m, None if i else part.chain.stretch)
                for i, m in enumerate(part.chain.linears)
                if isinstance(m, nn.Linear)
            ]
            for part in parts
        ]

    def see_gradients(self) -> None:
        """What gradients tell of weights and neurons; those of what is out become zero."""
        for chain in self.layers:
            for layer in chain:
                layer.see()

    @torch.no_grad()
    def prune(self, step: int) -> None:
        """After step number `step`, the first is 1."""
        if step % EVERY == 0 or step == self.steps:
            share = self.config.share(step, self.steps)
            self._remove(share * self.config.removed)
            self._tighten(share * self.config.pruned)
        for chain in self.layers:
            for layer in chain:
                layer.apply()

    def _remove(self, share: float) -> None:
        """The hidden neurons whose use is least for their bill, one of each layer spared."""
        scores: list[Tensor] = []
        hidden = [layer for chain in self.layers for layer in chain[:-1]]
        for part, chain in zip(self.parts, self.layers, strict=True):
            for i, (layer, after) in enumerate(pairwise(chain)):
                into = (layer.linear.weight != 0).to(layer.left.dtype) @ part.chain.rates[i]
                sent = part.chain.rates[i + 1] * (after.linear.weight != 0).sum(0)
                score = layer.use / (part.passes * (UPDATE_WEIGHT * part.updates + sent + into))
                score = score.masked_fill(layer.rows == 0, -1.0)
                score[score.argmax()] = torch.inf
                scores.append(score)
        for layer, gone in zip(hidden, _least(scores, share), strict=True):
            layer.rows.masked_fill_(gone, 0.0)
        for chain in self.layers:
            for layer, after in pairwise(chain):
                layer.left.mul_(layer.rows[:, None])
                after.left.mul_(layer.rows[None])
                layer.apply()
                after.apply()

    def _tighten(self, share: float) -> None:
        """Weights between neurons that are left, `share` of them out; one of each layer is spared."""
        layers, places, scores = [], [], []
        for part, chain in zip(self.parts, self.layers, strict=True):
            for layer, place in zip(chain, _there(chain), strict=True):
                score = (HOW[self.config.how](layer.known()) / part.passes).masked_fill(layer.left == 0, -torch.inf)[
                    place
                ]
                score[score.argmax()] = torch.inf
                layers.append(layer)
                places.append(place)
                scores.append(score)
        for layer, place, gone in zip(layers, places, _least(scores, share), strict=True):
            layer.left[place] = layer.left[place].masked_fill(gone, 0.0)


def _there(chain: Sequence[_Linear]) -> list[Tensor]:
    """Masks of the weights between neurons that are left."""
    before, found = torch.ones(chain[0].left.shape[1]), []
    for layer in chain:
        found.append((layer.rows[:, None] * before[None]) > 0)
        before = layer.rows
    return found


def _least(scores: Sequence[Tensor], share: float) -> list[Tensor]:
    """Masks of the least `share` of all scores together; those without bound never are."""
    flat = torch.cat([score.flatten() for score in scores])
    gone = torch.zeros_like(flat, dtype=torch.bool)
    gone[flat.argsort(stable=True)[: round(share * len(flat))]] = True
    gone &= flat != torch.inf
    return [part.view_as(score) for part, score in zip(gone.split([s.numel() for s in scores]), scores, strict=True)]
