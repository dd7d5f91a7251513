"""A network of any operations whose layers of weights are delta-coded: what the recipe delta_transformer makes.

    coded layer   d = x - ref;   q = clip(trunc(d / step)) if |d| >= theta else 0;   ref += q step
                  sum += (W q) step;   y = sum + bias            W int8, one scale an output channel
    computed anew y = f(running values);   held = y where |y - held| >= theta, and what was held elsewhere
    plain         moves, sums, gains, ReLUs: as they are, on running values

A program is a list of steps in order of computation; it keeps nothing itself, state goes in and comes out. A running sum holds
what all earlier messages brought, so that a pass may send the change since any earlier one. Sums are held in float64, and what
a message brings is a float32 product: no bit-exact form of a chip, whose neurons do not compute norms or products either.
Shapes: N rows, D latent, A action; a value keeps the layout that the module gave it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from spikeplan.core.counts.operations import LayerCounts
from spikeplan.core.fixed_point import limit
from spikeplan.core.ir.graph.synapses import INDEX_BITS

State = dict[str, tuple[Tensor, ...]]  # by step: (ref, sum) of a coded layer, (held,) of what is computed anew
Watch = Callable[[str, Tensor], None]


@dataclass(frozen=True)
class Ref:
    """Stands in a step's arguments for the value of another one."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One operation. `layer`: the name that it is counted under; `releases`: values that nothing needs after it.

    `macs` and `acs` say what it costs, from its arguments and its output.
    """

    name: str
    layer: str
    target: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    releases: tuple[str, ...] = ()
    macs: Callable[[tuple[Any, ...], Any], int] | None = None
    acs: Callable[[tuple[Any, ...], Any], int] | None = None

    def arguments(self, values: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args = tuple(filled(argument, values) for argument in self.args)
        return args, {name: filled(argument, values) for name, argument in self.kwargs.items()}


@dataclass(frozen=True, kw_only=True)
class Coded(Step):
    """A layer of weights. `data`, `weight`, `bias`: positions of the arguments (bias None: there is none).

    `whole` int8 and `scale` (broadcast over its channels) give the weight; `step` and `theta` are real values. `weight_bits`:
    what a weight takes in memory. `sparse`: of a linear layer; zeros are not stored and set off no synop, others need an index.
    """

    data: int
    weight: int
    bias: int | None
    whole: Tensor
    scale: Tensor
    step: float
    theta: float
    bits: int
    weight_bits: int = 8
    sparse: bool = False

    def __post_init__(self) -> None:
        if self.sparse and self.whole.dim() != 2:
            raise ValueError(f"step {self.name}: only a linear layer can be sparse")
        if not self.step > 0 or self.theta < self.step or self.whole.dtype != torch.int8:
            raise ValueError(
                f"step {self.name}: a step above 0, a threshold of at least that, and int8 weights are needed"
            )

    @property
    def stored_bits(self) -> int:
        """Of the weights in memory, and of their indices where zeros are left out."""
        stored = int(self.whole.count_nonzero()) if self.sparse else self.whole.numel()
        return stored * (self.weight_bits + (INDEX_BITS if self.sparse else 0))

    def synops(self, q: Tensor, macs: int) -> int:
        """Of messages `q`; `macs`: of the layer run densely."""
        sent = q != 0
        if self.sparse:
            return int((sent.flatten(0, -2).sum(0) * self.whole.count_nonzero(0)).sum())
        return int(sent.sum()) * macs // max(1, q.numel())


@dataclass(frozen=True, kw_only=True)
class Anew(Step):
    """An operation that is computed anew; `theta`: how far a value moves before it is sent on, 0 for always."""

    theta: float


@dataclass(frozen=True, kw_only=True)
class DeltaProgram:
    """Steps from latent and action to the next latent. `constants`: fixed tensors, by name.

    >>> after_ND, state, counts = program.run(latent_ND, action_NA, None)
    """

    steps: tuple[Step, ...]
    constants: dict[str, Tensor]
    latent: str
    action: str
    output: str
    latent_dim: int
    action_dim: int
    provenance: dict[str, Any] = field(default_factory=dict)

    @torch.no_grad()
    def run(
        self, latent_ND: Tensor, action_NA: Tensor, state: State | None, *, watch: Watch | None = None
    ) -> tuple[Tensor, State, list[LayerCounts]]:
        """One prediction of N rows from `state` (None: all zero): the next latents, the state after it, and the operations.

        `watch(name, value)` sees the value of each coded layer and each operation that is computed anew.
        """
        rows = len(latent_ND)
        values: dict[str, Any] = {**self.constants, self.latent: latent_ND, self.action: action_NA}
        new: State = {}
        counts: dict[str, LayerCounts] = {}
        for step in self.steps:
            before = None if state is None else state.get(step.name)
            if isinstance(step, Coded):
                value, new[step.name], found = _coded(step, values, before, rows)
            else:
                args, kwargs = step.arguments(values)
                value = step.target(*args, **kwargs)
                found = _cost(step, args, value, rows)
                if isinstance(step, Anew) and step.theta > 0:
                    value, sent = _held(value, before, step.theta)
                    new[step.name] = (value,)
                    found = replace(
                        found, messages=sent, message_bits=32 * sent, updates=value.numel(), updates_active=sent
                    )
            values[step.name] = value
            if watch is not None and isinstance(step, Coded | Anew):
                watch(step.name, value)
            if found.macs or found.acs or found.synops or found.updates:
                counts[step.layer] = counts[step.layer] + found if step.layer in counts else found
            for name in step.releases:
                del values[name]
        return values[self.output], new, [replace(found, calls=rows) for found in counts.values()]

    @property
    def coded(self) -> tuple[Coded, ...]:
        return tuple(step for step in self.steps if isinstance(step, Coded))

    @property
    def anew(self) -> tuple[Anew, ...]:
        return tuple(step for step in self.steps if isinstance(step, Anew))

    def finest(self) -> DeltaProgram:
        """The same with every threshold at one message step, and everything that is computed anew sent on."""
        steps = tuple(
            replace(step, theta=step.step)
            if isinstance(step, Coded)
            else replace(step, theta=0.0)
            if isinstance(step, Anew)
            else step
            for step in self.steps
        )
        return replace(self, steps=steps)

    @property
    def depth(self) -> int:
        """Coded layers and operations computed anew that a pass crosses one after the other."""
        deep: dict[str, int] = {}
        for step in self.steps:
            into = max((deep.get(ref.name, 0) for ref in refs((step.args, step.kwargs))), default=0)
            deep[step.name] = into + isinstance(step, Coded | Anew)
        return max(deep[self.output], 1)


def _coded(
    step: Coded, values: dict[str, Any], before: tuple[Tensor, ...] | None, rows: int
) -> tuple[Tensor, tuple[Tensor, ...], LayerCounts]:
    args, kwargs = step.arguments(values)
    x: Tensor = args[step.data]
    d = x if before is None else x - before[0]
    top = float(limit(step.bits))
    q = torch.where(d.abs() >= step.theta, (d / step.step).trunc(), 0.0)
    clipped = int((q.abs() > top).sum())
    q = q.clamp(-top, top)
    ref = q * step.step if before is None else before[0] + q * step.step
    given = list(args)
    given[step.data], given[step.weight] = q, step.whole.float() * step.scale
    bias = None
    if step.bias is not None and step.bias < len(given):
        bias, given[step.bias] = given[step.bias], None
    brought = _linear(step.target, given, step.bias, kwargs).double() * step.step
    total = brought if before is None else before[1] + brought
    value = total.float()
    if bias is not None:
        value = value + _as_bias(bias, value, step.target)
    macs = 0 if step.macs is None else step.macs((*args[: step.weight], step.whole, *args[step.weight + 1 :]), value)
    sent = int((q != 0).sum())
    found = LayerCounts(
        layer=step.layer,
        synops=step.synops(q, macs),
        updates=x.numel() + value.numel(),
        updates_active=sent,
        messages=sent,
        message_bits=sent * step.bits,
        saturated=clipped,
        dense_macs=macs,
    )
    return value, (ref, total), found


def _linear(target: Callable[..., Any], given: list[Any], bias: int | None, kwargs: dict[str, Any]) -> Tensor:
    """The part of a layer that its messages bring."""
    if bias == 0:  # addmm(bias, x, weight)
        return torch.matmul(given[1], given[2])
    found: Tensor = target(*given, **kwargs)
    return found


def _as_bias(bias: Tensor, value: Tensor, target: Callable[..., Any]) -> Tensor:
    """A convolution's bias runs along its channels, the second dimension; any other along the last."""
    if "conv" in str(target) and bias.dim() == 1:
        return bias.view(-1, *[1] * (value.dim() - 2))
    return bias


