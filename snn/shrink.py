"""Hidden neurons taken out of a ReLU chain whose function stays what it was.

    no weight that is not zero leaves neuron j    it changes nothing
    none enters it                                it is relu(b_j) whatever comes in:   b' = b + W_j relu(b_j)
    it never sent on the records                  whoever reads it was told of zero

The first two are exact for the dense chain, the third for the spiking one on the records. One that leaves can leave another
without weights, so layers are looked at until none does. A layer keeps one neuron.
Shapes: weights (N, K) of a layer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikeplan.core.errors import UserError


@torch.no_grad()
def shrunk(linears: Sequence[nn.Linear], awake: Sequence[Tensor] | None = None) -> list[nn.Linear]:
    """The chain without the neurons that it does not need; layers of its own.

    `awake`: (N,) of each hidden layer, whether a neuron ever sent; None: all did.
    Raises UserError for another number of layers or neurons.

    >>> smaller = shrunk(chain_of(predictor))
    """
    weights = [linear.weight.detach().clone() for linear in linears]
    biases = [linear.bias.detach().clone() for linear in linears]
    if awake is not None:
        if [len(one) for one in awake] != [len(bias) for bias in biases[:-1]]:
            raise UserError(
                f"shrink: what sent is told of layers of {[len(one) for one in awake]} neurons, the chain has "
                f"{[len(bias) for bias in biases[:-1]]} hidden ones"
            )
        for after, sends in zip(weights[1:], awake, strict=True):
            after[:, ~sends] = 0.0
    while _once(weights, biases):
        pass
    found = []
    for weight, bias in zip(weights, biases, strict=True):
        linear = nn.Linear(weight.shape[1], weight.shape[0], dtype=weight.dtype)
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)
        found.append(linear)
    return found


def _once(weights: list[Tensor], biases: list[Tensor]) -> bool:
    """Takes out what each hidden layer does not need; whether there was any."""
    any_left = False
    for i in range(len(weights) - 1):
        constant = ~(weights[i] != 0).any(1)
        biases[i + 1] += weights[i + 1][:, constant] @ biases[i][constant].relu()
        gone = constant | ~(weights[i + 1] != 0).any(0)
        if bool(gone.all()):
            gone[0] = False
            weights[i + 1][:, constant] = 0.0  # what is constant is in the bias now
        if bool(gone.any()):
            weights[i], biases[i], weights[i + 1] = weights[i][~gone], biases[i][~gone], weights[i + 1][:, ~gone]
            any_left = True
    return any_left
