"""Operation counts of a torch module as it runs.

    products        MACs of each module that multiplies (worldmodel/mac_counter.py), those of two activations included
    norms           an accumulate a value: its scale. Their mean and variance, activation functions and pooling are not counted
    embeddings      the rows that are looked up, as values read; no MAC

Weight bytes are those of the values that a module multiplies with, once, and of its biases.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from spikeplan.core.counts.operations import BYTES, LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.worldmodel.mac_counter import MacCount, count_macs

TOP = "(top)"
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
LOOKED_UP = (nn.Embedding, nn.EmbeddingBag)


def run(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[MacCount, dict[str, tuple[int, int]]]:
    """Counts, and values that each module reads and writes. Evaluated in the mode for use, left in its own.

    Raises UserError for inputs that the module does not take.
    """
    sides: dict[str, tuple[int, int]] = {}
    hooks = [
        part.register_forward_hook(lambda _, given, out, name=name: _note(sides, name, given, out))
        for name, part in network.named_modules()
    ]
    training = {part: part.training for part in network.modules()}
    network.eval()
    try:
        return count_macs(network, *inputs, density=True), sides
    except UserError:
        raise
    except Exception as error:  # a module of somebody else may raise anything
        detail = " ".join(str(error).split())[:160]
        raise UserError(f"profile: {type(network).__name__} does not take these inputs ({detail})") from error
    finally:
        for part, mode in training.items():
            part.training = mode
        for hook in hooks:
            hook.remove()


def count_dense(
    network: nn.Module, inputs: tuple[Tensor, ...], calls: int, precision: str
) -> tuple[OperationCounts, dict[str, float]]:
    """Counts of a module without spiking neurons, and the density of its activations by layer."""
    counted, sides = run(network, inputs)
    _check_calls(network, counted.output, inputs, calls)
    op_counts = OperationCounts(method=type(network).__name__, reference="zero", precision=precision, spiking=False)
    density = {}
    for name, macs in counted.layers.items():
        reads, writes = sides.get("" if name == TOP else name, (0, 0))
        op_counts.add(
            "predictor",
            LayerCounts(
                layer=name,
                macs=macs.total,
                dense_macs=macs.total,
                calls=calls,
                state_reads=reads,
                state_writes=writes,
            ),
        )
        op_counts.set_memory(name, weight_bytes=BYTES[precision] * stored(network, counted, sides, name), state_bytes=0)
        if macs.weight:
            density[name] = macs.set_off / macs.weight
    for name, part in network.named_modules():
        name = name or TOP
        if name in counted.layers or not isinstance(part, (*NORMS, *LOOKED_UP)):
            continue
        reads, writes = sides.get("" if name == TOP else name, (0, 0))
        scales = writes if isinstance(part, NORMS) else 0
        op_counts.add(
            "predictor", LayerCounts(layer=name, acs=scales, calls=calls, state_reads=writes, state_writes=writes)
        )
        op_counts.set_memory(name, weight_bytes=BYTES[precision] * stored(network, counted, sides, name), state_bytes=0)
    if not counted.layers:
        raise UserError(f"profile: {type(network).__name__} multiplies nothing on these inputs")
    op_counts.actions = calls
    return op_counts, density


def _check_calls(network: nn.Module, output: Any, inputs: tuple[Tensor, ...], calls: int) -> None:
    """Inputs without an axis of calls would have another of theirs taken for it."""
    if calls == len(inputs[0]) and isinstance(output, Tensor) and (output.dim() == 0 or len(output) != calls):
        raise UserError(
            f"profile: {type(network).__name__} returns {list(output.shape)} for inputs {list(inputs[0].shape)}: the leading "
            "axis is not of calls; add one, or say how many the inputs hold (calls=1)"
        )


def stored(network: nn.Module, counted: MacCount, sides: Mapping[str, object], name: str) -> int:
    """Values that a module multiplies with, and the vectors (bias, scale) that it holds beside them, or that a part of it holds
    which never ran by itself (the output of attention)."""
    prefix = "" if name == TOP else name
    products = counted.weights.get(name, 0)
    own = [
        parameter
        for part, module in network.named_modules()
        if part == prefix or (part not in sides and part.startswith(f"{prefix}." if prefix else ""))
        for parameter in module.parameters(recurse=False)
    ]
    beside: int = sum(p.numel() for p in own if not products or p.dim() < 2)
    return products + beside


def _note(sides: dict[str, tuple[int, int]], name: str, given: Any, out: Any) -> None:
    read = sum(t.numel() for t in given if isinstance(t, Tensor))
    wrote = out.numel() if isinstance(out, Tensor) else 0
    known = sides.get(name, (0, 0))
    sides[name] = (known[0] + read, known[1] + wrote)
