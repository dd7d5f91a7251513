"""Multiply-accumulates of any torch module, counted while it runs.

    (m, k) x (k, n)                             m k n
    convolution                                 batch x output positions x weights (transposed: input positions)
    attention, L queries and S keys             heads x L S (channels of a key + channels of a value)

Every matrix product that reaches the dispatcher is counted and booked to the module that asked for it, found by hooks; so
attention's activation x activation products count too. They are kept apart: a product with a parameter can be a stored
synapse, a product of two activations cannot. Masked attention counts whole, since that is what its kernels compute. Additions
of a bias, normalisations and activation functions are no MACs. An operation that looks like a product and has no rule is an
error, never a zero: `register` adds a rule. On the meta device the count costs no arithmetic and no memory.

With `density=True` each product with a parameter is also asked how many of its MACs an activation that is not zero sets off: what
a chip that skips zeros would do. A stored weight of zero counts all the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.errors import UserError

aten = torch.ops.aten


@dataclass(frozen=True)
class Macs:
    """MACs with a parameter, and of two activations. `set_off`: of the first, those that a nonzero activation sets off;
    `received`: how many of these activations there are."""

    weight: int = 0
    activation: int = 0
    set_off: int = 0
    received: int = 0

    def __add__(self, other: Macs) -> Macs:
        return Macs(
            self.weight + other.weight,
            self.activation + other.activation,
            self.set_off + other.set_off,
            self.received + other.received,
        )

    @property
    def total(self) -> int:
        return self.weight + self.activation


@dataclass(frozen=True)
class MacCount:
    """By module, in the order of first use; `output` is what the module returned. `weights`: stored values multiplied with."""

    layers: dict[str, Macs]
    output: Any
    weights: dict[str, int] = field(default_factory=dict)

    @property
    def macs(self) -> Macs:
        return sum(self.layers.values(), Macs())

    def layer_counts(self, calls: int = 1) -> list[LayerCounts]:
        """For operation counts: one entry a module, for a run that answered `calls` rows."""
        return [
            LayerCounts(layer=name, macs=found.total, dense_macs=found.total, calls=calls)
            for name, found in self.layers.items()
        ]


def count_macs(module: nn.Module, *inputs: Any, density: bool = False) -> MacCount:
    """Runs `module(*inputs)` once, without gradients, in the mode it is in. `density` fills `set_off`.

    The kernel that fuses a whole layer of attention is switched off, so that its products are seen one by one.

    >>> count_macs(nn.Linear(3, 2), torch.zeros(1, 3)).macs.weight
    6
    """
    # Held until the end: a buffer that the module replaces would leave its address to an activation, then taken for a weight.
    held = [*module.parameters(), *module.buffers()]
    mode = _Counting({_storage(tensor) for tensor in held}, density)
    hooks = []
    for name, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(lambda _m, _i, name=name: mode.stack.append(name)))
        hooks.append(part.register_forward_hook(lambda _m, _i, _o: _drop(mode.stack), always_call=True))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), mode:
            output = module(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for hook in hooks:
            hook.remove()
    del held
    return MacCount(mode.found, output, {name: sum(used.values()) for name, used in mode.used.items()})


Args = tuple[Any, ...]


class _Counting(TorchDispatchMode):
    def __init__(self, weights: set[int], density: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights, self.density, self.stack, self.found = weights, density, [""], dict[str, Macs]()
        # by module: views of storages that it multiplied with, and how many values they hold
        self.used: dict[str, dict[tuple[int, int], int]] = {}
        self.derived: list[
            Tensor
        ] = []  # made of weights alone (a norm of them, a mask): held, so that no address is used again

    def __torch_dispatch__(self, func: Any, types: Any, args: Args = (), kwargs: dict[str, Any] | None = None) -> Any:
        out = func(*args, **(kwargs or {}))
        packet = func._overloadpacket
        self._derive(args, kwargs, out)
        rule = RULES.get(packet)
        if rule is not None:
            operands, count = rule(args, out)
            stored = [_storage(tensor) in self.weights for tensor in operands]
            name = self.stack[-1] or "(top)"
            if not any(stored):
                more = Macs(activation=count)
            else:
                used = self.used.setdefault(name, {})
                for tensor, weight in zip(operands, stored, strict=True):
                    if weight:
                        whole = tensor.untyped_storage().nbytes() // tensor.element_size()
                        used[_storage(tensor), int(tensor.storage_offset())] = min(whole, tensor.numel())
                set_off = SET_OFF.get(packet, _products_set_off)
                more = Macs(
                    weight=count,
                    set_off=set_off(operands, stored, args, count) if self.density else 0,
                    received=_received(operands, stored) if self.density else 0,
                )
            self.found[name] = self.found.get(name, Macs()) + more
        elif PRODUCT.search(packet.__name__):
            raise UserError(
                f"module '{self.stack[-1] or '(top)'}': the MACs of {func} are not known to the counter; give it a rule: "
                f"spikeplan.worldmodel.mac_counter.register(torch.ops.{packet}, lambda args, out: (operands, macs))"
            )
        return out

    def _derive(self, args: Args, kwargs: dict[str, Any] | None, out: Any) -> None:
        """What is computed from weights alone is a weight: a normalised one, a masked one, one in another precision."""
        given = [one for one in tree_leaves((args, kwargs or {})) if isinstance(one, Tensor)]
        if not given or not all(_storage(tensor) in self.weights for tensor in given):
            return
        for made in tree_leaves(out):
            if isinstance(made, Tensor) and _storage(made) not in self.weights:
                self.derived.append(made)
                self.weights.add(_storage(made))


Rule = Callable[[Args, Any], tuple[tuple[Tensor, ...], int]]


def _received(operands: tuple[Tensor, ...], stored: list[bool]) -> int:
    """Values that are not zero, of the operands that are no weights."""
    free = [tensor for tensor, weight in zip(operands, stored, strict=True) if not weight]
    return sum(int(torch.count_nonzero(tensor)) for tensor in free if tensor.device.type != "meta")


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


def _lstm(args: Args, out: Any) -> tuple[tuple[Tensor, ...], int]:
    """One layer and direction: input (T, B, I), weights (4 H, I) and (4 H, H)."""
    x, of_input, of_hidden = args[:3]
    return (x, of_input, of_hidden), math.prod(x.shape[:2]) * (of_input.numel() + of_hidden.numel())


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
    aten.mkldnn_rnn_layer: _lstm,
    aten._scaled_dot_product_flash_attention: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_efficient_attention: _attention,
    aten._scaled_dot_product_cudnn_attention: _attention,
}


def register(operation: Any, rule: Rule) -> None:
    """Adds a rule for an operation of your own, or for one that the counter does not know.

    Args:
        operation: as `torch.ops.<namespace>.<name>`.
        rule: from the operation's arguments and its output to (its operands, its MACs).

    >>> register(torch.ops.mine.twice, lambda args, out: ((args[0], args[1]), out.numel()))
    """
    RULES[operation] = rule


def _products_set_off(operands: tuple[Tensor, ...], stored: list[bool], args: Args, count: int) -> int:
    """Of a matrix product: every value that is not zero meets as many weights as every other one."""
    free = [tensor for tensor, weight in zip(operands, stored, strict=True) if not weight]
    if len(free) != 1 or not free[0].numel() or free[0].device.type == "meta":
        return count
    return int(torch.count_nonzero(free[0])) * (count // free[0].numel())


def _convolution_set_off(operands: tuple[Tensor, ...], stored: list[bool], args: Args, count: int) -> int:
    """Exact at the borders: the mask of what is not zero, through the same kernel of ones."""
    x, weight = operands
    if stored != [False, True] or x.device.type == "meta":
        return count
    _, _, _, stride, padding, dilation, transposed, output_padding, groups = args
    if transposed:  # weight (C_in, C_out / groups, *kernel): an input value meets all of it, whatever is cut off
        return int(torch.count_nonzero(x)) * (weight.numel() // weight.shape[0])
    ones = torch.ones(groups, *weight.shape[1:], device=x.device)
    met: Tensor = aten.convolution(
        (x != 0).float(), ones, None, stride, padding, dilation, transposed, output_padding, groups
    )
    each: int = weight.shape[0] // groups
    return int(met.sum(dtype=torch.float64)) * each


def _lstm_set_off(operands: tuple[Tensor, ...], stored: list[bool], args: Args, count: int) -> int:
    """Of the input; the hidden state stays inside the kernel and counts whole."""
    x, of_input, of_hidden = operands
    return int(torch.count_nonzero(x)) * of_input.shape[0] + math.prod(x.shape[:2]) * of_hidden.numel()


# Of a product with a parameter, how many MACs are set off; any other is a matrix product.
SET_OFF: dict[Any, Callable[[tuple[Tensor, ...], list[bool], Args, int], int]] = {
    aten.convolution: _convolution_set_off,
    aten.mkldnn_rnn_layer: _lstm_set_off,
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
