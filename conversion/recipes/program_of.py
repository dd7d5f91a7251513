"""A traced graph as the steps of a delta program: which operation is coded, computed anew, plain, or dense on a host."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from spikeplan.conversion.recipes.compiled import Compiled
from spikeplan.conversion.tracing.costs import CONVOLUTIONS, acs_of, anew_of, macs_of
from spikeplan.conversion.tracing.graph import Traced, evaluated, is_size, module_of
from spikeplan.conversion.tracing.ops import MOVES, is_relu, packet, rule_of
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import WEIGHT_BITS, limit
from spikeplan.snn.delta_program import Anew, Coded, DeltaProgram, Ref, Step, refs

# Positions of (data, weight, bias) of what has weights.
LAYERS: dict[str, tuple[int, int, int | None]] = {
    "linear": (0, 1, 2),
    "addmm": (1, 2, 0),
    **dict.fromkeys((*CONVOLUTIONS, "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), (0, 1, 2)),
    **dict.fromkeys(("mm", "bmm", "matmul"), (0, 1, None)),
}
MOST_NAMES = 8  # that a message lists


def compiled(traced: Traced, keep_dense: tuple[str, ...], *, bits: int) -> Compiled:
    """Raises UserError for a module without layers of weights, and for a path in `keep_dense` that no operation belongs to."""
    return _Compiler(traced, keep_dense, bits).done()


class _Compiler:
    def __init__(self, traced: Traced, keep_dense: tuple[str, ...], bits: int) -> None:
        self.traced, self.keep_dense, self.bits = traced, keep_dense, bits
        self.live = traced.live()
        self.varying: set[fx.Node] = {traced.latent, traced.action}
        self.fixed: dict[fx.Node, Any] = {}
        self.steps: list[Step] = []
        self.floats: dict[str, Tensor] = {}
        self.whole: dict[fx.Node, tuple[Tensor, Tensor]] = {}
        self.kept: dict[str, None] = {}
        self.anew: Counter[str] = Counter()
        self._check_names()
        for node in self.live:
            self._take(node)

    def _check_names(self) -> None:
        paths = list(dict.fromkeys(module_of(node)[0] for node in self.live if node.op == "call_function"))
        for name in self.keep_dense:
            if not any(_inside(path, name) for path in paths):
                known = [path for path in paths if path]
                more = ", ..." if len(known) > MOST_NAMES else ""
                raise UserError(
                    f"recipe: keep_dense {name!r} names no module that forward uses; it has {', '.join(known[:MOST_NAMES])}{more}"
                )

    def _take(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            if node not in self.varying:
                self.fixed[node] = self.traced.constants[node.name]
            return
        if node.op != "call_function":
            return
        inputs = node.all_input_nodes
        if any(n in self.varying for n in inputs) and not is_size(node):
            self.varying.add(node)
            self.steps.append(self._step(node))
        elif all(n in self.fixed for n in inputs) and not is_size(node):
            self.fixed[node] = evaluated(node, self.fixed.__getitem__, torch.float32)
        else:  # sizes, and what is made for a number of rows
            self.steps.append(Step(**self._call(node)))

    def _call(self, node: fx.Node) -> dict[str, Any]:
        path = module_of(node)[0]
        name = packet(node)
        return {
            "name": node.name,
            "layer": path or f"{name} ({node.name})",
            "target": node.target,
            "args": tuple(_referring(one) for one in node.args),
            "kwargs": {key: _referring(one) for key, one in node.kwargs.items()},
        }

    def _step(self, node: fx.Node) -> Step:
        call, name = self._call(node), packet(node)
        rule = rule_of(node, self.varying.__contains__)
        dense = any(_inside(module_of(node)[0], kept) for kept in self.keep_dense)
        macs, acs = partial(macs_of, name), partial(acs_of, name)
        if dense:
            if name in LAYERS:
                self.kept[call["layer"]] = None
            return Step(**call, macs=macs, acs=None if rule is MOVES else acs)
        if rule is not None and name in LAYERS and self._weights(node, name) is not None:
            return self._coded(node, call, name)
        if rule is not None and name not in ("mm", "bmm", "matmul", "linear", "addmm"):
            return Step(**call, acs=None if rule is MOVES and not _sums(name) else acs)
        if is_relu(node):
            return Step(**call, acs=acs)
        self.anew[name] += 1
        value = node.meta.get("val")
        holds = isinstance(value, Tensor) and value.is_floating_point() and not self._only_coded(node)
        return Anew(**call, macs=partial(anew_of, name), theta=1.0 if holds else 0.0)

    def _weights(self, node: fx.Node, name: str) -> fx.Node | None:
        """The weight of a layer, a constant that does not depend on the number of rows."""
        data, weight, _ = LAYERS[name]
        found = node.args[weight]
        if node.kwargs:  # alpha and beta of addmm
            return None
        fits = isinstance(found, fx.Node) and found in self.fixed and isinstance(node.args[data], fx.Node)
        return found if fits and isinstance(found, fx.Node) else None

    def _coded(self, node: fx.Node, call: dict[str, Any], name: str) -> Coded:
        data, at, bias = LAYERS[name]
        weight = node.args[at]
        assert isinstance(weight, fx.Node)
        real: Tensor = self.fixed[weight]
        channel = {"linear": 0, "addmm": -1, "mm": -1, "bmm": -1, "matmul": -1}.get(
            name, 1 if "transpose" in name else 0
        )
        if weight not in self.whole:
            self.whole[weight] = _whole(real, channel)
        whole, scale = self.whole[weight]
        self.floats[node.name] = real
        if bias is not None and len(call["args"]) > bias and call["args"][bias] is None:
            bias = None
        coded = Coded(
            **call,
            macs=partial(macs_of, name),
            data=data,
            weight=at,
            bias=bias,
            whole=whole,
            scale=scale,
            step=1.0,
            theta=1.0,
            bits=self.bits,
        )
        return coded

    def _only_coded(self, node: fx.Node) -> bool:
        """All that reads this value is a coded layer, which holds back small changes itself."""
        for user in node.users:
            rule = rule_of(user, lambda n: n in self.varying or n is node)
            if packet(user) in LAYERS and rule is not None:
                continue
            if rule is MOVES and not _sums(packet(user)) and self._only_coded(user):
                continue
            return False
        return True

    def done(self) -> Compiled:
        t = self.traced
        if not self.floats:
            raise UserError(
                "predictor: forward has no layer of weights that could be coded; "
                f"{'keep_dense keeps them all, leave some out' if self.kept else 'keep this predictor dense'}"
            )
        used = {ref.name for step in self.steps for ref in refs((step.args, step.kwargs))} | {t.output.name}
        weights = {step.args[step.weight].name for step in self.steps if isinstance(step, Coded)}
        elsewhere = {
            ref.name
            for step in self.steps
            for position, argument in enumerate((*step.args, step.kwargs))
            if not (isinstance(step, Coded) and position == step.weight)
            for ref in refs(argument)
        }
        constants = {  # copies: the module may be trained on
            node.name: value.clone() if isinstance(value, Tensor) else value
            for node, value in self.fixed.items()
            if node.name in used and (node.name not in weights or node.name in elsewhere)
        }
        # A coded layer takes its weight from itself; its place among the arguments is filled with nothing.
        constants |= {name: torch.zeros(0) for name in weights if name not in constants}
        program = DeltaProgram(
            steps=_releasing(self.steps, keep={*constants, t.output.name, t.latent.name, t.action.name}),
            constants=constants,
            latent=t.latent.name,
            action=t.action.name,
            output=t.output.name,
            latent_dim=t.latent_dim,
            action_dim=t.action_dim,
        )
        return Compiled(program, self.floats, tuple(sorted(self.anew.items())), tuple(self.kept))


def _referring(argument: Any) -> Any:
    """An argument with references in place of nodes."""
    if isinstance(argument, fx.Node):
        return Ref(argument.name)
    if isinstance(argument, list | tuple):
        return [_referring(one) for one in argument]
    return argument


def _sums(name: str) -> bool:
    return name in ("mean", "sum", "cumsum", "div", "div_", "neg", "neg_") or "pool" in name


def _inside(path: str, name: str) -> bool:
    return path == name or path.startswith(f"{name}.")


def _whole(real: Tensor, channel: int) -> tuple[Tensor, Tensor]:
    """int8 weights and the real value of one, for each output channel."""
    others = [dim for dim in range(real.dim()) if dim != channel % real.dim()]
    scale = real.abs().amax(others, keepdim=True).clamp_min(1e-30) / limit(WEIGHT_BITS)
    return (real / scale).round_().to(torch.int8), scale


def _releasing(steps: list[Step], keep: set[str]) -> tuple[Step, ...]:
    """Steps that let values go after their last use."""
    last = {ref.name: i for i, step in enumerate(steps) for ref in refs((step.args, step.kwargs))}
    gone: dict[int, list[str]] = {}
    for name, i in last.items():
        if name not in keep:
            gone.setdefault(i, []).append(name)
    return tuple(replace(step, releases=tuple(gone.get(i, ()))) for i, step in enumerate(steps))
