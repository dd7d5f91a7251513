"""Unstructured magnitude pruning of a predictor: the opponent whose single weights are zero.

The smallest weights of all layers together go, `share` of them; biases stay. What is left is distilled from the full network
(`spikeplan.worldmodel.distil`) while zeros stay zero: a weight of zero gets no gradient, so AdamW, whose decay
multiplies, leaves it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from spikeplan.core.errors import UserError
from spikeplan.worldmodel.predictor import ResidualPredictor


def prune(net: ResidualPredictor, share: float) -> ResidualPredictor:
    """A copy of which `share` of the weights, the smallest by magnitude over all layers, are zero.

    Raises UserError for a share that is not above 0 and below 1.

    >>> sparse = prune(model.predictor, 0.9)
    """
    if not 0 < share < 1:
        raise UserError(f"prune: share {share:g} must be above 0 and below 1")
    found = copy.deepcopy(net)
    magnitude = torch.cat([linear.weight.detach().abs().flatten() for linear in found.linears()])
    gone = torch.zeros_like(magnitude, dtype=torch.bool)
    gone[magnitude.argsort(stable=True)[: round(share * len(magnitude))]] = True
    first = 0
    with torch.no_grad():
        for linear in found.linears():
            weight = linear.weight
            weight[gone[first : first + weight.numel()].view_as(weight)] = 0.0
            first += weight.numel()
    return found


@contextmanager
def zeros_kept(net: ResidualPredictor) -> Iterator[None]:
    """Weights that are zero now get no gradient meanwhile."""
    masks = [(linear.weight, linear.weight.detach().ne(0).float()) for linear in net.linears()]
    hooks = [weight.register_hook(lambda grad, mask=mask: grad * mask) for weight, mask in masks]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def zero_share(net: ResidualPredictor) -> float:
    weights = [linear.weight for linear in net.linears()]
    return sum(int((w == 0).sum()) for w in weights) / sum(w.numel() for w in weights)
