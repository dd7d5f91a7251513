"""Operation counts of a spiking network of snnTorch, Norse, SpikingJelly or sinabs, by watching it run its time steps.

    synops      of a layer's products, those that a value which is not zero sets off (worldmodel/mac_counter.py)
    neurons     each module of spiking neurons belongs to the layer that multiplied last before it: its updates, one a neuron and
                step, and its spikes are booked there. A layer without neurons has accumulators, one an output, that update too
    steps       T of a call: a pipeline of L modules of neurons takes T + L - 1 chip steps a call, T where calls follow each other
    input       values that are not zero, one message each; 8 bits where they are not spikes

Products of two activations (attention) are counted as MACs: a chip of stored synapses refuses them. The libraries are not
imported: a module is known by the class that it is derived from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from spikeplan.core.counts.operations import BYTES, LayerCounts, OperationCounts
from spikeplan.core.errors import UserError
from spikeplan.core.fixed_point import STATE_BITS
from spikeplan.evaluation.profiles.dense import TOP, run, stored
from spikeplan.placement.graph import WORDS

GRADED_BITS = 8
STATE_BYTES = WORDS["lif"] * STATE_BITS // 8  # as a LIF neuron of a network file

Layout = Callable[[nn.Module, Tensor], tuple[int, int]]


def _step(module: nn.Module, out: Tensor) -> tuple[int, int]:
    """(B, ...): one time step."""
    return 1, len(out) if out.dim() > 1 else 1


def _time_first(module: nn.Module, out: Tensor) -> tuple[int, int]:
    """(T, B, ...)"""
    return len(out), out.shape[1] if out.dim() > 2 else 1


def _spikingjelly(module: nn.Module, out: Tensor) -> tuple[int, int]:
    return (_time_first if getattr(module, "step_mode", "s") == "m" else _step)(module, out)


def _sinabs(module: nn.Module, out: Tensor) -> tuple[int, int]:
    """(B, T, ...), or (B T, ...) of a squeezing layer that knows one of both."""
    rows, steps = getattr(module, "batch_size", -1), getattr(module, "num_timesteps", -1)
    if not hasattr(module, "num_timesteps"):
        return out.shape[1], len(out)
    return (steps, len(out) // steps) if steps > 0 else (len(out) // rows, rows)


LAYOUTS: dict[tuple[str, str], Layout] = {  # package and base class -> (steps, rows) of a call's output
    ("snntorch", "SpikingNeuron"): _step,
    ("norse", "SNNCell"): _step,
    ("norse", "SNNRecurrentCell"): _step,
    ("norse", "SNN"): _time_first,
    ("norse", "SNNRecurrent"): _time_first,
    ("spikingjelly", "BaseNode"): _spikingjelly,
    ("sinabs", "StatefulLayer"): _sinabs,
}
RESETS = ("reset", "reset_states", "reset_mem")  # of SpikingJelly, sinabs, snnTorch


def neurons_of(network: nn.Module) -> dict[str, Layout]:
    """Modules of spiking neurons, by name."""
    found = {}
    for name, part in network.named_modules():
        for base in type(part).__mro__:
            layout = LAYOUTS.get((base.__module__.partition(".")[0], base.__name__))
            if layout is not None:
                found[name] = layout
                break
    return found


@dataclass
class _Seen:
    """What a module of neurons did: time steps, rows of its batch, updates and spikes over all of them."""

    after: str
    steps: int = 0
    rows: int = 1
    updates: int = 0
    sent: int = 0
    graded: bool = False


def count_spiking(
    network: nn.Module, inputs: tuple[Tensor, ...], calls: int | None, precision: str
) -> tuple[OperationCounts, dict[str, float]]:
    """Counts of all time steps that one call of `network` runs, and the density of what each layer receives.

    Raises UserError for a module whose steps differ between its neurons, and for one that multiplies nothing.
    """
    layouts = neurons_of(network)
    seen: dict[str, _Seen] = {}
    last = [TOP]
    hooks = []
    for name, part in network.named_modules():
        if name in layouts:
            _reset(part)
            hooks += [
                part.register_forward_pre_hook(lambda _m, _i, name=name: _begin(seen, name, last[0])),
                part.register_forward_hook(
                    lambda module, _, out, name=name: _watch(seen[name], name, layouts[name], module, out)
                ),
            ]
        elif any(
            p.dim() > 1 for p in part.parameters(recurse=False)
        ):  # a norm's scale and a PReLU's slope multiply nothing
            hooks.append(part.register_forward_hook(lambda _m, _i, _o, name=name: last.__setitem__(0, name or TOP)))
    try:
        counted, sides = run(network, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    if not counted.layers or not seen:
        raise UserError(
            f"profile: {type(network).__name__} multiplies nothing on these inputs, or none of its neurons ran"
        )
    steps, rows = _steps_and_rows(seen, calls)
    op_counts = OperationCounts(
        method=type(network).__name__,
        reference="zero",
        precision=precision,
        spiking=True,
        sequential_steps=steps + len(seen) - 1,
        interleaved_steps=steps,
    )
    _book_input(op_counts, inputs, rows)
    density = {}
    of_layer: dict[str, list[_Seen]] = {}
    for one in seen.values():
        of_layer.setdefault(one.after, []).append(one)
    names = list(dict.fromkeys((*counted.layers, *of_layer)))
    for number, name in enumerate(names):
        macs, neurons = counted.layers.get(name), of_layer.get(name, [])
        updates = sum(one.updates for one in neurons) or sides.get("" if name == TOP else name, (0, 0))[1]
        sent = sum(one.sent for one in neurons)
        graded = any(one.graded for one in neurons)
        if not neurons and number + 1 < len(names):  # no neurons of its own: it sends what the next layer gets
            sent, graded = min(updates, counted.layers[names[number + 1]].received), True
        op_counts.add(
            "predictor",
            LayerCounts(
                layer=name,
                macs=0 if macs is None else macs.activation,
                synops=0 if macs is None else macs.set_off,
                dense_macs=0 if macs is None else macs.weight,
                updates=updates,
                updates_active=sent,
                messages=sent,
                message_bits=sent * (GRADED_BITS if graded else 1),
                calls=rows,
            ),
        )
        each = updates // max(1, rows * steps)
        op_counts.set_memory(
            name,
            weight_bytes=BYTES[precision] * stored(network, counted, sides, name),
            state_bytes=STATE_BYTES * each,
        )
        if macs is not None and macs.weight:
            density[name] = macs.set_off / macs.weight
    op_counts.actions = rows
    return op_counts, density


def _steps_and_rows(seen: dict[str, _Seen], calls: int | None) -> tuple[int, int]:
    """Time steps and rows of a call, the same for all neurons. Raises UserError where they differ."""
    (first, one), *others = seen.items()
    for name, other in others:
        if (other.steps, other.rows) != (one.steps, one.rows):
            raise UserError(
                f"profile: neurons '{first}' ran {one.steps} steps of {one.rows} rows, '{name}' {other.steps} of {other.rows}; "
                "a chip steps all of them alike, so run each in every step"
            )
    if calls is not None and calls != one.rows and one.rows != 1:
        raise UserError(f"profile: calls is {calls}, but the neurons see a batch of {one.rows}; leave calls out")
    return one.steps, calls if calls is not None else one.rows


def _reset(neurons: nn.Module) -> None:
    """Forgets what an earlier call left in a module that keeps its state itself."""
    for name in RESETS:
        reset = getattr(neurons, name, None)
        if callable(reset):
            reset()
            return


def _begin(seen: dict[str, _Seen], name: str, after: str) -> None:
    known = seen.setdefault(name, _Seen(after))
    if known.after != after:
        raise UserError(
            f"profile: neurons '{name}' follow '{known.after}' and then '{after}': one module of neurons for two layers has one "
            "state for both; give each layer its own"
        )


def _watch(one: _Seen, name: str, layout: Layout, module: nn.Module, out: Any) -> None:
    spikes = out[0] if isinstance(out, tuple | list) else out
    if not isinstance(spikes, Tensor):
        raise UserError(f"profile: module '{name}' ({type(module).__name__}) returns no spikes that can be counted")
    steps, one.rows = layout(module, spikes)
    one.steps += steps
    one.updates += spikes.numel()
    one.sent += int(torch.count_nonzero(spikes))
    one.graded |= _graded(spikes)


def _book_input(op_counts: OperationCounts, inputs: tuple[Tensor, ...], rows: int) -> None:
    """The values that reach the first layer; it is the host that sends them."""
    sent = sum(int(torch.count_nonzero(t)) for t in inputs)
    bits = GRADED_BITS if any(_graded(t) for t in inputs) else 1
    op_counts.add("predictor", LayerCounts(layer="input", messages=sent, message_bits=sent * bits, calls=rows))
    op_counts.set_memory("input", weight_bytes=0, state_bytes=0)
    op_counts.add_host_words("inputs", sent)


def _graded(values: Tensor) -> bool:
    return bool(((values != 0) & (values.abs() != 1)).any())
