"""A traced graph as neurons and the affine maps between them.

Every value is an affine function of sources: the latent, the action, and the outputs of ReLUs. The function of a ReLU's input,
or of the output, is found by running its operations in float64: on zeros (the bias), and, with all that only adds set to zero,
on the identity of one source after the other (the matrix). So whatever wiring there is (orders of cat, gains, BatchNorm in
evaluation, weight norm, shared modules) folds exactly, and the weights of a plain Linear come out bit for bit.
Shapes: N rows; a source of n numbers a row is seen as (N, n).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, fx

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.tracing.graph import Traced, evaluated, is_size, module_of, named
from spikeplan.conversion.tracing.net import CODE, OUT, AffineNet, Group, Link
from spikeplan.conversion.tracing.ops import is_relu, nodes_in, nulled, rule_of
from spikeplan.core.errors import UserError

MAX_WEIGHTS = 2**26  # of what one group receives, as a dense matrix
PROBE = 2**24  # numbers, of the widest value, that are probed at once
CHECKED_ROWS = 256
MAX_DIFFERENCE = 1e-6  # of the output's variance: forward is float32, the maps are float64
REMEDY = 'use recipe="delta_transformer", which re-evaluates it, or keep this predictor dense'


def affine_net(traced: Traced, data: Calibration) -> AffineNet:
    """The neurons of a traced module and the maps between them, compared with its own output on calibration inputs.

    Raises UserError that names the first operation which is neither affine nor a ReLU, or a map that is too large.

    >>> affine_net(trace(predictor, data), data).residual
    True
    """
    return _Reader(traced).net(data)


class _Reader:
    def __init__(self, traced: Traced) -> None:
        self.traced = traced
        self.constants = {name: _double(tensor) for name, tensor in traced.constants.items()}
        self.folded: dict[fx.Node, Any] = {}
        self.varying: set[fx.Node] = {traced.latent, traced.action}
        self.relus: list[fx.Node] = []
        for node in traced.live():
            self._classify(node)
        if traced.output not in self.varying:
            raise UserError("predictor: forward's output depends on neither latent nor action; train the network first")

    def _classify(self, node: fx.Node) -> None:
        if node.op != "call_function" or is_size(node) or not any(n in self.varying for n in node.all_input_nodes):
            return
        self.varying.add(node)
        if is_relu(node):
            self.relus.append(node)
        elif rule_of(node, self.varying.__contains__) is None:
            raise UserError(f"{named(node)} has no exact sigma-delta form; {REMEDY}")

    def net(self, data: Calibration) -> AffineNet:
        t = self.traced
        groups = tuple(
            Group(name=f"h{i}", path=module_of(node)[0] or "forward", size=self._size(node))
            for i, node in enumerate(self.relus, 1)
        )
        names = dict(zip(self.relus, (group.name for group in groups), strict=True))
        links, biases, residual = [], {}, False
        sinks = [(group.name, node.all_input_nodes[0]) for group, node in zip(groups, self.relus, strict=True)]
        for name, node in [*sinks, (OUT, t.output)]:
            weights, biases[name] = self._maps(name, node)
            inputs = weights.pop(t.latent, None), weights.pop(t.action, None)
            size = len(biases[name])
            if name == OUT and inputs[0] is not None and inputs[0].equal(torch.eye(size, dtype=torch.float64)):
                residual, inputs = True, (None, inputs[1])
            if any(part is not None and bool(part.any()) for part in inputs):
                widths = (t.latent_dim, t.action_dim)
                parts = [
                    torch.zeros(size, n, dtype=torch.float64) if part is None else part
                    for n, part in zip(widths, inputs, strict=True)
                ]
                links.append(Link(src=CODE, dst=name, weight=torch.cat(parts, 1)))
            links += [Link(src=names[at], dst=name, weight=w) for at, w in weights.items() if bool(w.any())]
            if not any(link.dst == name for link in links):
                where = next((f"layer '{name}' ({g.path})" for g in groups if g.name == name), "the output")
                what = "beside the latent it is constant" if name == OUT and residual else "its weights are all zero"
                raise UserError(f"{where}: {what}; train the network first")
        made = AffineNet(
            latent_dim=t.latent_dim,
            action_dim=t.action_dim,
            groups=groups,
            links=tuple(links),
            biases=biases,
            residual=residual,
        )
        self._check(made, data)
        return made

    def _maps(self, name: str, sink: fx.Node) -> tuple[dict[fx.Node, Tensor], Tensor]:
        """Matrix (n, n_source) from each source that `sink` depends on, and the bias (n,)."""
        sources = [self.traced.latent, self.traced.action, *self.relus]
        needed = [node for node in self.traced.live(stop=sources, start=sink) if node in self.varying]
        found = [node for node in needed if node in sources]
        size = self._size(sink)
        entries = size * sum(self._size(source) for source in found)
        if entries > MAX_WEIGHTS:
            raise UserError(
                f"{named(sink)}: as a dense matrix it has {entries} weights, at most {MAX_WEIGHTS}; "
                "make it smaller, or " + REMEDY
            )
        bias = self._run(sink, None, torch.zeros(1, 0, dtype=torch.float64))[0]
        widest = max(math.prod(self._shape(node, 1)) for node in needed if isinstance(node.meta.get("val"), Tensor))
        maps = {}
        for source in found:
            n, each = self._size(source), max(1, PROBE // widest)
            blocks = [
                self._run(sink, source, torch.eye(n, dtype=torch.float64)[first : first + each])
                for first in range(0, n, each)
            ]
            maps[source] = torch.cat(blocks).T.contiguous()
        return maps, bias

    def _run(self, sink: fx.Node, active: fx.Node | None, probe: Tensor) -> Tensor:
        """The sink's value (rows, n) with `probe` in one source and zeros in the others; its linear part where one is active."""
        rows = len(probe)
        ends = {self.traced.latent, self.traced.action, *self.relus}
        values: dict[fx.Node, Any] = {}
        for node in self.traced.live(stop=ends, start=sink):
            if node in ends:
                inactive = torch.zeros(rows, self._size(node), dtype=torch.float64)
                values[node] = self._laid_out(node, probe if node is active else inactive)
            elif node.op == "placeholder":
                values[node] = self.constants[node.name]
            else:
                values[node] = self._value(node, values, linear=active is not None)
        return self._flat(sink, values[sink], rows)

    def _value(self, node: fx.Node, values: dict[fx.Node, Any], *, linear: bool) -> Any:
        if node in self.folded:
            return self.folded[node]
        if node not in self.varying:
            made = evaluated(node, values.__getitem__, torch.float64)
            if not is_size(node) and all(n.name in self.constants or n in self.folded for n in node.all_input_nodes):
                self.folded[node] = made
            return made
        if not linear:
            return evaluated(node, values.__getitem__, torch.float64)
        rule = rule_of(node, self.varying.__contains__)
        assert rule is not None, "classified as affine"
        additive = {n for at in rule.additive if at < len(node.args) for n in nodes_in(node.args[at])} - self.varying
        numbers = [at for at in rule.additive if at < len(node.args) and isinstance(node.args[at], int | float)]
        zero = {n: nulled(values[n]) for n in additive}
        if not numbers:
            return evaluated(node, lambda n: zero.get(n, values[n]), torch.float64)
        plain, kept = node.args, list(node.args)
        for at in numbers:
            kept[at] = nulled(kept[at])
        node.args = tuple(kept)
        try:
            return evaluated(node, lambda n: zero.get(n, values[n]), torch.float64)
        finally:
            node.args = plain

    def _shape(self, node: fx.Node, rows: int) -> tuple[int, ...]:
        """Of a value for a number of rows."""
        return tuple(_sized(size, rows) for size in node.meta["val"].shape)

    def _axis(self, node: fx.Node) -> int:
        """The dimension that holds the rows, or rows and more with the rows outermost."""
        one, two = self._shape(node, 1), self._shape(node, 2)
        grows = [axis for axis, sizes in enumerate(zip(one, two, strict=True)) if sizes[0] != sizes[1]]
        if len(grows) != 1 or two[grows[0]] != 2 * one[grows[0]]:
            raise UserError(f"{named(node)} has no dimension of its own for the rows; keep them apart from the rest")
        return grows[0]

    def _size(self, node: fx.Node) -> int:
        """Numbers a row."""
        self._axis(node)
        return math.prod(self._shape(node, 1))

    def _laid_out(self, node: fx.Node, flat: Tensor) -> Tensor:
        """(rows, n) in the layout that a value has in the graph."""
        shape, axis = self._shape(node, len(flat)), self._axis(node)
        return flat.reshape(shape[axis], *shape[:axis], *shape[axis + 1 :]).movedim(0, axis)

    def _flat(self, node: fx.Node, value: Tensor, rows: int) -> Tensor:
        return value.movedim(self._axis(node), 0).reshape(rows, -1)

    def _check(self, net: AffineNet, data: Calibration) -> None:
        """The maps compute what forward computes."""
        z, a = data.latent_ND[:CHECKED_ROWS], data.action_NA[:CHECKED_ROWS]
        wanted = self.traced.forward(z, a).double()
        got = net.after(z.double(), a.double())
        error = float((got - wanted).square().mean())
        scale = float((wanted - z).var()) + 1e-8 * float(wanted.square().mean())
        if not error <= MAX_DIFFERENCE * scale:
            raise UserError(
                f"predictor: the maps found in forward differ from it by {error / max(scale, 1e-30):.2g} of its variance; "
                "its rows depend on each other: compute each row from its own latent and action"
            )


def _double(tensor: Tensor) -> Tensor:
    return tensor.double() if tensor.is_floating_point() else tensor


def _sized(size: Any, rows: int) -> int:
    """A size as a number: with one symbol in it, the number of rows."""
    if isinstance(size, int):
        return size
    expression: Any = size.node.expr
    return int(expression.subs(dict.fromkeys(expression.free_symbols, rows)))
