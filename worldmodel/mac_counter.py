"""Multiply-accumulates of any torch module, counted while it runs.

    (m, k) x (k, n)                             m k n
    convolution                                 batch x output positions x weights (transposed: input positions)
    attention, L queries and S keys             heads x L S (channels of a key + channels of a value)

Every matrix product that reaches the dispatcher is counted and booked to the module that asked for it, found by hooks; so
attention's activation x activation products count too. They are kept apart: a product with a parameter can be a stored
synapse, a product of two activations cannot. Masked attention counts whole, since that is what its kernels compute. Additions
of a bias, normalisations and activation functions are no MACs. An operation that looks like a product and has no rule is an
error, never a zero. On the meta device the count costs no arithmetic and no memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError

aten = torch.ops.aten


@dataclass(frozen=True)
class Macs:
    """MACs with a parameter, and of two activations."""

    weight: int = 0
    activation: int = 0

    def __add__(self, other: Macs) -> Macs:
        return Macs(self.weight + other.weight, self.activation + other.activation)

    @property
    def total(self) -> int:
        return self.weight + self.activation


@dataclass(frozen=True)
class MacCount:
    """By module, in the order of first use; `output` is what the module returned."""

    layers: dict[str, Macs]
    output: Any

    @property
    def macs(self) -> Macs:
        return sum(self.layers.values(), Macs())

    def layer_counts(self, calls: int = 1) -> list[LayerCounts]:
        """For operation counts: one entry a module, for a run that answered `calls` rows."""
        return [
            LayerCounts(layer=name, macs=found.total, dense_macs=found.total, calls=calls)
            for name, found in self.layers.items()
        ]


def count_macs(module: nn.Module, *inputs: Any) -> MacCount:
    """Runs `module(*inputs)` once, without gradients, in the mode it is in."""
    weights = {_storage(tensor) for tensor in (*module.parameters(), *module.buffers())}
    mode = _Counting(weights)
    hooks = []
    for name, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(lambda _m, _i, name=name: mode.stack.append(name)))
        hooks.append(part.register_forward_hook(lambda _m, _i, _o: _drop(mode.stack), always_call=True))
    try:
        with torch.no_grad(), mode:
            output = module(*inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return MacCount(mode.found, output)


Args = tuple[Any, ...]


class _Counting(TorchDispatchMode):
    def __init__(self, weights: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights, self.stack, self.found = weights, [""], dict[str, Macs]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Args = (), kwargs: dict[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        rule = RULES.get(packet)
        if rule is not None:
            operands, count = rule(args, out)
            with_weight = any(_storage(tensor) in self.weights for tensor in operands)
            name = self.stack[-1] or "(top)"
            known = self.found.get(name, Macs())
            self.found[name] = known + (Macs(weight=count) if with_weight else Macs(activation=count))
        elif PRODUCT.search(packet.__name__):
            raise UserError(
                f"module '{self.stack[-1] or '(top)'}': the MACs of {func} are not known to the counter; "
                "add a rule to worldmodel/mac_counter.py"
            )
        return out


Rule = Callable[[Args, Any], tuple[tuple[Tensor, ...], int]]


def _product(first: int) -> Rule:
    """A matrix product whose operands are arguments `first` and `first + 1`; the earlier ones are added to it."""

    def rule(args: Args, out: Tensor) -> tuple[tuple[Tensor, ...], int]:
        left, right = args[first], args[first + 1]
        return (left, right), out.numel() * left.shape[-1]

    return rule


def _convolution(args: Args, out: Tensor) -> tuple[tuple[Tensor, ...], int]:
    x, weight, transposed = args[0], args[1], args[6]
    positions = math.prod((x if transposed else out).shape[2:])
    return (x, weight), x.shape[0] * positions * weight.numel()


def _attention(args: Args, out: Any) -> tuple[tuple[Tensor, ...], int]:
    q, k, v = args[:3]
    return (q, k, v), math.prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])


RULES: dict[Any, Rule] = {
    aten.mm: _product(0),
    aten.bmm: _product(0),
    aten.mv: _product(0),
    aten.dot: _product(0),
    aten.addmm: _product(1),
    aten.addbmm: _product(1),
    aten.baddbmm: _product(1),
    aten.addmv: _product(1),
    aten.convolution: _convolution,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_cudnn_attention: _attention,
}
# Names of operations that multiply and add; those in RULES never get here.
PRODUCT = re.compile(
    r"(mm|mv)(_|$)|conv|matmul|attention|linear(?!ly)|einsum|bilinear|lstm|gru|rnn|cdist|^v?dot$|addr$|outer"
)


def _storage(tensor: Tensor) -> int:
    """Tells whether two tensors are views of one memory, on the meta device too."""
    return int(StorageWeakRef(tensor.untyped_storage()).cdata)


def _drop(stack: list[str]) -> None:
    stack.pop()
