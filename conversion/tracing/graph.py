"""A module's `forward` as a graph of ATen operations, made by torch.export for any number of rows.

Recurrent layers are taken apart into linears and gates; everything else stays as torch names it (linear, conv1d, layer_norm,
gelu, scaled_dot_product_attention), so that an operation can be refused, coded or re-evaluated by the name its author gave it.
In-place operations become plain ones. Shapes: N rows, D latent, A action.
"""

from __future__ import annotations

import inspect
import io
import logging
import operator
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from spikeplan.conversion.calibration import Calibration
from spikeplan.conversion.tracing.cells import recurrent
from spikeplan.conversion.tracing.ops import SHAPE_ONLY, packet
from spikeplan.conversion.tracing.prepare import prepared, trial
from spikeplan.core.errors import UserError, short

EXAMPLE_ROWS = 7  # an odd size that no width is likely to share
Values = Callable[[fx.Node], Any]


@dataclass(frozen=True, kw_only=True)
class Traced:
    """What `forward` computes.

    Args:
        module: the copy that was traced, float32, in evaluation mode.
        graph: its operations, in order.
        constants: parameters, buffers and other fixed tensors, by the name of their placeholder.
        paths: of each of them, its name in the module.
        latent, action: the placeholders of the inputs.
        output: what is returned, (N, D).
    """

    module: nn.Module
    graph: fx.Graph
    constants: dict[str, Tensor]
    paths: dict[str, str]
    latent: fx.Node
    action: fx.Node
    output: fx.Node
    latent_dim: int
    action_dim: int

    @torch.no_grad()
    def forward(self, latent_ND: Tensor, action_NA: Tensor) -> Tensor:
        """The module's own answer (N, D)."""
        out: Tensor = self.module(latent_ND.float(), action_NA.float())
        return out

    def live(self, stop: Iterable[fx.Node] = (), start: fx.Node | None = None) -> list[fx.Node]:
        """What `start` (the output) needs, in order of computation, going no further back than `stop`."""
        ends, found, todo = set(stop), set(), [self.output if start is None else start]
        while todo:
            node = todo.pop()
            if node not in found:
                found.add(node)
                todo += [] if node in ends else node.all_input_nodes
        return [node for node in self.graph.nodes if node in found]


def trace(module: Any, data: Calibration) -> Traced:
    """The graph of `module(latent, action)`.

    Raises UserError in one line: a parameter that is not finite, calibration of other widths, an output that is no next latent,
    control flow that depends on data, state that is kept between calls.

    >>> traced = trace(predictor, Calibration(latent_ND, action_NA))
    >>> traced.forward(latent_ND, action_NA).shape
    """
    made = prepared(module)
    trial(made, data.latent_ND, data.action_NA)
    d, a = data.latent_ND.shape[1], data.action_NA.shape[1]
    program = _exported(made, d, a)
    signature = program.graph_signature
    if signature.buffers_to_mutate:
        name = next(iter(signature.buffers_to_mutate.values()))
        raise UserError(
            f"buffer '{name}': forward changes it; a predictor keeps no state between calls, return it instead"
        )
    kinds = torch.export.graph_signature.InputKind
    constants, paths, inputs = {}, {}, []
    nodes = {node.name: node for node in program.graph.nodes}
    for spec in signature.input_specs:
        node = nodes[spec.arg.name]
        if spec.kind == kinds.USER_INPUT:
            inputs.append(node)
        else:
            held = program.state_dict if spec.target in program.state_dict else program.constants
            constants[node.name], paths[node.name] = held[spec.target].detach(), str(spec.target)
    returned = next(node for node in program.graph.nodes if node.op == "output").args[0]
    return Traced(
        module=made,
        graph=program.graph,
        constants=constants,
        paths=paths,
        latent=inputs[0],
        action=inputs[1],
        output=returned[0],
        latent_dim=d,
        action_dim=a,
    )


def _exported(module: nn.Module, d: int, a: int) -> Any:
    rows = torch.export.Dim("rows", min=2)
    example = torch.zeros(EXAMPLE_ROWS, d), torch.zeros(EXAMPLE_ROWS, a)
    shapes: Any = ({0: rows}, {0: rows})
    takes = list(inspect.signature(module.forward).parameters.values())
    if takes and takes[0].kind is inspect.Parameter.VAR_POSITIONAL:
        shapes = (shapes,)
    try:
        with torch.no_grad(), _quiet():
            program = torch.export.export(module, example, dynamic_shapes=shapes)
            return program.run_decompositions(recurrent())
    except Exception as error:
        said = short(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
        found, remedy = (
            f"cannot be traced ({said})",
            "write it without branches on values and with torch operations alone",
        )
        if "specialized" in str(error):
            found, remedy = (
                "works for one number of rows alone",
                "take rows from x.shape[0]; len(x) and int(...) fix them",
            )
        raise UserError(f"predictor: {type(module).__name__}.forward {found}; {remedy}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Export warns about attributes of recurrent layers, and prints the graph of what it then raises."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def module_of(node: fx.Node) -> tuple[str, str]:
    """(path, class) of the module whose forward asked for an operation; ("", class) for the predictor itself."""
    stack = [entry for entry in (node.meta.get("nn_module_stack") or {}).values() if "_empty_nn" not in str(entry[0])]
    if not stack:
        return "", ""
    path, kind = stack[-1]
    return str(path), str(kind).rsplit(".", 1)[-1]


def named(node: fx.Node) -> str:
    """An operation as a message names it: `layer 'net.1' (GELU): gelu`."""
    path, kind = module_of(node)
    where = f"layer '{path}' ({kind})" if path else f"forward of {kind or 'the predictor'}"
    return f"{where}: {packet(node)}"


def is_size(node: fx.Node) -> bool:
    """A number about shapes, such as the number of rows, or a tensor made for a shape: it does not depend on values."""
    if packet(node) in SHAPE_ONLY:
        return True
    return isinstance(node.meta.get("val"), torch.SymInt | torch.SymBool | torch.SymFloat | int | bool) or (
        node.target in (operator.mul, operator.add, operator.floordiv) and "val" not in node.meta
    )


def evaluated(node: fx.Node, value: Values, dtype: torch.dtype) -> Any:
    """What an operation returns for the values of its arguments, floats held in `dtype`."""

    def found(argument: Any) -> Any:
        if isinstance(argument, fx.Node):
            return value(argument)
        return dtype if isinstance(argument, torch.dtype) and argument.is_floating_point else argument

    args = fx.node.map_aggregate(node.args, found)
    kwargs = fx.node.map_aggregate(node.kwargs, found)
    target: Any = node.target
    made = target(*args, **kwargs)
    return made.to(dtype) if isinstance(made, Tensor) and made.is_floating_point() else made