def _held(value: Tensor, before: tuple[Tensor, ...] | None, theta: float) -> tuple[Tensor, int]:
    """What is known of a value after this pass, and how many numbers moved far enough to be sent."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        raise TypeError(f"a {type(value).__name__} cannot be held back")
    held = torch.zeros_like(value) if before is None else before[0]
    moved = (value - held).abs() >= theta
    return torch.where(moved, value, held), int(moved.sum())


def _cost(step: Step, args: tuple[Any, ...], value: Any, rows: int) -> LayerCounts:
    macs = 0 if step.macs is None else step.macs(args, value)
    acs = 0 if step.acs is None else step.acs(args, value)
    return LayerCounts(layer=step.layer, macs=macs, acs=acs, dense_macs=macs)


def filled(argument: Any, values: dict[str, Any]) -> Any:
    """An argument with values in place of references."""
    if isinstance(argument, Ref):
        return values[argument.name]
    if isinstance(argument, list | tuple):
        return type(argument)(filled(one, values) for one in argument)
    return argument


def refs(argument: Any) -> list[Ref]:
    """References in an argument."""
    if isinstance(argument, Ref):
        return [argument]
    if isinstance(argument, dict):
        return [ref for one in argument.values() for ref in refs(one)]
    return [ref for one in argument for ref in refs(one)] if isinstance(argument, list | tuple) else []
